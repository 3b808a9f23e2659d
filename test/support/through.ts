// Opens a byte stream to a destination through each way that a stack offers, by hand: CONNECT, SOCKS4, SOCKS4a,
// SOCKS5, on each listener. Rule: no client library, so that a test sees every byte of the answers.
import net from 'node:net'
import type { ListenerName, Stack } from './stacks.ts'
import { Wire } from './wire.ts'

export interface Way {
  readonly name: string
  readonly listener: Exclude<ListenerName, 'tunnel'>
  readonly protocol: 'http' | 'socks4' | 'socks4a' | 'socks5'
}

/** Every way of one connection through a stack. */
export const WAYS: readonly Way[] = [
  { name: 'http-proxy', listener: 'http', protocol: 'http' },
  { name: 'https-proxy', listener: 'https', protocol: 'http' },
  { name: 'socks-proxy by SOCKS4', listener: 'socks', protocol: 'socks4' },
  { name: 'socks-proxy by SOCKS4a', listener: 'socks', protocol: 'socks4a' },
  { name: 'socks-proxy by SOCKS5', listener: 'socks', protocol: 'socks5' },
  { name: 'mixed by HTTP', listener: 'mixed', protocol: 'http' },
  { name: 'mixed by SOCKS5', listener: 'mixed', protocol: 'socks5' },
  { name: 'tunnel by HTTP', listener: 'client', protocol: 'http' },
  { name: 'tunnel by SOCKS4a', listener: 'client', protocol: 'socks4a' },
  { name: 'tunnel by SOCKS5', listener: 'client', protocol: 'socks5' },
]

/** The ways that speak HTTP to the proxy. */
export const HTTP_WAYS = WAYS.filter(({ protocol }) => protocol === 'http')

/** A connection to the listener, on TLS where it wants that. */
export function reach(stack: Stack, listener: ListenerName): Promise<Wire> {
  const port = stack.ports[listener]
  return listener === 'https' ? Wire.connectTls(port, { ca: stack.authority }) : Wire.connect(port)
}

/** What the client says first; SOCKS5 without its greeting. */
export function encodeAsk(protocol: Way['protocol'], host: string, port: number): Buffer {
  if (protocol === 'http') return Buffer.from(connectHead(host, port))
  const portBytes = Buffer.from([port >> 8, port & 0xff])
  const name = Buffer.from(host)
  if (protocol === 'socks4a') {
    return Buffer.concat([
      Buffer.from([4, 1]),
      portBytes,
      Buffer.from([0, 0, 0, 1, 0]),
      name,
      Buffer.from([0]),
    ])
  }
  if (protocol === 'socks4') {
    return Buffer.concat([
      Buffer.from([4, 1]),
      portBytes,
      Buffer.from(host.split('.').map(Number)),
      Buffer.from([0]),
    ])
  }
  if (net.isIPv4(host)) {
    return Buffer.concat([Buffer.from([5, 1, 0, 1]), Buffer.from(host.split('.').map(Number)), portBytes])
  }
  if (host === '::1')
    return Buffer.concat([Buffer.from([5, 1, 0, 4]), Buffer.alloc(15), Buffer.from([1]), portBytes])
  return Buffer.concat([Buffer.from([5, 1, 0, 3, name.length]), name, portBytes])
}

export function connectHead(host: string, port: number): string {
  const authority = `${host.includes(':') ? `[${host}]` : host}:${port}`
  return `CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`
}

export interface Answer {
  /** HTTP status, or the reply field of SOCKS. */
  readonly reply: number
  /** The HTTP head. */
  readonly head: string
}

/** Asks for a destination with `early` right behind, and reads the answer off the wire. */
export async function ask(
  wire: Wire,
  way: Way,
  host: string,
  port: number,
  early: Uint8Array = new Uint8Array(0),
): Promise<Answer> {
  const first = Buffer.concat([encodeAsk(way.protocol, host, port), early])
  if (way.protocol === 'http') {
    wire.send(first)
    const received = await wire.untilText('\r\n\r\n')
    const head = wire.take(received.indexOf('\r\n\r\n') + 4).toString('latin1')
    return { reply: Number(head.split(' ')[1]), head }
  }
  if (way.protocol !== 'socks5') {
    wire.send(first)
    await wire.untilBytes(8)
    return { reply: wire.take(8)[1] ?? -1, head: '' }
  }
  wire.send(Buffer.concat([Buffer.from([5, 1, 0]), first]))
  await wire.untilBytes(6)
  wire.take(2)
  await wire.untilBytes(4)
  const length = wire.received[3] === 4 ? 22 : 10
  await wire.untilBytes(length)
  return { reply: wire.take(length)[1] ?? -1, head: '' }
}

/** True for the answer that says: connected. */
export function isGranted(way: Way, { reply }: Answer): boolean {
  return reply === { http: 200, socks4: 90, socks4a: 90, socks5: 0 }[way.protocol]
}

/** A byte stream to the destination. Rejects where it was refused. */
export async function open(
  stack: Stack,
  way: Way,
  host: string,
  port: number,
  early?: Uint8Array,
): Promise<Wire> {
  const wire = await reach(stack, way.listener)
  const answer = await ask(wire, way, host, port, early)
  if (isGranted(way, answer)) return wire
  wire.socket.destroy()
  throw new Error(`${way.name}: refused with ${answer.reply}`)
}
