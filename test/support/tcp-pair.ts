// The two ends of a TCP connection on loopback, for tests that count what is done to a socket. Both are destroyed when the
// test is over.
import { once } from 'node:events'
import net, { type AddressInfo, type ServerOpts, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'
import { connectTcp } from '../../src/transport/tcp-socket.ts'

/** `ours` is opened as the gateway opens one to an origin; `peer` is what a server with these options accepts. */
export async function tcpPair(options: ServerOpts = {}): Promise<{ ours: Socket; peer: Socket }> {
  const server = net.createServer({ allowHalfOpen: true, ...options }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const accepted = once(server, 'connection') as Promise<[Socket]>
  const { port } = server.address() as AddressInfo
  const ours = connectTcp({ host: '127.0.0.1', port, allowHalfOpen: true })
  const [peer] = await accepted
  server.close()
  for (const socket of [ours, peer]) socket.on('error', () => {})
  onTestFinished(() => {
    ours.destroy()
    peer.destroy()
  })
  return { ours, peer }
}
