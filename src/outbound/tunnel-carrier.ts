// The TCP connection to a gateway, straight or through an HTTP proxy that is asked by CONNECT. Rules: nothing but this
// connection ever leaves for a gateway; one that is not there within two seconds is given up and begun anew, because
// the kernel's own repeats come ever later; and where a name cannot be looked up, the addresses that last worked do.
import type { Socket } from 'node:net'
import { GatewayError, toGatewayError } from '../errors.ts'
import { normalizeHost } from '../policy/host.ts'
import { connectToFirst } from '../transport/happy-eyeballs.ts'
import type { Found, Lookup } from '../transport/resolve.ts'
import type { UpstreamServer } from './upstream-ask.ts'
import { askHttp } from './upstream-http.ts'

const CONNECT_WITHIN_MS = 2_000
/** What a proxy has for its own connection to the gateway. */
const PROXY_ANSWERS_WITHIN_MS = 4_000
/** A look-up that takes longer is not waited for where there are addresses that have worked. */
const LOOKUP_PATIENCE_MS = 500

/** One gateway of the list, and what is remembered of it. */
export interface TunnelGateway {
  readonly url: string
  /** Without brackets. */
  readonly host: string
  readonly port: number
  /** Addresses that its name (or its proxy's) had when it was last connected to. */
  lastAddresses: readonly string[]
}

export interface CarrierOptions {
  readonly lookup: Lookup
  /** The proxy to go through, if any: `http` or `https`. */
  readonly proxy?: UpstreamServer | undefined
  readonly localAddress?: string | undefined
}

/** Reads a URL that the config schema has let pass. `withoutTls`: the lab's, for what must then be found in clear. */
export function tunnelGateway(url: string, withoutTls = false): TunnelGateway {
  const { hostname, port } = new URL(url)
  return {
    url: withoutTls ? url.replace(/^wss:/, 'ws:') : url,
    host: hostname.replace(/^\[(.*)\]$/, '$1'),
    port: port === '' ? 443 : Number(port),
    lastAddresses: [],
  }
}

/** Errors: those of a dial, and through a proxy `upstream-…` and what the proxy says of the gateway. */
export async function openCarrier(
  gateway: TunnelGateway,
  { lookup, proxy, localAddress }: CarrierOptions,
  signal: AbortSignal,
): Promise<Socket> {
  const { host, port } = proxy ?? gateway
  const found = normalizeHost(host)
  const carrier = await connectToFirst(
    found.kind === 'address' ? [found.address] : addressesOf(found.name, gateway, lookup),
    { port, withinMs: CONNECT_WITHIN_MS, signal, admit: () => {}, localAddress },
  )
  if (carrier.remoteAddress !== undefined) gateway.lastAddresses = [carrier.remoteAddress]
  return proxy === undefined ? carrier : throughProxy(carrier, gateway, proxy, signal)
}

function addressesOf(
  name: string,
  { lastAddresses }: TunnelGateway,
  lookup: Lookup,
): readonly string[] | Promise<Found> {
  if (lastAddresses.length === 0) return lookup(name, CONNECT_WITHIN_MS)
  return new Promise((resolve) => {
    const useLast = (): void => resolve(lastAddresses)
    const timer = setTimeout(useLast, LOOKUP_PATIENCE_MS)
    // A name that is known not to be there throws at once.
    new Promise<Found>((found) => found(lookup(name, CONNECT_WITHIN_MS)))
      .then(resolve, useLast)
      .finally(() => clearTimeout(timer))
  })
}

async function throughProxy(
  carrier: Socket,
  { host, port }: TunnelGateway,
  server: UpstreamServer,
  signal: AbortSignal,
): Promise<Socket> {
  const withinMs = PROXY_ANSWERS_WITHIN_MS
  let late = false
  const timer = setTimeout(() => {
    late = true
    carrier.destroy()
  }, withinMs)
  const cancel = (): void => void carrier.destroy()
  signal.addEventListener('abort', cancel)
  try {
    return (await askHttp(carrier, {
      server,
      destination: { host, port },
      withinMs,
      asked: () => {},
    })) as Socket
  } catch (thrown) {
    carrier.destroy()
    if (late) throw new GatewayError('upstream-unavailable', { side: 'upstream', cause: thrown })
    throw toGatewayError(thrown, 'upstream', 'upstream-unavailable')
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', cancel)
  }
}
