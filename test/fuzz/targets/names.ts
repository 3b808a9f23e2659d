// What is read before a destination is judged: hosts, egress rules, first bytes. Promises: one spelling for each host,
// which no second reading changes and no other reader takes for another address; rules say what they say.
import net from 'node:net'
import { isDeepStrictEqual } from 'node:util'
import { parseListenAddress, parsePortRange } from '../../../src/config/address.ts'
import { parseEgressRules, type EgressRule } from '../../../src/policy/egress-rules.ts'
import { normalizeHost } from '../../../src/policy/host.ts'
import { formatAddress } from '../../../src/policy/ip-address.ts'
import { FirstBytesClassifier, type FirstBytes } from '../../../src/protocol/first-bytes.ts'
import { classifyDatagram, isQuicInitial } from '../../../src/protocol/first-datagram.ts'
import { parseHosts } from '../../../src/transport/hosts-file.ts'
import { Draw } from '../draw.ts'
import { mixed, mixedText } from '../mutate.ts'
import { attempt, chunksOf, promise, type Target } from '../target.ts'

const utf8 = (input: Uint8Array): string => Buffer.from(input).toString('utf8')

/** One number of an address in a spelling of inet_aton. */
function number(draw: Draw): string {
  const value = draw.below(draw.pick([2, 256, 70_000, 0xffffffff]))
  return draw.pick([
    String(value),
    String(value),
    `0${value.toString(8)}`,
    `0x${value.toString(16)}`,
    '0X7F',
    '08',
    '',
  ])
}

function host(draw: Draw): string {
  switch (draw.below(5)) {
    case 0:
      return Array.from({ length: 1 + draw.below(4) }, () => number(draw)).join('.')
    case 1:
      return `${draw.text('abcXYZ019-_', 1, 8)}.${draw.text('aZ09', 1, 4)}${draw.pick(['', '.'])}`
    case 2:
      return draw.pick([
        '[::1]',
        '::ffff:127.0.0.1',
        '2002:7f00:1::',
        '::1.2.3.4',
        '[1:2:3:4:5:6:7:8]',
        '1::',
        'fe80::1%1',
      ])
    case 3:
      return Array.from({ length: 8 }, () => draw.below(0x10000).toString(16)).join(':')
    default:
      return draw.pick([
        'localhost',
        'xn--bcher-kva.example',
        'a'.repeat(64),
        '127.1',
        '0x7f000001',
        'bücher.example',
      ])
  }
}

export const normalizedHost: Target = {
  name: 'host',
  generate: (draw) => mixedText(draw, host),
  check(input) {
    const said = utf8(input)
    const outcome = attempt(['bad-request'], () => normalizeHost(said))
    if (outcome.code !== undefined) return 'refused'
    const found = outcome.value
    const own = found.kind === 'name' ? found.name : found.address
    promise(isDeepStrictEqual(normalizeHost(own), found), 'a second reading gives another host')
    if (found.kind === 'address') promise(net.isIP(own) !== 0, 'the address is none')
    else {
      promise(
        own === own.toLowerCase() && own.length <= 253 && !own.endsWith('.'),
        'the name has more spellings',
      )
      promise(/^[a-z0-9._-]+$/.test(own) && net.isIP(own) === 0, 'the name is none')
    }
    // The WHATWG URL parser, which browsers and fetch use, must not read another address there.
    const written = said.includes(':') && !said.startsWith('[') ? `[${said}]` : said
    const url = URL.parse(`http://${written}/`)
    if (url !== null && net.isIPv4(url.hostname))
      promise(url.hostname === own, `a browser goes to ${url.hostname}`)
    return found.kind
  },
  deep: { words: ['address', 'name'], share: 0.2 },
}

function rule(draw: Draw): string {
  const ports = draw.pick(['', ':443', ':*', ':9000-9010', ':10-9', ':0', `:${draw.below(70_000)}`])
  const range = draw.pick([
    '10.0.0.0/8',
    '127.0.0.1',
    '192.0.2.0/24',
    '10.0.0.1/8',
    '0.0.0.0/0',
    '1.2.3.4/33',
  ])
  const six = draw.pick(['[2001:db8::/32]', '[::1]', '2001:db8::/32', '[::ffff:10.0.0.0/104]', '[::1]/64'])
  return `${draw.pick(['*', range, range, six, six, `*.${host(draw)}`, host(draw)])}${ports}`
}

export const egressRule: Target = {
  name: 'egress-rule',
  generate: (draw) => mixedText(draw, rule),
  check(input) {
    const read = (text: string) =>
      attempt(['config-invalid'], () =>
        parseEgressRules({ mode: 'enforce', allow: [text], deny: [], allowOnly: false }),
      )
    const outcome = read(utf8(input))
    if (outcome.code !== undefined) return 'refused'
    const own = outcome.value.allow[0]
    promise(own !== undefined && own.id === 'allow[0]', 'the rule has another id')
    promise(
      own.firstPort >= 1 && own.firstPort <= own.lastPort && own.lastPort <= 65_535,
      'the ports are none',
    )
    const again = read(formatRule(own))
    promise(
      again.code === undefined && isDeepStrictEqual(again.value, outcome.value),
      'the rule does not come back',
    )
    return own.host.kind
  },
  deep: { words: ['any', 'name', 'below', 'range'], share: 0.1 },
}

function formatRule({ host: of, firstPort, lastPort }: EgressRule): string {
  const ports = `${firstPort}-${lastPort}`
  switch (of.kind) {
    case 'any':
      return `*:${ports}`
    case 'name':
      return `${of.name}:${ports}`
    case 'below':
      return `*${of.suffix}:${ports}`
    case 'range': {
      const range = `${formatAddress(of.prefix.bytes)}/${of.prefix.bits}`
      return `${range.includes(':') ? `[${range}]` : range}:${ports}`
    }
  }
}

