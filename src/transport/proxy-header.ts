// Takes the PROXY header off the front of a connection (protocol/proxy-header.ts says what it is). Rules: it has a
// deadline and a cap, what follows it is put back for whoever reads next, and the socket is left paused.
import type { Socket } from 'node:net'
import { GatewayError, toGatewayError } from '../errors.ts'
import { decodeProxyHeader } from '../protocol/proxy-header.ts'

export interface ProxyHeaderAnswer {
  /** `address` is whom the balancer connects for; undefined where it speaks for itself. */
  read(address: string | undefined): void
  /** `proxy-header-invalid`. The socket is the caller's to end. */
  failed(error: GatewayError): void
}

/** Exactly one of the two is called, once; none where the peer left without a byte (a balancer's health check). */
export function readProxyHeader(socket: Socket, withinMs: number, answer: ProxyHeaderAnswer): void {
  let unread: Buffer = Buffer.alloc(0)
  const missing = (): GatewayError => new GatewayError('proxy-header-invalid', { side: 'client' })
  const detach = (): void => {
    clearTimeout(timer)
    socket.pause()
    socket.off('data', onData)
    socket.off('end', onEnd)
    socket.off('close', detach)
  }
  const fail = (error: GatewayError): void => {
    detach()
    answer.failed(error)
  }
  const onData = (chunk: Buffer): void => {
    unread = unread.length === 0 ? chunk : Buffer.concat([unread, chunk])
    try {
      const header = decodeProxyHeader(unread)
      if (header === undefined) return
      detach()
      if (unread.length > header.length) socket.unshift(unread.subarray(header.length))
      answer.read(header.source?.address)
    } catch (thrown) {
      fail(toGatewayError(thrown, 'client'))
    }
  }
  const onEnd = (): void => {
    if (unread.length > 0) return fail(missing())
    detach()
    socket.destroy()
  }
  const timer = setTimeout(() => fail(missing()), withinMs).unref()
  socket.on('data', onData)
  socket.on('end', onEnd)
  socket.on('close', detach)
}
