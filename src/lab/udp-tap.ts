// A tap for datagrams: a UDP relay in the way between two parties, which records what passes. Rules: it sends onward
// from the address of whoever sent, or from any where it is told so, one socket for each of their ports; and it changes
// nothing.
import dgram from 'node:dgram'
import net from 'node:net'
import { listenError } from '../transport/listener.ts'
import type { Endpoint } from './capture.ts'
import type { TapOptions } from './tap.ts'

const MAX_FLOWS = 256

export class UdpTap {
  #options: TapOptions
  #near: dgram.Socket
  /** By the sender's address and port: the socket that stands for it on the far side. */
  #flows = new Map<string, Flow>()

  private constructor(options: TapOptions, near: dgram.Socket) {
    this.#options = options
    this.#near = near
    near.on('message', (bytes, { address, port }) => this.#received(bytes, { address, port }))
  }

  /** Errors: `listen-failed`, `address-in-use`. */
  static async start(options: TapOptions): Promise<UdpTap> {
    return new UdpTap(options, await bindUdp(options.listen))
  }

  get address(): Endpoint {
    const { address, port } = this.#near.address()
    return { address, port }
  }

  /** Forgets who has sent: what they send next is another connection, in what is recorded then. */
  endFlows(): void {
    for (const flow of this.#flows.values()) flow.close()
    this.#flows.clear()
  }

  close(): void {
    this.endFlows()
    this.#near.close()
  }

  #received(bytes: Buffer, from: Endpoint): void {
    const key = `${from.address} ${from.port}`
    let flow = this.#flows.get(key)
    if (flow === undefined) {
      if (this.#flows.size >= MAX_FLOWS) return
      const to = this.#options.carries ?? this.address
      flow = new Flow({ ...this.#options, carries: to }, from, (answer) =>
        this.#near.send(answer, from.port, from.address),
      )
      this.#flows.set(key, flow)
    }
    flow.send(bytes)
  }
}

class Flow {
  #onward: Endpoint
  #far: dgram.Socket
  #record: (direction: 'up' | 'down', bytes: Buffer) => void

  constructor(
    { onward, recorder, carries, fromAnyAddress }: TapOptions & { readonly carries: Endpoint },
    from: Endpoint,
    answer: (bytes: Buffer) => void,
  ) {
    const { connection, record } = recorder().connection(from, carries, 'udp')
    this.#onward = onward
    this.#record = record
    this.#far = dgram.createSocket(net.isIPv6(onward.address) ? 'udp6' : 'udp4')
    this.#far.on('error', () => {})
    this.#far.on('listening', () => {
      const { address, port } = this.#far.address()
      connection.seenAs = { address, port }
    })
    this.#far.on('message', (bytes) => {
      record('down', bytes)
      answer(bytes)
    })
    const address = fromAnyAddress === true ? {} : { address: from.address }
    this.#far.bind({ ...address, port: 0, exclusive: true })
  }

  send(bytes: Buffer): void {
    this.#record('up', bytes)
    this.#far.send(bytes, this.#onward.port, this.#onward.address, () => {})
  }

  close(): void {
    this.#far.close()
  }
}

/** Errors: `listen-failed`, `address-in-use`. */
export async function bindUdp({ address, port }: Endpoint): Promise<dgram.Socket> {
  const socket = dgram.createSocket('udp4')
  await new Promise<void>((resolve, reject) => {
    socket.once('error', (error) => {
      socket.close()
      reject(listenError(error, { host: address, port }))
    })
    socket.bind({ address, port, exclusive: true }, resolve)
  })
  socket.removeAllListeners('error')
  socket.on('error', () => {})
  return socket
}
