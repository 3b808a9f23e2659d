// A SOCKS5 client of UDP ASSOCIATE, and UDP peers, by hand: every byte of the headers is seen. Rule: it waits for
// events only; what must not come is proved by something sent after it that does come.
import dgram from 'node:dgram'
import { Wire } from './wire.ts'

export interface Datagram {
  readonly bytes: Buffer
  readonly address: string
  readonly port: number
}

/** A bound UDP socket that keeps what it receives. */
export class UdpPeer implements AsyncDisposable {
  readonly socket: dgram.Socket
  readonly received: Datagram[] = []
  #waiting = new Set<() => void>()
  #next = 0

  private constructor(socket: dgram.Socket) {
    this.socket = socket
    socket.on('message', (bytes, { address, port }) => {
      this.received.push({ bytes, address, port })
      for (const look of [...this.#waiting]) look()
    })
  }

  static async bind(address = '127.0.0.1', port = 0): Promise<UdpPeer> {
    const socket = dgram.createSocket(address.includes(':') ? 'udp6' : 'udp4')
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject)
      socket.bind(port, address, resolve)
    })
    return new UdpPeer(socket)
  }

  /** A peer that answers each datagram with `answer`, by default the same bytes. */
  static async echo(address = '127.0.0.1', answer = (bytes: Buffer): Buffer => bytes): Promise<UdpPeer> {
    const peer = await UdpPeer.bind(address)
    peer.socket.on('message', (bytes, from) => peer.socket.send(answer(bytes), from.port, from.address))
    return peer
  }

  get port(): number {
    return this.socket.address().port
  }

  send(bytes: Uint8Array | string, to: { readonly port: number; readonly address: string }): Promise<void> {
    return new Promise((resolve, reject) => {
      this.socket.send(bytes, to.port, to.address, (error) => (error === null ? resolve() : reject(error)))
    })
  }

  /** The oldest datagram that was not taken yet, as soon as there is one. */
  receive(): Promise<Datagram> {
    return new Promise((resolve) => {
      const look = (): void => {
        const found = this.received[this.#next]
        if (found === undefined) return
        this.#next += 1
        this.#waiting.delete(look)
        resolve(found)
      }
      this.#waiting.add(look)
      look()
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise<void>((resolve) => this.socket.close(() => resolve()))
  }
}

export interface AssociateOptions {
  /** Where the listener is; 127.0.0.1 by default. */
  readonly host?: string
  /** Where the datagrams are sent from; the same as `host` by default. */
  readonly from?: string
  /** DST.ADDR and DST.PORT in hex; all zeros by default. 'own' announces the port of the socket. */
  readonly announce?: string
  /** What a balancer in front says first. */
  readonly preface?: string
}

export interface Answer {
  readonly control: Wire
  /** REP of RFC 1928 section 6. */
  readonly reply: number
  readonly address: string
  readonly port: number
}

/** Greets and asks for command `command`; gives the answer whatever it is. */
export async function askSocks5(
  port: number,
  command: number,
  destination: string,
  host = '127.0.0.1',
  preface = '',
): Promise<Answer> {
  const control = await Wire.connect(port, host)
  if (preface !== '') control.send(preface)
  control.send(Buffer.from(`05010005${hex(command)}00${destination}`, 'hex'))
  await control.untilBytes(6)
  const length = control.received[5] === 4 ? 24 : 12
  await control.untilBytes(length)
  const reply = control.take(length).subarray(2)
  const address = decodeHost(reply, 3)
  return { control, reply: reply[1] ?? -1, address: address.host, port: reply.readUInt16BE(address.end) }
}

export class SocksUdpClient implements AsyncDisposable {
  readonly control: Wire
  readonly peer: UdpPeer
  /** Where to send: BND.ADDR and BND.PORT. */
  readonly relay: { readonly address: string; readonly port: number }

  private constructor(control: Wire, peer: UdpPeer, relay: { address: string; port: number }) {
    this.control = control
    this.peer = peer
    this.relay = relay
  }

  /** Rejects with the reply's number where the association is refused. */
  static async associate(port: number, options: AssociateOptions = {}): Promise<SocksUdpClient> {
    const { host = '127.0.0.1', from = host, announce = '01000000000000' } = options
    const peer = await UdpPeer.bind(from)
    const destination = announce === 'own' ? `0100000000${hex(peer.port, 4)}` : announce
    const answer = await askSocks5(port, 3, destination, host, options.preface)
    if (answer.reply !== 0) {
      answer.control.socket.destroy()
      await peer[Symbol.asyncDispose]()
      throw new Error(`refused with ${answer.reply}`)
    }
    return new SocksUdpClient(answer.control, peer, answer)
  }

  /** Sends one payload to a destination through the relay. */
  send(host: string, port: number, payload: Uint8Array | string, from = this.peer): Promise<void> {
    return this.sendRaw(Buffer.concat([encodeHeader(host, port), Buffer.from(payload)]), from)
  }

  /** Sends these very bytes to the relay. */
  sendRaw(bytes: Uint8Array, from = this.peer): Promise<void> {
    return from.send(bytes, this.relay)
  }

  /** The next datagram from the relay, without its header. */
  async receive(): Promise<{
    readonly host: string
    readonly port: number
    readonly payload: string
    readonly raw: Buffer
  }> {
    const { bytes } = await this.peer.receive()
    const { host, end } = decodeHost(bytes, 3)
    return {
      host,
      port: bytes.readUInt16BE(end),
      payload: bytes.subarray(end + 2).toString('latin1'),
      raw: bytes,
    }
  }

  /** Sends and gives the answer. */
  async exchange(host: string, port: number, payload: string): Promise<string> {
    await this.send(host, port, payload)
    return (await this.receive()).payload
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.control.socket.destroy()
    await this.peer[Symbol.asyncDispose]()
  }
}

/** RSV FRAG ATYP ADDR PORT; the type follows from the spelling. */
export function encodeHeader(host: string, port: number, fragment = 0): Buffer {
  return Buffer.from(`0000${hex(fragment)}${encodeHost(host)}${hex(port, 4)}`, 'hex')
}

function encodeHost(host: string): string {
  if (/^\d+(?:\.\d+){3}$/.test(host))
    return `01${host
      .split('.')
      .map((part) => hex(Number(part)))
      .join('')}`
  if (host === '::1') return `04${'00'.repeat(15)}01`
  return `03${hex(host.length)}${Buffer.from(host, 'latin1').toString('hex')}`
}

/** Reads ATYP and ADDR; IPv6 as groups without zeros in front, `::1` shortened. */
function decodeHost(bytes: Buffer, at: number): { host: string; end: number } {
  const length = bytes[at] === 4 ? 16 : 4
  const end = at + 1 + length
  const address = bytes.subarray(at + 1, end)
  if (length === 4) return { host: [...address].join('.'), end }
  const groups = Array.from({ length: 8 }, (_, index) => address.readUInt16BE(index * 2).toString(16)).join(
    ':',
  )
  return { host: groups === '0:0:0:0:0:0:0:1' ? '::1' : groups, end }
}

function hex(value: number, digits = 2): string {
  return value.toString(16).padStart(digits, '0')
}
