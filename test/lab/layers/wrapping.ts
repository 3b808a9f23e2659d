// Builds the outer layers of captures by hand: CONNECT, SOCKS5, a WebSocket with mux frames in it. Rule: written from
// the RFCs and docs/protocol.md, not with the code of src/lab that reads them.
import { encodeFrame, type Frame } from '../../../src/protocol/mux/frame.ts'

export interface Streams {
  readonly up: Buffer
  readonly down: Buffer
}

export const CONNECT_HEAD =
  'CONNECT site.example:443 HTTP/1.1\r\nHost: site.example:443\r\nProxy-Authorization: Basic dXNlcjpwYXNz\r\n\r\n'
const CONNECT_ANSWER = 'HTTP/1.1 200 Connection established\r\n\r\n'

export function inConnect({ up, down }: Streams): Streams {
  return {
    up: Buffer.concat([Buffer.from(CONNECT_HEAD), up]),
    down: Buffer.concat([Buffer.from(CONNECT_ANSWER), down]),
  }
}

/** RFC 1928 and 1929: greeting, user and password, CONNECT to the name; bound to 127.0.0.1:1. */
export function inSocks({ up, down }: Streams, name = 'site.example'): Streams {
  const greeting = [5, 1, 2]
  const password = [1, 4, ...Buffer.from('user'), 4, ...Buffer.from('pass')]
  const request = [5, 1, 0, 3, name.length, ...Buffer.from(name), 0, 80]
  const answers = [5, 2, 1, 0, 5, 0, 0, 1, 127, 0, 0, 1, 0, 1]
  return {
    up: Buffer.concat([Buffer.from([...greeting, ...password, ...request]), up]),
    down: Buffer.concat([Buffer.from(answers), down]),
  }
}

export const UPGRADE_HEAD =
  'GET /tunnel HTTP/1.1\r\nHost: gateway.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\r\n'
const UPGRADE_ANSWER = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n'

/** A tunnel session: each side's mux frames as binary messages, the client's masked (RFC 6455 section 5.2). */
export function inTunnel(frames: {
  readonly up: readonly Frame[]
  readonly down: readonly Frame[]
}): Streams {
  return {
    up: Buffer.concat([
      Buffer.from(UPGRADE_HEAD),
      ...frames.up.map((frame, index) => webSocketFrame(encodeFrame(frame), index + 1)),
    ]),
    down: Buffer.concat([
      Buffer.from(UPGRADE_ANSWER),
      ...frames.down.map((frame) => webSocketFrame(encodeFrame(frame))),
    ]),
  }
}

/** One final binary frame; masked where a mask is given. */
export function webSocketFrame(payload: Uint8Array, mask?: number): Buffer {
  const masked = mask === undefined ? 0 : 0x80
  const short = payload.length < 126
  const length = short
    ? [masked | payload.length]
    : [masked | 126, payload.length >>> 8, payload.length & 0xff]
  const key = mask === undefined ? [] : [mask, 0xa5, 0x3c, 0xff - mask]
  const sent = mask === undefined ? payload : payload.map((byte, at) => byte ^ (key[at % 4] ?? 0))
  return Buffer.concat([Buffer.from([0x82, ...length, ...key]), sent])
}

/** Mux frames of one TCP stream: OPEN, then `request` in DATA of `size` bytes, then FIN; and the answer's. */
export function muxStream(
  stream: number,
  host: string,
  { request, response, size }: { readonly request: Buffer; readonly response: Buffer; readonly size: number },
): { up: Frame[]; down: Frame[] } {
  return {
    up: [
      { type: 'open', stream, kind: 'tcp', destination: { host, port: 80 } },
      ...inData(stream, request, size),
      { type: 'fin', stream },
    ],
    down: [
      { type: 'opened', stream, bound: { address: '127.0.0.9', port: 4 } },
      { type: 'credit', stream, offset: 70_000 },
      ...inData(stream, response, size),
      { type: 'fin', stream },
    ],
  }
}

function inData(stream: number, bytes: Buffer, size: number): Frame[] {
  const frames: Frame[] = []
  for (let at = 0; at < bytes.length; at += size) {
    frames.push({ type: 'data', stream, payload: bytes.subarray(at, at + size) })
  }
  return frames
}
