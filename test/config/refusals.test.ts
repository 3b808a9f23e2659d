// Every refusal of a config file names the file, the place in it, what stands there, and how to mend it.
import { describe, expect, it } from 'vitest'
import { parseConfig } from '../../src/config/load.ts'
import { GatewayError } from '../../src/errors.ts'

const HTTP = { type: 'http', listen: '127.0.0.1:0' }
const STATE = { redis: 'redis://localhost:6379', secretFile: 'secret' }
const TLS = { certificate: 'a.crt', key: 'a.key' }
const TUNNEL_OUT = { type: 'tunnel', url: 'wss://localhost:8443/tunnel', authority: 'ca.crt' }

function refusal(config: unknown): GatewayError {
  try {
    parseConfig(typeof config === 'string' ? config : JSON.stringify(config), 'gateway.yaml')
  } catch (thrown) {
    if (thrown instanceof GatewayError) return thrown
    throw thrown
  }
  throw new Error('it was taken')
}

/** One row: what it is, the file, and the line that says what is wrong. */
const REFUSALS: ReadonlyArray<readonly [what: string, config: unknown, line: string]> = [
  ['no inbounds', {}, 'inbounds: Invalid input: expected array, received undefined'],
  ['an empty list of inbounds', { inbounds: [] }, 'inbounds: Too small: expected array to have >=1 items'],
  ['an unknown key', { inbounds: [HTTP], egres: {} }, 'the file: unknown key "egres"'],
  [
    'two unknown keys',
    { inbounds: [{ ...HTTP, port: 1, host: 'x' }] },
    'inbounds[0]: unknown key "port", "host"',
  ],
  [
    'an unknown key deep inside',
    { inbounds: [HTTP], limits: { conections: 5 } },
    'limits: unknown key "conections"',
  ],
  [
    'two quotas for one',
    {
      inbounds: [HTTP],
      limits: {
        quotas: [
          { identity: 'alice', kind: 'user', bytesPerDay: 1 },
          { identity: 'alice', kind: 'certificate', bytesPerDay: 1 },
          { identity: 'alice', kind: 'user', bytesPerDay: 2 },
        ],
      },
    },
    'limits.quotas[2].identity: it has a quota further up already; give it one (found "alice")',
  ],
  [
    'a quota of a kind that is none',
    { inbounds: [HTTP], limits: { quotas: [{ identity: 'alice', kind: 'group', bytesPerDay: 1 }] } },
    'limits.quotas[0].kind: Invalid option: expected one of "user"|"certificate" (found "group")',
  ],
  [
    'usage without a store',
    { inbounds: [HTTP], usage: { keepDays: 5 } },
    'usage.store: Invalid input: expected string, received undefined',
  ],
  [
    'a store that is none',
    { inbounds: [HTTP], state: { ...STATE, redis: 'http://wort@localhost' } },
    'state.redis: not the address of a Redis or Valkey server; write it as rediss://redis.example:6379, or redis:// without TLS (found "http://…@localhost")',
  ],
  [
    'a database that is no number',
    { inbounds: [HTTP], state: { ...STATE, redis: 'redis://localhost/main' } },
    'state.redis: after the host stands the number of a database, or nothing (found "redis://localhost/main")',
  ],
  [
    'a store without a secret',
    { inbounds: [HTTP], state: { redis: 'redis://localhost' } },
    'state.secretFile: Invalid input: expected string, received undefined',
  ],
  [
    'two passwords for a store',
    { inbounds: [HTTP], state: { ...STATE, redis: 'redis://a:wort@localhost', passwordFile: 'p' } },
    'state.passwordFile: the url holds a password too: give it in one place (found "p")',
  ],
  [
    'an authority for a store without TLS',
    { inbounds: [HTTP], state: { ...STATE, authority: 'ca.crt' } },
    'state.authority: authority goes with a server that is reached by TLS: rediss:// (found "ca.crt")',
  ],
  [
    'a user without a password',
    { inbounds: [HTTP], state: { ...STATE, username: 'sightline' } },
    'state.username: a user of the access list has a password: give passwordFile beside it (found "sightline")',
  ],
  [
    'an unknown type',
    { inbounds: [{ ...HTTP, type: 'https' }] },
    'inbounds[0].type: Invalid option: expected one of "http"|"socks"|"mixed"|"tunnel" (found "https")',
  ],
  [
    'no address',
    { inbounds: [{ type: 'http' }] },
    'inbounds[0].listen: Invalid input: expected string, received undefined',
  ],
  [
    'an address without a port',
    { inbounds: [{ ...HTTP, listen: '127.0.0.1' }] },
    'inbounds[0].listen: not an address to listen on; write it as 127.0.0.1:3128 or [::1]:3128 (found "127.0.0.1")',
  ],
  [
    'a port that is too large',
    { inbounds: [{ ...HTTP, listen: '127.0.0.1:65536' }] },
    'inbounds[0].listen: not an address to listen on; write it as 127.0.0.1:3128 or [::1]:3128 (found "127.0.0.1:65536")',
  ],
  [
    'IPv6 without brackets',
    { inbounds: [{ ...HTTP, listen: '::1:3128' }] },
    'inbounds[0].listen: not an address to listen on; write it as 127.0.0.1:3128 or [::1]:3128 (found "::1:3128")',
  ],
  [
    'a name to listen on',
    { inbounds: [{ ...HTTP, listen: 'example.org:80' }] },
    'inbounds[0].listen: not an address to listen on; write it as 127.0.0.1:3128 or [::1]:3128 (found "example.org:80")',
  ],
  [
    'an outbound that is not there',
    { inbounds: [{ ...HTTP, outbound: 'gateway' }] },
    'inbounds[0].outbound: no outbound has the name "gateway"; there are: direct (found "gateway")',
  ],
  [
    'an outbound by the name of a property',
    { inbounds: [{ ...HTTP, outbound: 'toString' }] },
    'inbounds[0].outbound: no outbound has the name "toString"; there are: direct (found "toString")',
  ],
  [
    'a range that is none',
    { inbounds: [{ ...HTTP, auth: { sources: ['10.0.0.0/33'] } }] },
    'inbounds[0].auth.sources[0]: not a range of addresses; write it as 10.0.0.0/8 or ::1/128 (found "10.0.0.0/33")',
  ],
  [
    'a tunnel without tls',
    { inbounds: [{ type: 'tunnel', listen: '127.0.0.1:0' }] },
    'inbounds[0].tls: a tunnel needs tls with certificate, key and clientAuthority',
  ],
  [
    'a tunnel without client certificates',
    { inbounds: [{ type: 'tunnel', listen: '127.0.0.1:0', tls: TLS }] },
    'inbounds[0].tls: a tunnel needs tls with certificate, key and clientAuthority',
  ],
  [
    'tls on socks',
    { inbounds: [{ type: 'socks', listen: '127.0.0.1:0', tls: TLS }] },
    'inbounds[0].tls: tls goes with type http or tunnel, not socks',
  ],
  [
    'a revocation list alone',
    { inbounds: [{ ...HTTP, tls: { ...TLS, revocationList: 'ca.crl' } }] },
    'inbounds[0].tls.revocationList: a revocation list needs clientAuthority beside it (found "ca.crl")',
  ],
  [
    'users of a tunnel',
    {
      inbounds: [
        {
          type: 'tunnel',
          listen: '127.0.0.1:0',
          tls: { ...TLS, clientAuthority: 'ca.crt' },
          auth: { users: 'users' },
        },
      ],
    },
    'inbounds[0].auth.users: a tunnel knows its clients by certificate; leave users out (found "users")',
  ],
  [
    'udp on http',
    { inbounds: [{ ...HTTP, udp: { ports: '1-2' } }] },
    'inbounds[0].udp: udp goes with type socks or mixed, not http',
  ],
  [
    'a tunnel in clear',
    { inbounds: [HTTP], outbounds: { g: { ...TUNNEL_OUT, url: 'ws://localhost:8443/tunnel' } } },
    'outbounds.g.url: not a tunnel address; write it as wss://host:8443/tunnel (found "ws://localhost:8443/tunnel")',
  ],
  [
    'a certificate without its key',
    { inbounds: [HTTP], outbounds: { g: { ...TUNNEL_OUT, certificate: 'a.crt' } } },
    'outbounds.g: certificate and key go together: give both or neither',
  ],
  [
    'an egress mode that is none',
    { inbounds: [HTTP], egress: { mode: 'off' } },
    'egress.mode: Invalid option: expected one of "enforce"|"report" (found "off")',
  ],
  [
    'a limit of nothing',
    { inbounds: [HTTP], limits: { idleMs: 0 } },
    'limits.idleMs: Too small: expected number to be >=1 (found 0)',
  ],
  [
    'a limit in words',
    { inbounds: [HTTP], limits: { idleMs: '10s' } },
    'limits.idleMs: Invalid input: expected number, received string (found "10s")',
  ],
  [
    'half a millisecond',
    { inbounds: [HTTP], limits: { dialMs: 0.5 } },
    'limits.dialMs: Invalid input: expected int, received number (found 0.5)',
  ],
  [
    'a log level that is none',
    { inbounds: [HTTP], log: { level: 'trace' } },
    'log.level: Invalid option: expected one of "debug"|"info"|"warn"|"error"|"silent" (found "trace")',
  ],
  [
    'an admin address that all can reach',
    { inbounds: [HTTP], admin: { listen: '0.0.0.0:9901' } },
    'admin.listen: the admin address is not on loopback: give allowFrom or token (found "0.0.0.0:9901")',
  ],
  ['a list', '- type: http\n', 'the file: Invalid input: expected object, received array'],
  ['a word', 'gateway', 'the file: Invalid input: expected object, received string (found "gateway")'],
  ['nothing', '', 'inbounds: Invalid input: expected array, received undefined'],
]

