// The user's datagrams in a measurement: straight from the client's machine, or through a SOCKS5 association (RFC 1928
// section 7) to a proxy or a tunnel client. Rule: what was asked is asked again until it is answered, for UDP promises
// nothing, and an answer counts only from whoever was asked.
import type dgram from 'node:dgram'
import type net from 'node:net'
import { SocksClient } from 'socks'
import { GatewayError } from '../errors.ts'
import type { Canaries } from './canary.ts'
import type { Endpoint } from './capture.ts'
import { bindUdp } from './udp-tap.ts'

const TRY_MS = 700
const TRIES = 5
const TIMEOUT_MS = 5_000
const TYPE_A = 1
const CLASS_IN = 1
const RECURSION_DESIRED = 0x0100

export interface DatagramWay {
  /** Sends `payload`, and gives the answer from there. Errors: `dial-timeout`. */
  ask(to: Endpoint, payload: Uint8Array): Promise<Buffer>
  close(): void
}

/** More than any look-up takes, so that the datagram that matters can be told by its size. */
export const DATAGRAM_BYTES = 600

export function datagramOf(word: string): Buffer {
  const text = Buffer.from(`${word} `)
  return Buffer.concat([text, Buffer.alloc(Math.max(0, DATAGRAM_BYTES - text.length), '.')])
}

/** Straight from an address of this machine. Errors: `listen-failed`. */
export async function openDirectWay(from: string, onPort: (port: number) => void): Promise<DatagramWay> {
  const socket = await bindUdp({ address: from, port: 0 })
  onPort(socket.address().port)
  return {
    ask: (to, payload) =>
      untilAnswered(socket, {
        send: () => socket.send(payload, to.port, to.address),
        read: (bytes, sender) => (isSame(sender, to) ? bytes : undefined),
      }),
    close: () => socket.close(),
  }
}

export interface AssociationOptions {
  readonly proxy: Endpoint
  readonly from: string
  readonly credentials: Canaries | undefined
  /** The near end of the wire that leads to the relay which the proxy named. */
  readonly wireTo: (relay: Endpoint) => Promise<Endpoint>
}

/** Through an association. Errors: `dial-failed` where the proxy grants none, `listen-failed`. */
export async function openAssociation(options: AssociationOptions): Promise<DatagramWay> {
  const { control, relay } = await associate(options)
  const near = await options.wireTo(relay)
  const socket = await bindUdp({ address: options.from, port: 0 })
  return {
    ask: (to, payload) => {
      const frame = SocksClient.createUDPFrame({
        remoteHost: { host: to.address, port: to.port },
        data: Buffer.from(payload),
      })
      return untilAnswered(socket, {
        send: () => socket.send(frame, near.port, near.address),
        read: (bytes, sender) => {
          if (!isSame(sender, near)) return undefined
          const { remoteHost, data } = SocksClient.parseUDPFrame(bytes)
          return isSame({ address: remoteHost.host, port: remoteHost.port }, to) ? data : undefined
        },
      })
    },
    close: () => {
      socket.close()
      control.destroy()
    },
  }
}

/** A question for the IPv4 address of `name`, as a program that looks up by itself sends it (RFC 1035 section 4). */
export function encodeQuestion(name: string, id: number): Buffer {
  const labels = name.split('.').map((label) => Buffer.from([label.length, ...Buffer.from(label, 'latin1')]))
  const numbers = Buffer.from(new Uint16Array([id, RECURSION_DESIRED, 1, 0, 0, 0]).buffer).swap16()
  return Buffer.concat([...[numbers], ...labels, Buffer.from([0, 0, TYPE_A, 0, CLASS_IN])])
}

async function associate({
  proxy,
  from,
  credentials,
}: AssociationOptions): Promise<{ readonly control: net.Socket; readonly relay: Endpoint }> {
  const client = new SocksClient({
    proxy: {
      host: proxy.address,
      port: proxy.port,
      type: 5,
      ...(credentials && { userId: credentials.proxyUser, password: credentials.proxyPassword }),
    },
    command: 'associate',
    destination: { host: '0.0.0.0', port: 0 },
    socket_options: { localAddress: from, host: proxy.address, port: proxy.port },
    timeout: TIMEOUT_MS,
  })
  return new Promise((resolve, reject) => {
    client.on('error', (cause) =>
      reject(new GatewayError('dial-failed', { cause, detail: `no association: ${cause.message}` })),
    )
    client.on('established', ({ socket, remoteHost }) => {
      socket.on('error', () => {})
      if (remoteHost === undefined) return reject(new GatewayError('dial-failed'))
      resolve({ control: socket, relay: { address: remoteHost.host, port: remoteHost.port } })
    })
    client.connect()
  })
}

interface Exchange {
  readonly send: () => void
  /** The answer in a datagram; undefined where it is not one. */
  readonly read: (bytes: Buffer, sender: Endpoint) => Buffer | undefined
}

function untilAnswered(socket: dgram.Socket, { send, read }: Exchange): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let tries = 1
    const heard = (bytes: Buffer, { address, port }: dgram.RemoteInfo): void => {
      const answer = read(bytes, { address, port })
      if (answer === undefined) return
      stop()
      resolve(answer)
    }
    const timer = setInterval(() => {
      tries += 1
      if (tries <= TRIES) return send()
      stop()
      reject(new GatewayError('dial-timeout', { detail: 'a datagram was never answered' }))
    }, TRY_MS)
    const stop = (): void => {
      clearInterval(timer)
      socket.off('message', heard)
    }
    socket.on('message', heard)
    send()
  })
}

function isSame(one: Endpoint, other: Endpoint): boolean {
  return one.address === other.address && one.port === other.port
}
