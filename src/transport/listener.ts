// A listening TCP socket. Rules: accepted sockets keep half-open (the relay needs it), carry an error listener
// from birth (a reset before anyone looks must not end the process), `close` stops accepting only, and whom it accepts
// for can change while it listens.
import net from 'node:net'
import { GatewayError } from '../errors.ts'
import type { BoundAddress } from '../protocol/request.ts'

export interface ListenAddress {
  /** IP literal or `localhost`, no brackets. */
  readonly host: string
  /** 0 = any free port. */
  readonly port: number
}

export interface Listener {
  /** The address that is really bound. */
  readonly address: BoundAddress
  /** Hands sockets to `onConnection` from the next one on. */
  handTo(onConnection: (socket: net.Socket) => void): void
  /** Stops accepting; connections live on. */
  close(): Promise<void>
}

const LISTEN_BACKLOG = 1024
/** Past these, what a peer sends stays in the kernel, and what it does not read is not read for it. */
const BUFFERED_BYTES = 16 * 1024
const ignoreError = (): void => {}

/** Formats host and port as a person types them: `127.0.0.1:80`, `[::1]:80`. */
export function formatAddress(address: BoundAddress): string {
  return address.address.includes(':')
    ? `[${address.address}]:${address.port}`
    : `${address.address}:${address.port}`
}

/** Listens, and hands every accepted socket to `onConnection`. Errors: `address-in-use`, `listen-failed`. */
export async function listenTcp(
  where: ListenAddress,
  onConnection: (socket: net.Socket) => void,
): Promise<Listener> {
  let accept = onConnection
  const options = { allowHalfOpen: true, noDelay: true, keepAlive: true, highWaterMark: BUFFERED_BYTES }
  const server = net.createServer(options, (socket) => {
    socket.on('error', ignoreError)
    accept(socket)
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(listenError(error, where)))
    server.listen({ host: where.host, port: where.port, backlog: LISTEN_BACKLOG }, resolve)
  })
  // From here on an error is one of accepting (no descriptors left): the listener stays.
  server.on('error', ignoreError)
  const address = server.address()
  if (address === null || typeof address === 'string') throw new GatewayError('listen-failed')
  return {
    address: { address: address.address, port: address.port },
    handTo: (next) => void (accept = next),
    close: () => new Promise((resolve) => server.close(() => resolve())),
  }
}

/** What failed to listen where, with a hint. */
export function listenError(error: NodeJS.ErrnoException, where: ListenAddress): GatewayError {
  const shown = formatAddress({ address: where.host, port: where.port })
  if (error.code === 'EADDRINUSE') {
    return new GatewayError('address-in-use', {
      cause: error,
      detail: `${shown} is in use`,
      hint: `stop what listens there (ss -ltnp 'sport = :${where.port}' shows it), or choose another port`,
    })
  }
  const hint =
    error.code === 'EACCES'
      ? 'ports below 1024 need a privilege; choose a higher one'
      : 'listen on an address that this machine has'
  return new GatewayError('listen-failed', {
    cause: error,
    detail: `${shown}: ${error.code ?? 'failed'}`,
    hint,
  })
}
