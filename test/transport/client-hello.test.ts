// A hello in pieces, one that never comes, one that is none: TLS is set up for the whole ones alone.
import { once } from 'node:events'
import net from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { awaitClientHello } from '../../src/transport/client-hello.ts'
import { eventually } from '../support/eventually.ts'

const HELLO = Buffer.concat([Buffer.from('1603010100', 'hex'), Buffer.alloc(256, 7)])

interface Awaited {
  readonly peer: net.Socket
  readonly ours: net.Socket
  readonly said: string[]
}

async function start(withinMs = 60_000): Promise<Awaited> {
  const server = net.createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const accepted = once(server, 'connection') as Promise<[net.Socket]>
  const peer = net.connect({ host: '127.0.0.1', port: (server.address() as net.AddressInfo).port })
  const [ours] = await accepted
  server.close()
  for (const socket of [peer, ours]) socket.on('error', () => {})
  onTestFinished(() => {
    peer.destroy()
    ours.destroy()
  })
  const said: string[] = []
  awaitClientHello(ours, withinMs, {
    whole: () => said.push('whole'),
    late: () => said.push('late'),
    gone: () => said.push('gone'),
  })
  return { peer, ours, said }
}

describe('a hello', () => {
  it('is whole with its last byte, and put back as it came', async () => {
    const { peer, ours, said } = await start()
    for (const byte of HELLO.subarray(0, -1)) peer.write(Buffer.of(byte))
    await eventually(() => expect(ours.bytesRead).toBe(HELLO.length - 1))
    expect(said).toEqual([])
    peer.write(HELLO.subarray(-1))
    await eventually(() => expect(said).toEqual(['whole']))
    expect([ours.isPaused(), ours.read()]).toEqual([true, HELLO])
  })

  it.each([
    ['no handshake', 'GET / HTTP/1.1\r\n'],
    ['a record that is too long', Buffer.from('160301ffff00', 'hex')],
    ['more than a hello', Buffer.concat([HELLO, HELLO])],
  ])('is passed on at once: %s', async (_name, bytes) => {
    const { peer, ours, said } = await start()
    peer.write(bytes)
    await eventually(() => expect(said).toEqual(['whole']))
    expect(ours.read()).toEqual(Buffer.from(bytes))
  })

  it('that never comes is late, and said once', async () => {
    const { peer, ours, said } = await start(20)
    peer.write(HELLO.subarray(0, 100))
    await eventually(() => expect(said).toEqual(['late']))
    ours.destroy()
    await once(ours, 'close')
    expect(said).toEqual(['late'])
  })

  it('of a peer that leaves is gone', async () => {
    const { peer, said } = await start()
    peer.end(HELLO.subarray(0, 100))
    await eventually(() => expect(said).toEqual(['gone']))
  })
})