describe('refused', () => {
  it.each(REFUSALS)('%s', (_what, config, line) => {
    const error = refusal(config)
    expect(error.code).toBe('config-invalid')
    expect(error.message.split('\n')[0]).toBe(`gateway.yaml: ${line}`)
    expect(error.hint).toMatch(/`sightline config schema`/)
  })

  it('all at once, a line each', () => {
    const { message } = refusal({
      inbounds: [{ ...HTTP, listen: 'x' }],
      egress: { mode: 'x' },
      log: { level: 'x' },
    })
    expect(message.split('\n').map((line) => line.replace(/:.*/, '').trim())).toEqual([
      'gateway.yaml',
      'egress.mode',
      'log.level',
    ])
  })

  it.each([
    ['inbounds:\n  - type: http\n   listen: x\n', 3],
    ['inbounds: [\n', 2],
    ['inbounds: []\ninbounds: []\n', 2],
  ])('what is no YAML, with its line: %j', (text, line) => {
    const error = refusal(text)
    expect(error.code).toBe('config-invalid')
    expect(error.message).toMatch(new RegExp(`^gateway\\.yaml: .* at line ${line}, column \\d+$`))
    expect(error.hint).toBe('mend the YAML there')
  })

  it('a star without quotes, which YAML takes for a reference', () => {
    const error = refusal('inbounds: [{ type: http, listen: "127.0.0.1:0" }]\negress:\n  deny: [*:25]\n')
    expect(error.code).toBe('config-invalid')
    expect(error.message).toMatch(/^gateway\.yaml: .*alias/i)
    expect(error.hint).toMatch(/quotes/)
  })

  it('a file that grows out of proportion when it is read', () => {
    const names = [...'abcdefg']
    const lines = names.map((name, index) => {
      const inner = index === 0 ? 'x' : `*${names[index - 1]}`
      return `${name}: &${name} [${Array.from({ length: 10 }, () => inner).join(', ')}]`
    })
    expect(refusal(lines.join('\n'))).toMatchObject({
      code: 'config-invalid',
      message: expect.stringMatching(/alias count/),
    })
  })
})