const OPENINGS = [
  'GET / HTTP/1.1\r\n',
  'SSH-2.0-x\r\n',
  'CONNECT a:1',
  'POST http://a/',
  'HTTP/1.1 200 OK',
  'EHLO a.b\r\n',
]
const HELLO = Buffer.from('160301003a0100003603', 'hex')

/** Pieces of both directions: a byte of direction and length, then so many bytes. */
export const firstBytes: Target = {
  name: 'first-bytes',
  generate: (draw) =>
    mixed(draw, (own) =>
      Buffer.concat(
        Array.from({ length: 1 + own.below(3) }, () => {
          const bytes = own.chance(40) ? HELLO : Buffer.from(own.pick(OPENINGS))
          const piece = bytes.subarray(0, own.chance(80) ? bytes.length : own.below(bytes.length + 1))
          return Buffer.concat([Buffer.from([(own.chance(75) ? 0 : 0x80) | piece.length]), piece])
        }),
      ),
    ),
  check(input) {
    const whole = classify(input, (piece) => [piece])
    promise(whole === classify(input, (piece) => chunksOf(piece, Draw.seeded(input.length))), 'chunks decide')
    return whole
  },
  deep: { words: ['tls', 'http', 'ssh'], share: 0.2 },
}

export const firstDatagram: Target = {
  name: 'first-datagram',
  generate: (draw) =>
    mixed(draw, (own) => {
      if (own.chance(50)) {
        const packet = own.pick(['c000000001', 'd06b3343cf', 'e000000001', '4000000000'])
        const length = own.pick([40, 1_199, 1_200, 1_252])
        return Buffer.concat([
          Buffer.from(packet, 'hex'),
          Buffer.from([own.below(24)]),
          Buffer.alloc(length - 6),
        ])
      }
      const labels = Array.from({ length: own.below(5) }, () => own.text('abc-', 1, 63))
      const name = labels.flatMap((label) => [label.length, ...Buffer.from(label)])
      const counts = Buffer.from([0, 1, 0, 0, 0, 0, 0, own.below(3)])
      return Buffer.concat([Buffer.from([1, 2, 1, 0]), counts, Buffer.from([...name, 0, 0, 1, 0, 1])])
    }),
  check(input) {
    const spoken = classifyDatagram(input)
    const around = Buffer.concat([Buffer.alloc(9, 0xee), input, Buffer.alloc(300)])
    const inside = classifyDatagram(around.subarray(9, 9 + input.length))
    promise(spoken === inside, 'it looks at more than it was given')
    if (spoken === 'quic') promise(input.length >= 1_200 && isQuicInitial(input), 'QUIC without an Initial')
    if (spoken === 'dns') promise(input.length >= 17 && (input[2]! & 0x80) === 0, 'DNS without a question')
    return spoken
  },
  deep: { words: ['quic', 'dns'], share: 0.2 },
}

function classify(input: Uint8Array, divide: (piece: Uint8Array) => Uint8Array[]): FirstBytes {
  const classifier = new FirstBytesClassifier()
  let decided: FirstBytes | undefined
  for (let at = 0; at < input.length;) {
    const direction = (input[at]! & 0x80) === 0 ? 'up' : 'down'
    const piece = input.subarray(at + 1, at + 1 + (input[at]! & 0x7f))
    at += 1 + piece.length
    for (const chunk of divide(piece)) {
      const now = classifier.push(direction, chunk)
      promise(decided === undefined || now === decided, 'the decision changes')
      decided = now
    }
  }
  const end = classifier.end()
  promise(decided === undefined || end === decided, 'the end changes the decision')
  return end
}

export const listenAddress: Target = {
  name: 'listen-address',
  generate: (draw) =>
    mixedText(
      draw,
      (own) =>
        `${own.pick(['127.0.0.1', '[::1]', '*', 'localhost', '1-65535', '0.0.0.0'])}:${own.below(70_000)}`,
    ),
  check(input) {
    const said = utf8(input)
    const range = parsePortRange(said)
    if (range !== undefined) {
      promise(range.first >= 1 && range.first <= range.last && range.last <= 65_535, 'the ports are none')
    }
    const read = parseListenAddress(said)
    if (read === undefined) return 'none'
    promise(net.isIP(read.host) !== 0, `${read.host} is no address`)
    promise(read.port >= 0 && read.port <= 65_535, 'the port is no port')
    const again = parseListenAddress(`${read.host.includes(':') ? `[${read.host}]` : read.host}:${read.port}`)
    promise(isDeepStrictEqual(again, read), 'it does not come back')
    return 'read'
  },
  deep: { words: ['read'], share: 0.2 },
}

export const hostsFile: Target = {
  name: 'hosts-file',
  generate: (draw) =>
    mixedText(draw, (own) =>
      Array.from(
        { length: own.below(5) },
        () =>
          `${own.pick(['127.0.0.1', '::1', 'fe80::1%lo', '# x', ' 10.0.0.1'])}${own.pick([' ', '\t'])}${host(own)} A.b.`,
      ).join(own.pick(['\n', '\r\n'])),
    ),
  check(input) {
    const hosts = parseHosts(utf8(input))
    for (const [name, addresses] of hosts) {
      promise(!/\s/.test(name) && name === name.toLowerCase() && !name.includes('#'), 'a name is none')
      promise(
        addresses.length > 0 && addresses.every((address) => net.isIP(address) !== 0),
        'an address is none',
      )
    }
    return hosts.size > 0 ? 'read' : 'empty'
  },
  deep: { words: ['read'], share: 0.2 },
}
