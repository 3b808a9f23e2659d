// An origin for tests and benchmarks: sends bytes that are known by their hash, takes bytes and says their hash.
import { createHash } from 'node:crypto'
import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import https from 'node:https'
import type { AddressInfo, Socket } from 'node:net'

const BLOCK = Buffer.alloc(1024 * 1024)
for (let index = 0; index < BLOCK.length; index += 1)
  BLOCK[index] = (index * 31 + (index >>> 8) * 17 + (index >>> 16)) & 0xff

export interface Origin {
  readonly port: number
  readonly requests: IncomingMessage[]
  close(): Promise<void>
}

/** SHA-256 of what `/bytes/COUNT` sends. */
export function bytesHash(count: number): string {
  const hash = createHash('sha256')
  for (let left = count; left > 0; left -= BLOCK.length)
    hash.update(BLOCK.subarray(0, Math.min(left, BLOCK.length)))
  return hash.digest('hex')
}

/**
 * `GET /bytes/COUNT`: that many bytes. `PUT /hash`: their SHA-256 and count. `/slow`: a head, then nothing.
 * `/status/CODE`: that status. `/truncated`: 100 of 1000 promised bytes, then a reset. Everything else: `hello`.
 */
export async function startOrigin(
  options: { tls?: https.ServerOptions; host?: string; port?: number; handle?: http.RequestListener } = {},
): Promise<Origin> {
  const requests: IncomingMessage[] = []
  const listener = (request: IncomingMessage, response: ServerResponse): void => {
    requests.push(request)
    if (options.handle !== undefined) options.handle(request, response)
    else answer(request, response)
  }
  const server =
    options.tls === undefined ? http.createServer(listener) : https.createServer(options.tls, listener)
  server.on('connection', (socket: Socket) => socket.on('error', () => {}))
  await new Promise<void>((resolve) => server.listen(options.port ?? 0, options.host ?? '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    requests,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function answer(request: IncomingMessage, response: ServerResponse): void {
  const [, verb = '', argument = ''] = (request.url ?? '/').split('/')
  if (verb === 'bytes') {
    response.setHeader('content-length', argument)
    return sendBytes(response, Number(argument))
  }
  if (verb === 'hash') {
    const hash = createHash('sha256')
    let count = 0
    request.on('data', (chunk: Buffer) => {
      hash.update(chunk)
      count += chunk.length
    })
    request.on('end', () => response.end(`${hash.digest('hex')} ${count}\n`))
    return
  }
  if (verb === 'status') {
    response.statusCode = Number(argument)
    return void response.end()
  }
  if (verb === 'slow') return void response.write('x')
  if (verb === 'truncated') {
    response.writeHead(200, { 'content-length': '1000' })
    response.write(Buffer.alloc(100, 'x'), () => request.socket.resetAndDestroy())
    return
  }
  response.end('hello\n')
}

function sendBytes(response: ServerResponse, count: number): void {
  let left = count
  const more = (): void => {
    while (left > 0) {
      const piece = BLOCK.subarray(0, Math.min(left, BLOCK.length))
      left -= piece.length
      if (!response.write(piece)) return void response.once('drain', more)
    }
    response.end()
  }
  more()
}