describe('an open proxy', () => {
  const tls = { ...TLS, clientAuthority: 'ca.crt' }
  it.each([
    ['0.0.0.0:3128', 'http', {}],
    ['[::]:1080', 'socks', {}],
    ['*:3128', 'mixed', {}],
    ['192.0.2.1:3128', 'http', { tls: TLS }],
    ['0.0.0.0:3128', 'http', { allowOpenProxy: false }],
    ['0.0.0.0:3128', 'http', { auth: {} }],
  ])('at %s does not start: %s %j', (listen, type, extra) => {
    expect(refusal({ inbounds: [{ type, listen, ...extra }] }).message).toBe(
      `gateway.yaml: inbounds[0].listen: ${listen} can be reached from other machines, and nothing says who may use it; ` +
        `add auth.users, auth.sources or tls.clientAuthority, listen on 127.0.0.1, or set allowOpenProxy: true (found "${listen}")`,
    )
  })

  it.each([
    ['127.0.0.1:3128', {}],
    ['127.9.9.9:3128', {}],
    ['[::1]:3128', {}],
    ['localhost:3128', {}],
    ['0.0.0.0:3128', { auth: { users: 'users' } }],
    ['0.0.0.0:3128', { auth: { sources: ['10.0.0.0/8'] } }],
    ['0.0.0.0:3128', { tls }],
    ['0.0.0.0:3128', { allowOpenProxy: true }],
  ])('is none at %s with %j', (listen, extra) => {
    expect(
      parseConfig(JSON.stringify({ inbounds: [{ type: 'http', listen, ...extra }] }), 'f').inbounds[0]
        ?.listen,
    ).toBe(listen)
  })
})
