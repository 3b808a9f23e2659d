// Asks a SOCKS proxy for a destination, by the `socks` package, on a connection that stands. Rules: the package is fed
// byte by byte and never owns the socket (it would end it with its peer's half, and hands on late, and out of order,
// what comes right behind the reply); and its errors go no further, since they hold the password.
import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { SocksClient } from 'socks'
import { GatewayError, type ErrorCode } from '../errors.ts'
import type { UpstreamAsk } from './upstream-ask.ts'

/** By the reply's name in the package (RFC 1928 section 6; SOCKS4: Failed and the two about the user id). */
const CODE_BY_REPLY: Readonly<Record<string, ErrorCode>> = {
  Failure: 'dial-failed',
  NotAllowed: 'destination-denied',
  NetworkUnreachable: 'network-unreachable',
  HostUnreachable: 'host-unreachable',
  ConnectionRefused: 'connection-refused',
  TTLExpired: 'dial-timeout',
  CommandNotSupported: 'upstream-unavailable',
  AddressNotSupported: 'network-unreachable',
  Failed: 'dial-failed',
  Rejected: 'upstream-auth-failed',
  RejectedIdent: 'upstream-auth-failed',
  // A reply that RFC 1928 does not know is still one; SOCKS4 has four in all, and `(undefined)` is none of them.
  undefined: 'dial-failed',
}

/** Resolves when the proxy has connected; what it sent behind its reply is in `carrier` again. */
export function askSocks(carrier: Socket, ask: UpstreamAsk): Promise<Duplex> {
  const { destination, server, withinMs } = ask
  if (server.scheme === 'socks4a' && destination.host.includes(':')) {
    return Promise.reject(new GatewayError('network-unreachable', { side: 'upstream' }))
  }
  return new Promise((resolve, reject) => {
    let state: 'asking' | 'established' | 'failed' = 'asking'
    const isNow = (one: typeof state): boolean => state === one
    const client = new SocksClient({
      command: 'connect',
      destination,
      proxy: {
        host: server.host,
        port: server.port,
        type: server.scheme === 'socks4a' ? 4 : 5,
        ...(server.credentials && {
          userId: server.credentials.name,
          password: server.credentials.password,
        }),
      },
      timeout: Math.max(1, withinMs),
    })
    const gate = new Gate(carrier, () => {
      // With SOCKS5 the greeting comes first; it says nothing of the destination.
      if (server.scheme === 'socks4a' || carrier.bytesRead > 0) ask.asked()
    })
    const onData = (chunk: Buffer): void => {
      for (let index = 0; index < chunk.length && isNow('asking'); index += 1) {
        gate.emit('data', chunk.subarray(index, index + 1))
        if (isNow('established') && index + 1 < chunk.length) carrier.unshift(chunk.subarray(index + 1))
      }
    }
    const settle = (to: 'established' | 'failed'): boolean => {
      if (state !== 'asking') return false
      state = to
      carrier.pause()
      carrier.off('data', onData)
      carrier.off('end', onBroken)
      carrier.off('close', onBroken)
      return true
    }
    const fail = (code: ErrorCode): void => {
      if (!settle('failed')) return
      gate.destroy()
      reject(new GatewayError(code, { side: 'upstream' }))
    }
    const onBroken = (): void => fail('upstream-unavailable')
    client.on('established', () => {
      if (settle('established')) resolve(carrier)
    })
    client.on('error', (error) => fail(codeOf(error.message)))
    carrier.on('data', onData)
    carrier.on('end', onBroken)
    carrier.on('close', onBroken)
    client.connect(gate)
    carrier.resume()
  })
}

function codeOf(message: string): ErrorCode {
  if (/authentication failed|no accepted authentication/i.test(message)) return 'upstream-auth-failed'
  const reply = /rejected connection - (?:\((?!undefined))?(\w+)\)?$/i.exec(message)?.[1]
  return (reply === undefined ? undefined : CODE_BY_REPLY[reply]) ?? 'upstream-unavailable'
}

/** What the package takes for its socket: what it writes goes out, what it is to read is emitted. */
class Gate extends Duplex {
  #carrier: Socket
  #wrote: () => void

  constructor(carrier: Socket, wrote: () => void) {
    super()
    this.#carrier = carrier
    this.#wrote = wrote
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#wrote()
    this.#carrier.write(chunk, () => done())
  }
}
