// What a proxy reads of HTTP beside llhttp: targets, fields, Basic credentials, an upstream's answer. Promises: a target
// holds nothing that could be read in two ways, and no field of one hop passes.
import { ERROR_ANSWERS } from '../../../src/errors.ts'
import { readConnectAnswer } from '../../../src/protocol/http/connect-answer.ts'
import {
  endToEndFields,
  endToEndTrailers,
  fieldPairs,
  parseBasicCredentials,
} from '../../../src/protocol/http/fields.ts'
import { parseAbsoluteTarget, parseAuthority } from '../../../src/protocol/http/target.ts'
import type { Draw } from '../draw.ts'
import { mixedText } from '../mutate.ts'
import { attempt, promise, type Target } from '../target.ts'

const HOSTS = [
  'example.org',
  'a',
  '127.0.0.1',
  '[::1]',
  '[2001:db8::7]',
  '0x7f.1',
  'xn--bcher-kva.example',
  '[fe80::1%1]',
]
const PATHS = ['', '/', '/a/b?c=d', '?q', '//x', '/%2e%2e/', '*', '/a b', '/a#f', '/\u00e9']
const text = (input: Uint8Array): string => Buffer.from(input).toString('latin1')

function authority(draw: Draw): string {
  const port = draw.pick([
    '',
    ':',
    ':80',
    ':443',
    ':65535',
    ':65536',
    ':0',
    ':00080',
    `:${draw.below(70_000)}`,
  ])
  return `${draw.pick(['', '', '', 'user@'])}${draw.pick(HOSTS)}${port}`
}

