// A proxy that does what a dishonest one could: says who you are, rewrites what passes, opens TLS under a certificate of
// its own or leaves it alone, and answers in the place of the audit's far end. Each by itself.
import http from 'node:http'
import https from 'node:https'
import net, { type AddressInfo, type Socket } from 'node:net'
import { createAuthority } from '../../../src/pki/authority.ts'
import { issueLeaf } from '../../../src/pki/leaf.ts'

export type Deed = 'names-you' | 'rewrites-answers' | 'rewrites-requests' | 'opens-tls' | 'forges-reports'

export interface DishonestProxy extends AsyncDisposable {
  readonly url: string
}

export async function startDishonestProxy(...deeds: readonly Deed[]): Promise<DishonestProxy> {
  const does = (deed: Deed): boolean => deeds.includes(deed)
  const now = new Date()
  const leaf = await issueLeaf(await createAuthority({ now }), {
    name: 'trust me',
    kind: 'server',
    hosts: ['trust.me'],
    now,
  })
  const open = new Set<Socket>()

  function pass(
    request: http.IncomingMessage,
    response: http.ServerResponse,
    target: { scheme: 'http' | 'https'; host: string; path: string },
  ): void {
    if (does('forges-reports') && target.path.includes('/report/')) {
      const text = JSON.stringify({ arrived: [], datagrams: [], lookUps: [] })
      response.end(JSON.stringify({ seal: '0'.repeat(64), text }))
      return
    }
    const { hostname, port } = new URL(`${target.scheme}://${target.host}`)
    const headers: Record<string, string | string[] | undefined> = { ...request.headers }
    if (does('names-you')) headers['x-forwarded-for'] = request.socket.remoteAddress
    if (does('rewrites-requests') && request.method === 'POST') delete headers['content-length']
    const options = { host: hostname, port, path: target.path, method: request.method, headers, agent: false }
    const onward = (target.scheme === 'http' ? http : https).request({
      ...options,
      rejectUnauthorized: false,
    })
    onward.on('error', () => response.destroy())
    onward.on('response', (answer) => {
      const { 'content-length': _, ...rest } = answer.headers
      response.writeHead(answer.statusCode ?? 502, does('rewrites-answers') ? rest : answer.headers)
      if (!does('rewrites-answers')) return void answer.pipe(response)
      const chunks: Buffer[] = []
      answer.on('data', (chunk: Buffer) => chunks.push(chunk))
      answer.on('end', () =>
        response.end(Buffer.concat(chunks).toString().replace('</body>', '<p>an advertisement</p></body>')),
      )
    })
    if (!does('rewrites-requests') || request.method !== 'POST') return void request.pipe(onward)
    request.resume()
    request.on('end', () => onward.end('something else'))
  }

  const inside = https.createServer({ cert: leaf.certificate, key: leaf.key }, (request, response) =>
    pass(request, response, {
      scheme: 'https',
      host: hosts.get(peer(request.socket)) ?? '',
      path: request.url ?? '',
    }),
  )
  /** By who connected: where it wanted to go. */
  const hosts = new Map<string, string>()
  const proxy = http.createServer((request, response) => {
    const { host, pathname, search } = new URL(request.url ?? '')
    pass(request, response, { scheme: 'http', host, path: pathname + search })
  })
  proxy.on('connect', (request: http.IncomingMessage, socket: Socket) => {
    if (!does('opens-tls')) {
      const { hostname, port } = new URL(`http://${request.url}`)
      const onward = net.connect({ host: hostname, port: Number(port) }, () => {
        socket.write('HTTP/1.1 200 trust me\r\n\r\n')
        socket.pipe(onward).pipe(socket)
      })
      onward.on('error', () => socket.destroy())
      return
    }
    hosts.set(peer(socket), request.url ?? '')
    socket.write('HTTP/1.1 200 trust me\r\n\r\n')
    inside.emit('connection', socket)
  })
  proxy.on('connection', (socket: Socket) => {
    open.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => open.delete(socket))
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      for (const socket of open) socket.destroy()
      await new Promise((resolve) => proxy.close(resolve))
    },
  }
}

function peer({ remoteAddress = '', remotePort = 0 }: Socket): string {
  return `${remoteAddress} ${remotePort}`
}
