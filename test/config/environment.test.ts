// The environment in a config file: what is replaced, what stays, and that a variable that is not set is an error which
// names it and shows no value.
import { describe, expect, it } from 'vitest'
import { parseConfig } from '../../src/config/load.ts'
import type { Config } from '../../src/config/schema.ts'
import { GatewayError } from '../../src/errors.ts'

const parse = (text: string, env: Record<string, string> = {}): Config => parseConfig(text, 'g.yaml', env)
const httpOn = (listen: string): string => `inbounds:\n  - type: http\n    listen: ${listen}\n`

function refusal(text: string, env: Record<string, string> = {}): string {
  try {
    parse(text, env)
  } catch (thrown) {
    if (thrown instanceof GatewayError && thrown.code === 'config-invalid') return thrown.message
    throw thrown
  }
  throw new Error('it was taken')
}

describe('a reference to the environment', () => {
  it.each([
    ['alone', '${ADDRESS}', { ADDRESS: '127.0.0.1:81' }, '127.0.0.1:81'],
    ['inside a value', '127.0.0.1:${PORT}', { PORT: '82' }, '127.0.0.1:82'],
    ['twice', '${HOST}:${PORT}', { HOST: '127.0.0.1', PORT: '83' }, '127.0.0.1:83'],
    ['in quotes', '"${HOST}:84"', { HOST: '127.0.0.1' }, '127.0.0.1:84'],
    ['with a default that is not needed', '${A:-127.0.0.1:85}', { A: '127.0.0.1:86' }, '127.0.0.1:86'],
    ['with a default', '${A:-127.0.0.1:87}', {}, '127.0.0.1:87'],
    ['with a default, and set to nothing', '${A:-127.0.0.1:88}', { A: '' }, '127.0.0.1:88'],
    ['with a default that holds what a default does', '"${A:-[::1]:89}"', {}, '[::1]:89'],
  ] as ReadonlyArray<readonly [string, string, Record<string, string>, string]>)(
    '%s',
    (_name, listen, env, expected) => {
      expect(parse(httpOn(listen), env).inbounds[0]?.listen).toBe(expected)
    },
  )

  it('is a number where it stands alone without quotes, and a text in them', () => {
    const env = { DRAIN: '5000', NAME: '5000' }
    const outbounds =
      'outbounds: { up: { type: socks, url: "socks5h://h", username: "${NAME}", passwordFile: p } }'
    const config = parse(`${httpOn('127.0.0.1:0')}drainTimeoutMs: \${DRAIN}\n${outbounds}`, env)
    expect(config.drainTimeoutMs).toBe(5000)
    expect(config.outbounds['up']).toMatchObject({ username: '5000' })
  })

  it('adds no key and no list, whatever the variable holds', () => {
    const config = parse(`${httpOn('127.0.0.1:0')}log:\n  level: info\negress: { deny: ["\${X}"] }`, {
      X: 'a"], allow: ["*"]\nallowOpenProxy: true',
    })
    expect(config.egress).toMatchObject({ allow: [], deny: ['a"], allow: ["*"]\nallowOpenProxy: true'] })
  })

  it('is not looked for in what it is replaced by, nor behind $$', () => {
    const config = parse(`${httpOn('127.0.0.1:0')}egress: { deny: ["\${X}", "$\${X}"] }`, { X: '${Y}' })
    expect(config.egress.deny).toEqual(['${Y}', '${X}'])
  })

  it.each([
    [
      'not set',
      httpOn('${ADDRESS}'),
      'inbounds[0].listen: the environment has no ADDRESS; set it, or give a default: ${ADDRESS:-…}',
    ],
    ['without an end', httpOn('"${ADDRESS"'), 'inbounds[0].listen: not a reference to the environment'],
    ['without a name', httpOn('"${}"'), 'inbounds[0].listen: not a reference to the environment'],
    ['a name that is none', httpOn('"${A-B}"'), 'inbounds[0].listen: not a reference to the environment'],
    [
      'in an admin token',
      `${httpOn('127.0.0.1:0')}admin: { token: "\${T}" }`,
      'admin.token: the environment has no T',
    ],
  ])('that is %s is an error', (_name, text, line) => {
    expect(refusal(text)).toContain(`g.yaml: ${line}`)
  })

  it('tells of each one that is missing, and nothing of those that are not', () => {
    const message = refusal(`${httpOn('${A}')}admin: { token: "\${B}", listen: "\${SECRET}" }`, {
      SECRET: 'sesame',
    })
    expect(message).toMatch(/no A;[^]*no B;/)
    expect(message).not.toContain('sesame')
  })
})
