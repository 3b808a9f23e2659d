// Asks an HTTP proxy for a destination by CONNECT (RFC 9110 section 9.3.6), through Node's client, on a connection that
// stands; an https:// proxy on TLS. Rules: any answer but 2xx is a refusal, whatever event it comes by, and what comes
// right behind the answer is put back before anybody reads.
import http, { type IncomingMessage } from 'node:http'
import net, { type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import tls, { type TLSSocket } from 'node:tls'
import { GatewayError, type ErrorCode } from '../errors.ts'
import { readConnectAnswer } from '../protocol/http/connect-answer.ts'
import { setCarrier } from '../transport/abort.ts'
import type { UpstreamAsk, UpstreamServer } from './upstream-ask.ts'

const MAX_HEAD_BYTES = 32_768

/** Resolves with the tunnel when the proxy has connected. */
export async function askHttp(carrier: Socket, ask: UpstreamAsk): Promise<Duplex> {
  const { server } = ask
  const stream = server.scheme === 'https' ? await secure(carrier, server) : carrier
  return connect(stream, ask)
}

function connect(stream: Socket, { destination, server, asked }: UpstreamAsk): Promise<Duplex> {
  const { host, port } = destination
  const authority = `${host.includes(':') ? `[${host}]` : host}:${port}`
  const fields = ['Host', authority]
  if (server.credentials !== undefined) {
    const { name, password } = server.credentials
    fields.push('Proxy-Authorization', `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`)
  }
  return new Promise((resolve, reject) => {
    const request = http.request({
      createConnection: () => stream,
      method: 'CONNECT',
      path: authority,
      headers: fields,
      setHost: false,
      setDefaultHeaders: false,
      maxHeaderSize: MAX_HEAD_BYTES,
    } as http.RequestOptions)
    const fail = (code: ErrorCode): void => {
      request.destroy()
      reject(new GatewayError(code, { side: 'upstream' }))
    }
    request.on('connect', (response: IncomingMessage, socket: Duplex, head: Buffer) => {
      stream.off('end', onBroken)
      stream.off('close', onBroken)
      const refused = readConnectAnswer(response.statusCode ?? 0, response.rawHeaders)
      if (refused !== undefined) return fail(refused)
      socket.pause()
      if (head.length > 0) socket.unshift(head)
      resolve(socket)
    })
    const onBroken = (): void => fail('upstream-unavailable')
    // To CONNECT every answer comes by `connect`; this is for a Node that changes its mind.
    request.on('response', onBroken)
    request.on('error', onBroken)
    stream.on('end', onBroken)
    stream.on('close', onBroken)
    asked()
    request.end()
  })
}

/** TLS to the proxy; its certificate is verified against `authority`, else against those that Node knows. */
function secure(carrier: Socket, { host, authority }: UpstreamServer): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = tls.connect({
      socket: carrier,
      host,
      ...(net.isIP(host) === 0 && { servername: host }),
      ...(authority !== undefined && { ca: authority }),
      ALPNProtocols: ['http/1.1'],
    })
    setCarrier(socket, carrier)
    // Stays, as that of the carrier does: an error that comes before there is a reader is nobody's.
    socket.on('error', () => {})
    carrier.once('close', () => socket.destroy())
    const failed = (error?: Error): void => {
      socket.destroy()
      const isUntrusted = socket.authorizationError !== null && socket.authorizationError !== undefined
      const code = isUntrusted && error !== undefined ? 'upstream-untrusted' : 'upstream-unavailable'
      reject(new GatewayError(code, { side: 'upstream' }))
    }
    const onClose = (): void => failed()
    socket.once('error', failed)
    socket.once('close', onClose)
    socket.once('secureConnect', () => {
      socket.off('error', failed)
      socket.off('close', onClose)
      resolve(socket)
    })
  })
}
