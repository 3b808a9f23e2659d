// The answer to a connection for which there is no room: a status on HTTP, a reply on SOCKS, a reset where either
// would cost a TLS handshake. Rules: it costs one socket for a second at most, few are answered at once and the rest
// are reset, and nothing that the client sends is kept.
import type { Socket } from 'node:net'
import { ERROR_ANSWERS, type ErrorCode } from '../errors.ts'
import { SocksHandshake } from '../protocol/socks/handshake.ts'
import { socksRefusal } from '../protocol/socks/reply.ts'
import { refusalBody, refusalHeaders } from './context.ts'

const ANSWERED_AT_ONCE = 64
const LINGER_MS = 1_000
const SOCKS_FIRST_BYTES = new Set([4, 5])

export type Speaks = 'http' | 'socks' | 'mixed' | 'tls'

export class TurnAway {
  #speaks: Speaks
  #answered = 0

  constructor(speaks: Speaks) {
    this.#speaks = speaks
  }

  /** Answers in the listener's protocol and ends the connection; the socket is taken care of. */
  refuse(socket: Socket, code: ErrorCode, reference: string): void {
    if (this.#speaks === 'tls' || this.#answered >= ANSWERED_AT_ONCE || socket.destroyed)
      return void socket.resetAndDestroy()
    this.#answered += 1
    const timer = setTimeout(() => socket.destroy(), LINGER_MS).unref()
    socket.once('close', () => {
      clearTimeout(timer)
      this.#answered -= 1
    })
    socket.once('end', () => socket.destroy())
    if (this.#speaks === 'http') socket.end(httpAnswer(code, reference))
    else this.#answerOnceHeard(socket, code, reference)
    // A close while the client's bytes are unread would be a reset, which can overtake the answer.
    socket.resume()
  }

  /** A SOCKS client is told in the reply to its request, which it sends once it has been greeted. */
  #answerOnceHeard(socket: Socket, code: ErrorCode, reference: string): void {
    const handshake = new SocksHandshake({ auth: 'none' })
    let heard = false
    const onData = (chunk: Buffer): void => {
      const isFirst = !heard
      heard = true
      if (isFirst && this.#speaks === 'mixed' && !SOCKS_FIRST_BYTES.has(chunk[0] ?? 0)) {
        socket.off('data', onData)
        return void socket.end(httpAnswer(code, reference))
      }
      handshake.push(chunk)
      for (let event = handshake.next(); event !== undefined; event = handshake.next()) {
        if (event.type === 'reply') socket.write(event.bytes)
        else {
          socket.off('data', onData)
          return void socket.end(
            event.type === 'request' ? socksRefusal(event.version, code) : new Uint8Array(0),
          )
        }
      }
    }
    socket.on('data', onData)
  }
}

function httpAnswer(code: ErrorCode, reference: string): string {
  const body = refusalBody({ code }, reference)
  const fields = Object.entries(refusalHeaders(code, reference)).map(
    ([name, value]) => `${name}: ${value}\r\n`,
  )
  const length = `content-length: ${Buffer.byteLength(body)}\r\n`
  return `HTTP/1.1 ${ERROR_ANSWERS[code].http} Refused\r\n${fields.join('')}${length}connection: close\r\n\r\n${body}`
}
