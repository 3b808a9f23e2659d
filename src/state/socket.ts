// The socket to the shared store, with every byte that comes counted: the client library reads answers of any size into
// memory, and this is where they are bounded. Rule: past its allowance a connection is cut.
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import net from 'node:net'
import { Duplex } from 'node:stream'
import { GatewayError } from '../errors.ts'

/** Told of each piece that has come. */
export type Received = (bytes: number) => void

/**
 * Calls `connect`, which opens one TCP connection before it returns, and counts what comes on it. The library offers no way
 * to its socket, Node does.
 */
export function countPlain<T>(connect: () => T, received: Received): T {
  const opened: net.Socket[] = []
  const seen = (message: unknown): void => void opened.push((message as { socket: net.Socket }).socket)
  subscribe('net.client.socket', seen)
  let made: T
  try {
    made = connect()
  } finally {
    unsubscribe('net.client.socket', seen)
  }
  const [socket] = opened
  if (socket === undefined) throw new GatewayError('internal-error')
  socket.on('data', (chunk: Buffer) => received(chunk.length))
  return made
}

/** A connection for TLS to run on, counted on the way. Errors and the end of either side are both sides'. */
export function countedSocket(host: string, port: number, received: Received): Duplex {
  const socket = net.connect({ host, port, noDelay: true, keepAlive: true })
  const counted = new Duplex({
    read: () => void socket.resume(),
    write: (chunk: Buffer, _encoding, done) => void socket.write(chunk, done),
    final: (done) => void socket.end(done),
    destroy: (error, done) => {
      socket.destroy()
      done(error)
    },
  })
  socket.on('data', (chunk: Buffer) => {
    received(chunk.length)
    if (!counted.push(chunk)) socket.pause()
  })
  socket.on('end', () => void counted.push(null))
  socket.on('error', (error) => void counted.destroy(error))
  socket.on('close', () => void counted.destroy())
  return counted
}
