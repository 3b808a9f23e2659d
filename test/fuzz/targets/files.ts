// The files that a person writes or copies: configuration, users, revocation lists. Promises: whatever stands in them
// becomes a coded error or something that can be used as it is, and an error quotes no secret.
import { isDeepStrictEqual } from 'node:util'
import { parseConfig } from '../../../src/config/load.ts'
import { parseUsers } from '../../../src/gateway/users.ts'
import { readRevocationLists } from '../../../src/pki/revocation-list-reader.ts'
import type { Draw } from '../draw.ts'
import { mixed, mixedText } from '../mutate.ts'
import { attempt, promise, type Target } from '../target.ts'

const utf8 = (input: Uint8Array): string => Buffer.from(input).toString('utf8')

const INBOUNDS = [
  'inbounds: [{type: http, listen: "127.0.0.1:0"}]',
  'inbounds:\n  - {type: socks, listen: "[::1]:1080"}',
  'inbounds:\n  - &a {type: mixed, listen: "127.0.0.1:1"}\n  - *a',
  'inbounds: [{type: http, listen: "0.0.0.0:0", allowOpenProxy: true}]',
  '{"inbounds": [{"type": "http", "listen": "127.0.0.1:0"}]}',
]
const SECTIONS = [
  'limits: {headBytes: 4096}',
  'egress: {allow: ["127.0.0.0/8"]}',
  'log: {level: debug}',
  'exposure: off',
  'admin: {listen: "127.0.0.1:0"}',
  'outbounds: {x: {type: direct}}',
  'dns: {minTtlMs: 5, maxTtlMs: 2}',
  'limits: {headBytes: .nan, dialMs: 1e400}',
  'egress: &e {deny: [*e]}',
  'x: *unknown',
  '__proto__: {admin: 1}',
  '? {a: 1}\n: 2',
  '? [1]\n: 2',
  'log: !!binary aGVsbG8=',
  'limits: !!set {a, b}',
  '<<: {exposure: off}',
  'a: &a [1]\nb: &b [*a,*a]\nc: &c [*b,*b]\nd: [*c,*c]',
  '--- x\n...',
  '%YAML 1.1\n---\nlog: {level: no}',
  'log: {level: !<tag:yaml.org,2002:timestamp> 2001-12-14}',
  'drainTimeoutMs: 0x10',
]

function config(draw: Draw): string {
  if (draw.below(5_000) === 0) return draw.pick(['[', '{a: ', '- ', '? ']).repeat(draw.pick([400, 3_000]))
  if (draw.below(2_000) === 0) return `x: ${'&a [*a, '.repeat(30)}${']'.repeat(30)}`
  if (draw.below(500) === 0) return `a: &a [1]\nb: [${'*a,'.repeat(150)}]\nc: ${'*a '.repeat(3)}`
  const sections = Array.from({ length: draw.below(3) }, () => draw.pick(SECTIONS))
  return [draw.pick(INBOUNDS), ...sections].join('\n')
}

export const configFile: Target = {
  name: 'config',
  generate: (draw) => mixedText(draw, config),
  check(input) {
    const outcome = attempt(['config-invalid'], () => parseConfig(utf8(input), 'f.yaml'))
    if (outcome.code !== undefined) return 'refused'
    const { value } = outcome
    promise(value.inbounds.length > 0, 'it has no inbound')
    const json = JSON.stringify(value)
    promise(
      isDeepStrictEqual(JSON.parse(JSON.stringify(parseConfig(json, 'f.json'))), JSON.parse(json)),
      'it does not come back',
    )
    return 'read'
  },
  deep: { words: ['read'], share: 0.05 },
}

const HASH = 'c2FsdHNhbHQ=$S0JaQ2FzZGZhc2RmYXNkZmFzZGZhc2RmYXNkZmFzZGY='

