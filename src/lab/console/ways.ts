// The ways that `up` offers to its own site, as the cost measures them: as a program that is set to each proxy would go.
import { once } from 'node:events'
import net from 'node:net'
import tls from 'node:tls'
import { SocksClient } from 'socks'
import type { Endpoint } from '../capture.ts'
import type { Way } from './cost.ts'

export interface WaysOptions {
  readonly site: Endpoint
  readonly http: Endpoint
  readonly socks: Endpoint
  /** The encrypted proxy, its name, and the authority that its certificate is checked against. */
  readonly https: Endpoint & { readonly name: string; readonly authority: string }
  /** The tunnel client's local port. */
  readonly tunnel: Endpoint
}

/** From no proxy to the tunnel. */
export function waysOf({ site, http, socks, https, tunnel }: WaysOptions): Way[] {
  const own = (path: string): string => path
  const absolute = (path: string): string => `http://${site.address}:${site.port}${path}`
  return [
    { mode: 'direct', variant: null, target: own, connect: () => dial(site) },
    { mode: 'http-proxy', variant: null, target: absolute, connect: () => dial(http) },
    { mode: 'socks-proxy', variant: 'socks5h', target: own, connect: () => dialSocks(socks, site) },
    {
      mode: 'https-proxy',
      variant: null,
      target: absolute,
      connect: async () => {
        const socket = tls.connect({
          host: https.address,
          port: https.port,
          servername: https.name,
          ca: https.authority,
          ALPNProtocols: ['http/1.1'],
        })
        await once(socket, 'secureConnect')
        return socket
      },
    },
    { mode: 'tunnel', variant: null, target: own, connect: () => dialSocks(tunnel, site) },
  ]
}

async function dial({ address, port }: Endpoint): Promise<net.Socket> {
  const socket = net.connect({ host: address, port, noDelay: true })
  await once(socket, 'connect')
  return socket
}

async function dialSocks(proxy: Endpoint, site: Endpoint): Promise<net.Socket> {
  const { socket } = await SocksClient.createConnection({
    proxy: { host: proxy.address, port: proxy.port, type: 5 },
    command: 'connect',
    destination: { host: site.address, port: site.port },
    timeout: 5_000,
  })
  return socket
}
