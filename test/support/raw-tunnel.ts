// One end of a tunnel by hand, over real TLS: a client that has a certificate and says any bytes, as frames or below them.
// Rules: what it hears is kept in order as far as it reads; nothing is answered by itself.
import type { Socket } from 'node:net'
import { once } from 'node:events'
import { WebSocket } from 'ws'
import { errorCodeFromMux } from '../../src/errors.ts'
import { decodeFrame, encodeFrame, SUBPROTOCOL, type Frame } from '../../src/protocol/mux/frame.ts'

export interface RawTunnelOptions {
  readonly port: number
  readonly certificate: string
  readonly key: string
  readonly authority: string
}

export class RawTunnel implements Disposable {
  readonly webSocket: WebSocket
  /** Under the WebSocket: bytes written here are below its frames, masked or not. */
  readonly socket: Socket
  /** What came, in words: `refused 3 too-many-streams`, `goaway frame-malformed` … DATA and CREDIT are only counted. */
  readonly heard: string[] = []
  pongs = 0
  credits = 0
  dataBytes = 0
  /** The status of the WebSocket's close. */
  readonly closed: Promise<number>

  private constructor(webSocket: WebSocket, socket: Socket) {
    this.webSocket = webSocket
    this.socket = socket
    webSocket.on('message', (data: Buffer) => this.#hear(decodeFrame(data)))
    webSocket.on('pong', () => (this.pongs += 1))
    webSocket.on('error', () => {})
    this.closed = once(webSocket, 'close').then(([status]) => status as number)
  }

  static async connect({ port, certificate, key, authority }: RawTunnelOptions): Promise<RawTunnel> {
    const webSocket = new WebSocket(`wss://localhost:${port}/tunnel`, SUBPROTOCOL, {
      ...{ cert: certificate, key, ca: authority },
      perMessageDeflate: false,
    })
    const [response] = (await once(webSocket, 'upgrade')) as [{ socket: Socket }]
    const tunnel = new RawTunnel(webSocket, response.socket)
    if (webSocket.readyState !== WebSocket.OPEN) await once(webSocket, 'open')
    return tunnel
  }

  say(frame: Frame): void {
    this.webSocket.send(encodeFrame(frame))
  }

  open(stream: number, port: number, kind: 'tcp' | 'udp' = 'tcp', host = '127.0.0.1'): void {
    this.say({ type: 'open', stream, kind, destination: { host, port } })
  }

  /** Waits until the socket has taken what was said, as far as the peer reads; false where it ended before. */
  async drained(atMost = 4 * 1024 * 1024): Promise<boolean> {
    while (this.webSocket.readyState === WebSocket.OPEN && this.socket.writableLength > atMost)
      await Promise.race([once(this.socket, 'drain'), this.closed]).catch(() => {})
    return this.webSocket.readyState === WebSocket.OPEN
  }

  #hear(frame: Frame): void {
    switch (frame.type) {
      case 'data':
        this.dataBytes += frame.payload.length
        break
      case 'credit':
        this.credits += 1
        break
      case 'goaway':
        this.heard.push(`goaway ${errorCodeFromMux(frame.error)}`)
        break
      case 'refused':
      case 'reset':
        this.heard.push(`${frame.type} ${frame.stream} ${errorCodeFromMux(frame.error)}`)
        break
      default:
        this.heard.push(`${frame.type} ${frame.stream}`)
    }
  }

  [Symbol.dispose](): void {
    this.webSocket.terminate()
  }
}

/** The head of a WebSocket frame (RFC 6455 section 5.2) with any length, masked with zeros as a client must. */
export function frameHead(first: number, length: number | bigint, isMasked = true): Buffer {
  const mask = isMasked ? 0x80 : 0
  const key = Buffer.alloc(isMasked ? 4 : 0)
  if (length < 126) return Buffer.concat([Buffer.from([first, mask | Number(length)]), key])
  const head = Buffer.alloc(10)
  head[0] = first
  head[1] = mask | 127
  head.writeBigUInt64BE(BigInt(length), 2)
  return Buffer.concat([head, key])
}
