// What goes wrong at the command line, word for word: a wrong call is exit 2 with a hint at the help, a failure exit 1
// with what to do about it.
import { mkdir, writeFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { ensureDevelopmentPki } from '../../src/pki/store.ts'
import { tempDir } from '../support/temp-dir.ts'
import { startRawOrigin } from '../support/wire.ts'
import { type } from './terminal.ts'

describe('a wrong call', () => {
  it.each([
    [
      'up now',
      "unexpected argument 'now'. This command does not take positional arguments; hint: sightline up --help",
    ],
    ['up --dir', "option '--dir <value>' argument missing; hint: sightline up --help"],
    ['serve', 'no config file given: add --config FILE; hint: sightline serve --help'],
    ['serve --confg x', "unknown option '--confg'"],
    [
      'connect',
      'no gateway given: sightline connect wss://HOST:8443/tunnel …; hint: sightline connect --help',
    ],
    ['connect wss://a/tunnel wss://b/tunnel', 'no authority given'],
    ['connect wss://a/tunnel', 'no authority given: add --authority ca.crt; hint: sightline connect --help'],
    ['lab', 'say what to do: lab run, lab serve or lab grade'],
    ['lab run --mode vpn', 'there is no mode "vpn"; there are '],
    [
      'lab run --scheme ftp',
      'there is no scheme "ftp"; there are http and https; hint: sightline lab --help',
    ],
    ['user add alice', 'no users file given: add --file F; hint: sightline user --help'],
    [
      'user --file DIR/users',
      'say what to do: user add NAME, user remove NAME or user list; hint: sightline user --help',
    ],
    ['config', 'say what to do: config check FILE, or config schema; hint: sightline config --help'],
    ['config check', 'say what to do: config check FILE, or config schema; hint: sightline config --help'],
    [
      'config check a b',
      'say what to do: config check FILE, or config schema; hint: sightline config --help',
    ],
    ['usage', 'say which store: --config FILE or --store FILE; hint: sightline usage --help'],
    ['usage --store a --config b', 'say which store: --config FILE or --store FILE'],
    [
      'usage --store a --day 2026-02-30',
      'days are written 2026-01-31, today or yesterday, the earlier one first',
    ],
    ['usage --store a --since today --until yesterday', 'days are written 2026-01-31'],
    ['usage --store a --day today --since yesterday', '--day is one day, --since and --until are several'],
    ['usage --store a --until today', '--until goes with --since'],
    ['health --port 1', "unknown option '--port'"],
  ])('%j exits with 2', async (line, message) => {
    await using dir = await tempDir()
    const { exit, out, err } = await type(line.split(' '), { dir: dir.path })
    expect({ exit, out, lines: err.split('\n').length }).toEqual({ exit: 2, out: '', lines: 1 })
    expect(err.startsWith(`error: ${message}`)).toBe(true)
    expect(err).toMatch(/; hint: sightline [a-z]+ --help$/)
  })
})

describe('config check', () => {
  const http = 'inbounds: [{ type: http, listen: "127.0.0.1:0" }]'
  const tunnel = (tls: string): string =>
    `inbounds: [{ type: tunnel, listen: "127.0.0.1:0", tls: { ${tls} } }]`
  const trust =
    'certificate: certs/gateway.crt, key: certs/gateway.key, clientAuthority: certs/ca.crt, revocationList: certs/ca.crl'

  it.each([
    [
      'an unknown key',
      `${http}\negres: {}`,
      'error: DIR/gateway.yaml: the file: unknown key "egres"; hint: README.md and config/ show each key; `sightline config schema` gives a schema for editors',
    ],
    [
      'an open proxy',
      'inbounds: [{ type: socks, listen: "0.0.0.0:1080" }]',
      'error: DIR/gateway.yaml: inbounds[0].listen: 0.0.0.0:1080 can be reached from other machines, and nothing says who may use it; add auth.users, auth.sources or tls.clientAuthority, listen on 127.0.0.1, or set allowOpenProxy: true (found "0.0.0.0:1080"); hint: ',
    ],
    [
      'a certificate that is not there',
      tunnel(trust.replace('gateway.crt', 'none.crt')),
      'error: tls.certificate DIR/certs/none.crt: there is no such file; hint: check the path; paths in a config file are relative to that file',
    ],
    [
      'a key of another certificate',
      tunnel(trust.replace('gateway.key', 'client.key')),
      'error: DIR/certs/gateway.crt and DIR/certs/client.key: the certificate and its key cannot be used together; hint: check that both files belong to the same name; `sightline pki list` shows what was issued',
    ],
    [
      'an authority that is none',
      tunnel(trust.replace('certs/ca.crt', 'users')),
      'error: DIR/users and its revocation list: ',
    ],
    [
      'a users file that is none',
      'inbounds: [{ type: http, listen: "127.0.0.1:0", auth: { users: users } }]',
      'error: DIR/users: line 1 is not name:scrypt-hash; hint: write it with: sightline user add NAME --file DIR/users',
    ],
    [
      'a secret of replicas that is too short',
      `${http}\nstate: { redis: "redis://redis.example", secretFile: users }`,
      'error: state.secretFile DIR/users: it has fewer than 32 characters; hint: make it once, and give every replica the same: openssl rand -base64 32',
    ],
    [
      "a store's authority that is none",
      `${http}\nstate: { redis: "rediss://a:sesame@redis.example", secretFile: certs/ca.crt, authority: users }`,
      'error: state.authority DIR/users: it holds no certificate that can be read; hint: give the PEM file of the authority',
    ],
    [
      'a password of a store that is not there',
      `${http}\nstate: { redis: "redis://redis.example", secretFile: certs/ca.crt, passwordFile: none }`,
      'error: state.passwordFile DIR/none: there is no such file; hint: ',
    ],
    ['a rule that is none', `${http}\negress: { allow: ["300.1.1.1/8"] }`, 'error: '],
    [
      'a star without quotes',
      `${http}\negress: { deny: [*:25] }`,
      'error: DIR/gateway.yaml: Unresolved alias',
    ],
  ])('%s', async (_what, text, message) => {
    await using dir = await tempDir()
    await ensureDevelopmentPki(dir.file('certs'))
    await writeFile(dir.file('users'), 'alice:sesame\n')
    await writeFile(dir.file('gateway.yaml'), `${text}\n`)
    const { exit, out, err } = await type(['config', 'check', 'DIR/gateway.yaml'], { dir: dir.path })
    expect({ exit, out }).toEqual({ exit: 1, out: '' })
    expect(err.slice(0, message.length)).toBe(message)
    expect(err).toMatch(/; hint: /)
    expect(err).not.toMatch(/sesame|defect|\n +at /)
  })

  it('of a good file says what it makes', async () => {
    await using dir = await tempDir()
    await ensureDevelopmentPki(dir.file('certs'))
    await writeFile(dir.file('gateway.yaml'), `${tunnel(trust)}\n`)
    expect(await type(['config', 'check', 'DIR/gateway.yaml'], { dir: dir.path })).toEqual({
      exit: 0,
      out: 'ok: DIR/gateway.yaml: tunnel+tls 127.0.0.1:0',
      err: '',
    })
  })

  it('of a file that is not there', async () => {
    expect(await type(['config', 'check', '/nonexistent/gateway.yaml'])).toEqual({
      exit: 1,
      out: '',
      err: 'error: config file /nonexistent/gateway.yaml: there is no such file; hint: check the path; paths in a config file are relative to that file',
    })
  })
})

describe('health', () => {
  it('with nothing running', async () => {
    await using dir = await tempDir()
    let port = 0
    {
      await using taken = await startRawOrigin()
      port = taken.port
    }
    await writeFile(
      dir.file('gateway.yaml'),
      `inbounds: [{ type: http, listen: "127.0.0.1:0" }]\nadmin: { listen: "127.0.0.1:${port}" }\n`,
    )
    expect(await type(['health', '--config', 'DIR/gateway.yaml'], { dir: dir.path })).toEqual({
      exit: 1,
      out: '',
      err: 'error: nothing answers at the admin address; hint: is the gateway running, with this config?',
    })
  })
})

describe('an address that cannot be listened on', () => {
  const serve = (listen: string, admin = '127.0.0.1:0'): string =>
    JSON.stringify({ inbounds: [{ type: 'http', listen, allowOpenProxy: true }], admin: { listen: admin } })

  it('is in use: serve', async () => {
    await using dir = await tempDir()
    await using taken = await startRawOrigin()
    const address = `127.0.0.1:${taken.port}`
    const expected = {
      exit: 1,
      out: '',
      err: `error: ${address} is in use; hint: stop what listens there (ss -ltnp 'sport = :${taken.port}' shows it), or choose another port`,
    }
    await writeFile(dir.file('gateway.yaml'), serve(address))
    expect(await type(['serve', '--config', 'DIR/gateway.yaml'], { dir: dir.path })).toEqual(expected)
    await writeFile(dir.file('gateway.yaml'), serve('127.0.0.1:0', address))
    expect(await type(['serve', '--config', 'DIR/gateway.yaml'], { dir: dir.path })).toEqual(expected)
  })

  it('is in use: connect', async () => {
    await using dir = await tempDir()
    await ensureDevelopmentPki(dir.path)
    await using taken = await startRawOrigin()
    const { exit, out, err } = await type(
      [
        'connect',
        'wss://localhost:1/tunnel',
        '--authority',
        'DIR/ca.crt',
        '--listen',
        `127.0.0.1:${taken.port}`,
      ],
      { dir: dir.path },
    )
    expect({ exit, out }).toEqual({ exit: 1, out: '' })
    expect(err.split('\n').at(-1)).toMatch(
      new RegExp(`^error: 127\\.0\\.0\\.1:${taken.port} is in use; hint: `),
    )
  })

  it("is another machine's", async () => {
    await using dir = await tempDir()
    await writeFile(dir.file('gateway.yaml'), serve('192.0.2.1:3128'))
    expect(await type(['serve', '--config', 'DIR/gateway.yaml'], { dir: dir.path })).toEqual({
      exit: 1,
      out: '',
      err: 'error: 192.0.2.1:3128: EADDRNOTAVAIL; hint: listen on an address that this machine has',
    })
  })
})

describe('connect', () => {
  it.each([
    [
      ['ws://localhost/tunnel'],
      'error: URL: not a tunnel address; write it as wss://host:8443/tunnel (found "ws://localhost/tunnel"); hint: sightline connect --help shows each option',
    ],
    [
      ['wss://localhost/tunnel', '--listen', 'here'],
      'error: --listen: not an address to listen on; write it as 127.0.0.1:3128 or [::1]:3128 (found "here"); hint: ',
    ],
    [
      ['wss://localhost/tunnel', '--connections', '99'],
      'error: --connections: Too big: expected number to be <=16 (found "99"); hint: ',
    ],
    [
      ['wss://localhost/tunnel', '--listen', '0.0.0.0:1081'],
      'error: --listen: 0.0.0.0:1081 can be reached from other machines',
    ],
  ])('names the option that is wrong: %j', async (args, message) => {
    const { exit, out, err } = await type(['connect', '--authority', 'DIR/ca.crt', ...args], {
      dir: '/nonexistent',
    })
    expect({ exit, out }).toEqual({ exit: 1, out: '' })
    expect(err.slice(0, message.length)).toBe(message)
  })
})

describe('user', () => {
  it('says of a file that is none which line', async () => {
    await using dir = await tempDir()
    await mkdir(dir.file('config'))
    await writeFile(dir.file('users'), '# users\nalice sesame\n')
    const { exit, err } = await type(['user', 'list', '--file', 'DIR/users'], { dir: dir.path })
    expect(exit).toBe(1)
    expect(err).toMatch(
      /^error: DIR\/users: line \d is not name:scrypt-hash; hint: write it with: sightline user add NAME --file DIR\/users$/,
    )
    expect(err).not.toContain('sesame')
  })
})
