// Captured streams as they should be, in many variants, for the dissectors' targets to change: TLS hellos, HTTP
// messages, SOCKS handshakes, WebSocket connections. Rule: each is well formed.
import * as build from '../../lab/dissect/hello-builder.ts'
import type { Draw } from '../draw.ts'

const HEADER_LINES = [
  'Cookie: a=b',
  'Authorization: Basic YTpi',
  'Proxy-Authorization: Basic w6k6',
  'X-Y: \u00ff',
  'Referer: http://a/',
  // Names that every object has.
  'Constructor: Basic YTpi',
  '__proto__: b',
]
const HEX = '0123456789abcdef'

export function clientHello(draw: Draw): Buffer {
  const numbers = Array.from({ length: 1 + draw.below(5) }, () => draw.below(0x10000))
  const extensions = [
    build.serverName(`${draw.text('abc', 1, 9)}.example`),
    build.alpn('h2', 'http/1.1'),
    build.supportedVersions(0x0304, 0x0303),
    build.signatureAlgorithms(...numbers),
    build.supportedGroups(...numbers),
    build.keyShare(0x1d, 0x11ec),
  ].slice(0, draw.below(7))
  const message = build.clientHelloMessage({
    ciphers: numbers,
    extensions: draw.chance(90) ? extensions : undefined,
  })
  const records = build.records(message, draw.chance(70) ? 0x4000 : 20 + draw.below(60))
  return Buffer.concat([records, draw.bytes(draw.below(6))])
}

export function serverHello(draw: Draw): Buffer {
  const keyShare = Buffer.concat([build.u16(51), build.vector16(build.u16(0x1d, 0))])
  const versions = Buffer.concat([build.u16(43), build.vector16(build.u16(0x0304))])
  const hello = Buffer.concat([
    build.u16(0x0303),
    draw.bytes(32),
    build.vector8(draw.bytes(draw.pick([0, 32]))),
    build.u16(0x1301),
    Buffer.from([0]),
    draw.chance(90)
      ? build.vector16(Buffer.concat([versions, keyShare].slice(0, draw.below(3))))
      : Buffer.alloc(0),
  ])
  return build.records(build.handshake(2, hello), draw.chance(70) ? 0x4000 : 20 + draw.below(40))
}

/** A body and the fields that frame it. */
function body(draw: Draw): { fields: string; content: string } {
  const content = draw.text('ab\r\n', 0, 20)
  switch (draw.below(3)) {
    case 0:
      return { fields: `Content-Length: ${content.length}\r\n`, content }
    case 1: {
      const chunk = (): string => {
        const bytes = draw.text('ab\r\n', 1, 20)
        return `${bytes.length.toString(16)}${draw.pick(['', ';a=b'])}\r\n${bytes}\r\n`
      }
      const chunks = Array.from({ length: draw.below(4) }, chunk).join('')
      return {
        fields: 'Transfer-Encoding: chunked\r\n',
        content: `${chunks}0\r\n${draw.pick(['', 'X: y\r\n'])}\r\n`,
      }
    }
    default:
      return { fields: '', content: '' }
  }
}

function headers(draw: Draw): string {
  return HEADER_LINES.filter(() => draw.chance(30))
    .map((line) => `${line}\r\n`)
    .join('')
}

export function httpRequest(draw: Draw): Buffer {
  const { fields, content } = body(draw)
  const target = draw.pick(['/', '/a?b', 'http://a.example/x', '*'])
  const head = `${draw.pick(['GET', 'POST', 'PUT'])} ${target} HTTP/1.1\r\nHost: a.example\r\n`
  return Buffer.from(`${head}${headers(draw)}${fields}\r\n${content}`, 'latin1')
}

export function httpResponse(draw: Draw): Buffer {
  const { fields, content } = body(draw)
  const status = draw.pick(['200 OK', '200 OK', '204', '407 No', '101 X', '100 Continue', '304 ', '502 Bad'])
  return Buffer.from(`HTTP/1.1 ${status}\r\n${headers(draw)}${fields}\r\n${content}`, 'latin1')
}

export function socksSides(draw: Draw): [client: Buffer, server: Buffer] {
  const name = Buffer.from(draw.text('abc.', 1, 12))
  if (draw.chance(35)) {
    const address = draw.chance(50) ? [0, 0, 0, 1] : [192, 0, 2, 1]
    const end = address[0] === 0 ? [...name, 0] : []
    const client = [4, 1, 0, 80, ...address, ...Buffer.from('me'), 0, ...end]
    return [Buffer.from(client), Buffer.from([0, draw.pick([90, 90, 91]), 0, 80, 1, 2, 3, 4])]
  }
  const password = draw.chance(50)
  const credentials = password ? [1, 2, 0x61, 0x62, 1, 0x63] : []
  const host = draw.pick([
    [1, 1, 2, 3, 4],
    [3, name.length, ...name],
    [4, ...draw.bytes(16)],
  ])
  const client = [5, 2, 0, 2, ...credentials, 5, 1, 0, ...host, 1, 0xbb]
  const server = [
    5,
    password ? 2 : 0,
    ...(password ? [1, 0] : []),
    5,
    draw.pick([0, 0, 5]),
    0,
    ...host,
    0,
    80,
  ]
  return [Buffer.from(client), Buffer.from(server)]
}

export function webSocketStream(draw: Draw, isClient: boolean): Buffer {
  const upgrade = `Upgrade: websocket\r\nSec-WebSocket-Key: ${draw.text(HEX, 8, 8)}\r\n\r\n`
  const head = isClient ? `GET /tunnel HTTP/1.1\r\nHost: a\r\n${upgrade}` : `HTTP/1.1 101 X\r\n${upgrade}`
  const frames: Buffer[] = []
  for (let left = draw.below(4); left > 0; left -= 1) {
    if (draw.chance(30)) {
      frames.push(
        webSocketFrame(draw, 0x01, isClient),
        webSocketFrame(draw, 0x89, isClient),
        webSocketFrame(draw, 0x80, isClient),
      )
    } else frames.push(webSocketFrame(draw, draw.pick([0x81, 0x82, 0x88, 0x8a]), isClient))
  }
  return Buffer.concat([Buffer.from(head), ...frames])
}

function webSocketFrame(draw: Draw, first: number, masked: boolean): Buffer {
  const isControl = (first & 0x08) !== 0
  const payload = draw.bytes(!isControl && draw.chance(10) ? 126 + draw.below(80) : draw.below(20))
  const bit = masked ? 0x80 : 0
  const length =
    payload.length < 126 ? [bit | payload.length] : [bit | 126, payload.length >> 8, payload.length & 0xff]
  return Buffer.concat([Buffer.from([first, ...length]), masked ? draw.bytes(4) : Buffer.alloc(0), payload])
}
