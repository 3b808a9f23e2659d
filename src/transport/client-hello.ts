// Waits until a ClientHello is whole (RFC 8446 sections 4.1.2 and 5.1) before TLS is set up for it: what OpenSSL holds
// for a handshake is many times what a socket costs, and who never says hello must not have it. Rules: it has a
// deadline, what was read is put back, and what is no handshake record is passed on at once, for OpenSSL to refuse.
import type { Socket } from 'node:net'
import { spreadMs } from './deadline.ts'

const HANDSHAKE = 22
const RECORD_HEADER_BYTES = 5
/** Of a record's body; what claims to be longer is OpenSSL's to refuse. */
const LONGEST_BYTES = 16 * 1024

export interface HelloAnswer {
  readonly whole: () => void
  /** The deadline has passed. */
  readonly late: () => void
  /** The peer has left. */
  readonly gone: () => void
}

/** Exactly one of `answer` is called, once. The socket is left paused. */
export function awaitClientHello(socket: Socket, withinMs: number, answer: HelloAnswer): void {
  let unread: Buffer = Buffer.alloc(0)
  const finish = (say: () => void): void => {
    clearTimeout(timer)
    socket.pause()
    socket.off('data', onData)
    socket.off('end', onGone)
    socket.off('close', onGone)
    say()
  }
  const onGone = (): void => finish(answer.gone)
  const onData = (chunk: Buffer): void => {
    unread = unread.length === 0 ? chunk : Buffer.concat([unread, chunk])
    if (!isWhole(unread)) return
    // Put back once nobody listens here: it would come again at once.
    finish(() => {
      socket.unshift(unread)
      answer.whole()
    })
  }
  const timer = setTimeout(() => finish(answer.late), spreadMs(withinMs)).unref()
  socket.on('data', onData)
  socket.on('end', onGone)
  socket.on('close', onGone)
  socket.resume()
}

function isWhole(bytes: Buffer): boolean {
  if (bytes[0] !== HANDSHAKE) return true
  if (bytes.length < RECORD_HEADER_BYTES) return false
  const length = bytes.readUInt16BE(RECORD_HEADER_BYTES - 2)
  return length > LONGEST_BYTES || bytes.length >= RECORD_HEADER_BYTES + length
}