export const httpAuthority: Target = {
  name: 'http-authority',
  generate: (draw) => mixedText(draw, authority),
  check(input) {
    const said = text(input)
    const strict = attempt(['bad-request'], () => parseAuthority(said))
    const outcome = attempt(['bad-request'], () => parseAuthority(said, 80))
    promise(strict.code !== undefined || outcome.code === undefined, 'a default port makes a target bad')
    if (outcome.code !== undefined) return 'refused'
    const { host, port } = outcome.value
    promise(Number.isInteger(port) && port >= 1 && port <= 65_535, 'the port is no port')
    promise(host !== '' && !/[\s@/?#[\]]/.test(host), 'the host could be read in two ways')
    const again = parseAuthority(`${host.includes(':') ? `[${host}]` : host}:${port}`)
    promise(again.host === host && again.port === port, 'it does not come back')
    return 'read'
  },
  deep: { words: ['read'], share: 0.2 },
}

export const httpAbsoluteTarget: Target = {
  name: 'http-absolute-target',
  generate: (draw) =>
    mixedText(
      draw,
      (own) => `${own.pick(['http', 'http', 'HTTP', 'https'])}://${authority(own)}${own.pick(PATHS)}`,
    ),
  check(input) {
    const said = text(input)
    const outcome = attempt(['bad-request'], () => parseAbsoluteTarget(said, 'GET'))
    if (outcome.code !== undefined) return 'refused'
    const { path, authority: own, destination } = outcome.value
    promise(path.startsWith('/') && !path.includes('#'), 'the path is none')
    promise(said.endsWith(path.slice(1)), 'the path has been changed')
    promise(
      own !== '' && said.toLowerCase().startsWith(`http://${own.toLowerCase()}`),
      'the authority has been changed',
    )
    promise(!/[\s@]/.test(own) && destination.host !== '', 'the authority could be read in two ways')
    const star = parseAbsoluteTarget(said, 'OPTIONS').path
    promise(star === path || (star === '*' && path === '/'), 'OPTIONS has another path')
    return 'read'
  },
  deep: { words: ['read'], share: 0.1 },
}

const HOP_BY_HOP = /^(connection|keep-alive|proxy-.*|te|transfer-encoding|upgrade)$/i
const NAMES = [
  'Connection',
  'Host',
  'Content-Length',
  'TE',
  'Upgrade',
  'Keep-Alive',
  'Transfer-Encoding',
  'X-A',
  'x-b',
]
const VALUES = [
  'close',
  'X-A',
  'x-b, host',
  'content-length,te',
  ', ,',
  'keep-alive',
  '',
  'chunked',
  'connection',
]

/** Lines of `name: value`. */
export const httpFields: Target = {
  name: 'http-fields',
  generate: (draw) =>
    mixedText(draw, (own) =>
      Array.from({ length: own.below(8) }, () => `${own.pick(NAMES)}:${own.pick(VALUES)}`).join('\n'),
    ),
  check(input) {
    const raw = text(input)
      .split('\n')
      .flatMap((line) => [line.split(':', 1)[0]!, line.slice(line.indexOf(':') + 1)])
    const kept = endToEndFields(raw)
    const pairs = [...fieldPairs(kept)]
    promise(kept.length % 2 === 0 && kept.length <= raw.length, 'there are more fields than before')
    for (const [name] of pairs)
      promise(!/^(connection|te|transfer-encoding|upgrade)$/i.test(name), `${name} passes`)
    const count = (fields: readonly string[], name: RegExp): number =>
      [...fieldPairs(fields)].filter(([field]) => name.test(field)).length
    const framing = /^(content-length|host)$/i
    promise(
      count(kept, framing) === count(raw, framing),
      'Connection takes a field of framing or routing away',
    )
    let at = 0
    for (const [name, value] of pairs) {
      while (at < raw.length && !(raw[at] === name && raw[at + 1] === value)) at += 2
      promise(at < raw.length, 'a field is changed or stands elsewhere')
      at += 2
    }
    for (const [name] of fieldPairs(endToEndTrailers(raw))) {
      promise(!framing.test(name) && !HOP_BY_HOP.test(name), `${name} passes as a trailer`)
    }
    return count(raw, /^connection$/i) > 0 ? 'connection' : 'plain'
  },
  deep: { words: ['connection'], share: 0.05 },
}

export const basicCredentials: Target = {
  name: 'basic-credentials',
  generate: (draw) =>
    mixedText(draw, (own) => {
      const pair = `${own.text('abcé', 0, 6)}${own.pick([':', ':', ':', ''])}${own.text('xyz:ü', 0, 9)}`
      return `${own.pick(['Basic', 'basic', 'BASIC '])} ${Buffer.from(pair).toString('base64')}`
    }),
  check(input) {
    const read = parseBasicCredentials(text(input))
    if (read === undefined) return 'none'
    const { name, password } = read
    promise(!name.includes(':'), 'the name has a colon')
    promise(name.length + password.length <= input.length, 'it grows')
    const again = parseBasicCredentials(`Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`)
    // A leading byte order mark is no part of a text, and goes.
    promise(
      again?.password === password && (again.name === name || name.startsWith('\ufeff')),
      'it does not come back',
    )
    return 'read'
  },
  deep: { words: ['read'], share: 0.2 },
}

const CODES = Object.keys(ERROR_ANSWERS)
const SQUID = [
  'ERR_CONNECT_FAIL 111',
  'ERR_DNS_FAIL 0',
  'ERR_ACCESS_DENIED 0',
  'ERR_CONNECT_FAIL 999',
  '__proto__',
]

/** Status in the first two bytes, then the values of `Sightline-Error` and `X-Squid-Error`, a line each. */
export const connectAnswer: Target = {
  name: 'connect-answer',
  generate: (draw) => {
    const values = mixedText(draw, (own) => `${own.pick([...CODES, 'toString', ''])}\n${own.pick(SQUID)}`)
    const status = 100 + draw.below(500)
    return Buffer.concat([Buffer.from([status >> 8, status & 0xff]), values])
  },
  check(input) {
    const status = (input[0] ?? 0) * 256 + (input[1] ?? 0)
    const [own = '', squid] = text(input.subarray(2)).split('\n')
    const fields = [
      ...(own === '' ? [] : ['Sightline-Error', own]),
      ...(squid ? ['X-Squid-Error', squid] : []),
    ]
    const code = readConnectAnswer(status, fields)
    promise(
      (code === undefined) === (status >= 200 && status < 300),
      'success is told by another than the status',
    )
    if (code === undefined) return 'tunnel'
    promise(Object.hasOwn(ERROR_ANSWERS, code), `there is no code ${code}`)
    // What an upstream says of us is never said to our client of them.
    promise(!/^(auth|source|too-many|certificate|rate|quota)/.test(code), `it passes ${code} on`)
    return 'refused'
  },
  deep: { words: ['refused'], share: 0.2 },
}
