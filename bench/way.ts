// How the load reaches the origin, as plain data that goes from process to process, and the client that speaks it: a
// handshake is a list of bytes to send and of answers to wait for, so that one client does them all and costs little.
// Rule: all connections of a process read into one buffer, so whoever takes bytes may look at them only during the call.
import net, { type Socket } from 'node:net'
import tls from 'node:tls'

export interface Place {
  readonly host: string
  readonly port: number
}

export type Handshake = 'direct' | 'http' | 'connect' | 'connect-tls' | 'socks5'

export interface Way {
  readonly name: string
  readonly handshake: Handshake
  /** Of `direct`, the origin itself. */
  readonly proxy: Place
  readonly origin: Place
  /** Of `connect-tls`: who signed the proxy's certificate. */
  readonly authority?: string
}

export interface Receiver {
  /** The handshake is done: what is written now reaches the origin. */
  ready(socket: Socket): void
  data(bytes: Buffer): void
  end(): void
  failed(error: Error): void
}

interface Step {
  readonly send: Buffer
  /** Length of the answer once it is whole; 0 before that. Throws where it is a refusal. */
  readonly answered: (bytes: Buffer) => number
}

const READ_BYTES = 256 * 1024
const buffer = Buffer.allocUnsafeSlow(READ_BYTES)
const steps = new WeakMap<Way, readonly Step[]>()

export function direct(origin: Place): Way {
  return { name: 'direct', handshake: 'direct', proxy: origin, origin }
}

/** The same way to another origin. */
export function towards(origin: Place, way: Way): Way {
  return { ...way, origin, proxy: way.handshake === 'direct' ? origin : way.proxy }
}

/** The target of a request's line. */
export function targetOf({ handshake, origin }: Way, path: string): string {
  return handshake === 'http' ? `http://${origin.host}:${origin.port}${path}` : path
}

/** Opens a connection, and tells `receiver` how it goes on. */
export function connect(way: Way, receiver: Receiver): Socket {
  let todo = steps.get(way)
  if (todo === undefined) steps.set(way, (todo = stepsOf(way)))
  let at = 0
  let waiting: Buffer | undefined
  const take = (bytes: Buffer): void => {
    const step = todo[at]
    if (step === undefined) return receiver.data(bytes)
    const all = waiting === undefined ? bytes : Buffer.concat([waiting, bytes])
    let length
    try {
      length = step.answered(all)
    } catch (thrown) {
      receiver.failed(thrown as Error)
      return void socket.destroy()
    }
    if (length === 0) return void (waiting = Buffer.from(all))
    waiting = undefined
    at += 1
    next()
    if (length < all.length) take(all.subarray(length))
  }
  const next = (): void => {
    const step = todo[at]
    if (step === undefined) receiver.ready(socket)
    else socket.write(step.send)
  }
  const socket = dial(way, take, next)
  socket.on('error', (error) => receiver.failed(error))
  socket.on('end', () => {
    if (todo[at] === undefined) receiver.end()
    else receiver.failed(new Error(`${way.name}: closed before it answered`))
  })
  return socket
}

/** The same, for whoever waits. */
export function open(
  way: Way,
  data: (bytes: Buffer) => void,
  end: (error?: Error) => void = () => {},
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    connect(way, {
      ready: resolve,
      data,
      end,
      failed: (error) => {
        reject(error)
        end(error)
      },
    })
  })
}

function dial(way: Way, take: (bytes: Buffer) => void, connected: () => void): Socket {
  if (way.handshake === 'connect-tls') {
    const socket = tls.connect({ ...way.proxy, ca: way.authority, servername: 'localhost' }, connected)
    return socket.on('data', take).setNoDelay(true)
  }
  const onread = {
    buffer,
    callback: (bytes: number): boolean => {
      take(buffer.subarray(0, bytes))
      return true
    },
  }
  return net.connect({ ...way.proxy, noDelay: true, onread }, connected)
}

function stepsOf({ handshake, origin }: Way): Step[] {
  const authority = `${origin.host}:${origin.port}`
  switch (handshake) {
    case 'direct':
    case 'http':
      return []
    case 'connect':
    case 'connect-tls':
      return [
        { send: Buffer.from(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`), answered: head },
      ]
    case 'socks5': {
      const address = origin.host.split('.').map(Number)
      return [
        { send: Buffer.from([5, 1, 0]), answered: (bytes) => (bytes.length >= 2 ? 2 : 0) },
        {
          send: Buffer.from([5, 1, 0, 1, ...address, origin.port >> 8, origin.port & 0xff]),
          answered: (bytes) => {
            if (bytes.length >= 2 && bytes[1] !== 0) throw new Error(`SOCKS reply ${bytes[1]}`)
            return bytes.length >= 10 ? 10 : 0
          },
        },
      ]
    }
  }
}

function head(bytes: Buffer): number {
  const end = bytes.indexOf('\r\n\r\n')
  if (end !== -1 && !bytes.toString('latin1', 0, 12).includes(' 200'))
    throw new Error(bytes.toString('latin1'))
  return end === -1 ? 0 : end + 4
}
