// Sees every TCP dial and every datagram of this process, whoever makes it, by the address that it goes to. Rule: only this machine's
// loopback is ever reached: a test of refusals that fails must not reach out to anybody.
import dgram from 'node:dgram'
import net from 'node:net'
import { vi } from 'vitest'

export interface DialWatch extends Disposable {
  /** `address port`, in order, of every dial but those to the ports that are the test's own. */
  readonly dialled: string[]
}

/** Every other dial than one to 127.0.0.1 or ::1 is seen and then ends as if it had been refused. */
export function watchDials(ownPorts: readonly number[]): DialWatch {
  const own = new Set(ownPorts)
  const dialled: string[] = []
  const dial = Reflect.get(net.Socket.prototype, 'connect') as (...args: unknown[]) => net.Socket
  const spy = vi.spyOn(net.Socket.prototype, 'connect').mockImplementation(function seen(
    this: net.Socket,
    ...args: unknown[]
  ) {
    const [options] = args.flat() as [net.TcpNetConnectOpts]
    if (!own.has(options.port)) dialled.push(`${options.host} ${options.port}`)
    const isReached = own.has(options.port) || options.host === '127.0.0.1' || options.host === '::1'
    if (isReached) return Reflect.apply(dial, this, args)
    return this.destroy(Object.assign(new Error('refused by the test'), { code: 'ECONNREFUSED' }))
  })
  return { dialled, [Symbol.dispose]: () => spy.mockRestore() }
}

/** Every datagram that this process sends to `port` is seen, and goes on only if it goes to 127.0.0.1 or ::1. */
export function watchDatagrams(port: number): DialWatch {
  const dialled: string[] = []
  const send = Reflect.get(dgram.Socket.prototype, 'send') as (...args: unknown[]) => void
  const spy = vi.spyOn(dgram.Socket.prototype, 'send').mockImplementation(function seen(
    this: dgram.Socket,
    ...args: unknown[]
  ) {
    const [, to, address, done] = args as [unknown, number, string, (error: Error | null) => void]
    if (to === port) dialled.push(`${address} ${to}`)
    const isReached = to !== port || address === '127.0.0.1' || address === '::1'
    if (isReached) return Reflect.apply(send, this, args)
    return void setImmediate(() => done(new Error('refused by the test')))
  })
  return { dialled, [Symbol.dispose]: () => spy.mockRestore() }
}