export const usersFile: Target = {
  name: 'users',
  generate: (draw) =>
    mixedText(draw, (own) =>
      Array.from({ length: 1 + own.below(3) }, () => {
        const cost = own.chance(70)
          ? `${own.pick([1024, 16_384, 32_768])}$8$1`
          : `${own.below(40_000)}$${own.below(12)}$${own.below(9)}`
        return `${own.text('abc.é-', 1, 6)}:scrypt$${cost}$${HASH}${own.pick(['', '\r', '\n# x'])}`
      }).join('\n'),
    ),
  check(input) {
    const said = utf8(input)
    const outcome = attempt(['config-invalid'], () => parseUsers(said, 'users'))
    if (outcome.code !== undefined) return 'refused'
    for (const [name, { N, r, p, salt, hash }] of outcome.value) {
      promise(name !== '' && !/[:\s]/.test(name), 'a name is none')
      promise(hash.length === 32 && salt.length > 0, 'a hash or a salt is none')
      // What scrypt does not take would fail at a user's first sign-in; what costs more would stop everybody's.
      promise(N > 1 && (N & (N - 1)) === 0 && r >= 1 && p >= 1, 'scrypt does not take its cost')
      promise(
        128 * N * r <= 256 * 1024 * 1024 && N * r * p <= 2 ** 24,
        'scrypt would take too much of the machine',
      )
    }
    return outcome.value.size > 0 ? 'read' : 'empty'
  },
  deep: { words: ['read'], share: 0.1 },
}

const der = (tag: number, ...parts: Uint8Array[]): Buffer => {
  const content = Buffer.concat(parts)
  const length = content.length < 128 ? [content.length] : [0x82, content.length >> 8, content.length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...length]), content])
}
const ALGORITHM = der(0x30, der(0x06, Buffer.from('2a8648ce3d040302', 'hex')))
const time = (draw: Draw): Buffer =>
  der(0x17, Buffer.from(`${draw.pick(['24', '25', '49', '50'])}0101000000Z`))

/** RFC 5280 section 5.1, unsigned. */
function revocationList(draw: Draw): Uint8Array {
  const entries = Array.from({ length: draw.below(4) }, () => {
    const critical = der(0x30, der(0x30, der(0x06, draw.bytes(3)), der(0x01, draw.bytes(1)), der(0x04)))
    return der(
      0x30,
      der(0x02, draw.bytes(1 + draw.below(4))),
      time(draw),
      draw.chance(10) ? critical : Buffer.alloc(0),
    )
  })
  const version = draw.chance(90) ? der(0x02, Buffer.from([1])) : Buffer.alloc(0)
  const revoked = entries.length > 0 ? der(0x30, ...entries) : Buffer.alloc(0)
  const signed = der(0x30, version, ALGORITHM, der(0x30), time(draw), time(draw), revoked)
  const list = der(0x30, signed, ALGORITHM, der(0x03, Buffer.from([0]), draw.bytes(8)))
  if (draw.chance(70)) return list
  return Buffer.from(`-----BEGIN X509 CRL-----\n${list.toString('base64')}\n-----END X509 CRL-----\n`)
}

export const revocationListFile: Target = {
  name: 'revocation-list',
  generate: (draw) => mixed(draw, revocationList),
  check(input) {
    const outcome = attempt(['pki-invalid', 'revocation-list-unusable'], () => readRevocationLists(input))
    if (outcome.code !== undefined) return 'refused'
    if (input[0] === 0x30) {
      // What has lost its end must not pass for a shorter list, in which nobody is revoked.
      const cut = attempt(['pki-invalid', 'revocation-list-unusable'], () =>
        readRevocationLists(input.subarray(0, input.length - 1 - (input.at(-1)! % input.length))),
      )
      promise(cut.code !== undefined, 'a list without its end is taken')
    }
    for (const { serials, thisUpdate, nextUpdate } of outcome.value) {
      promise(!Number.isNaN(thisUpdate.getTime()) && !Number.isNaN(nextUpdate.getTime()), 'a time is none')
      for (const serial of serials) promise(/^[0-9a-f]+$/.test(serial), 'a serial is none')
    }
    return 'read'
  },
  deep: { words: ['read'], share: 0.05 },
}
