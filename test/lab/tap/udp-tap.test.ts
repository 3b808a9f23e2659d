// A tap for datagrams is not there either: each passes whole and unchanged, from the sender's own address, with one
// connection in the record for each of its ports.
import type dgram from 'node:dgram'
import { randomBytes } from 'node:crypto'
import { afterEach, describe, expect, it } from 'vitest'
import { Recorder, type Endpoint } from '../../../src/lab/capture.ts'
import { bindUdp, UdpTap } from '../../../src/lab/udp-tap.ts'

const CLIENT = '127.44.55.66'
const SERVER = '127.77.88.99'

const closers: Array<() => void> = []
afterEach(() => {
  for (const close of closers.splice(0)) close()
})

async function open(address: string): Promise<dgram.Socket> {
  const socket = await bindUdp({ address, port: 0 })
  closers.push(() => socket.close())
  return socket
}

function next(socket: dgram.Socket): Promise<{ bytes: Buffer; from: Endpoint }> {
  return new Promise((resolve) =>
    socket.once('message', (bytes, { address, port }) => resolve({ bytes, from: { address, port } })),
  )
}

async function startTapped(
  carries?: Endpoint,
): Promise<{ tap: UdpTap; recorder: Recorder; server: dgram.Socket }> {
  const server = await open(SERVER)
  const recorder = new Recorder()
  const tap = await UdpTap.start({
    listen: { address: SERVER, port: 0 },
    onward: { address: SERVER, port: server.address().port },
    recorder: () => recorder,
    carries,
  })
  closers.push(() => tap.close())
  return { tap, recorder, server }
}

describe('UdpTap', () => {
  it('passes datagrams both ways as they are, from the sender’s own address', async () => {
    const { tap, recorder, server } = await startTapped()
    const client = await open(CLIENT)
    const payloads = [Buffer.alloc(0), Buffer.from('one'), randomBytes(1_400), randomBytes(9_000)]
    for (const payload of payloads) {
      const arrived = next(server)
      client.send(payload, tap.address.port, tap.address.address)
      const { bytes, from } = await arrived
      expect([bytes.equals(payload), from.address]).toEqual([true, CLIENT])
      const answered = next(client)
      server.send(Buffer.concat([bytes, Buffer.from('!')]), from.port, from.address)
      const answer = await answered
      expect([answer.bytes.length, answer.from]).toEqual([payload.length + 1, tap.address])
    }
    const [connection, ...others] = recorder.take()
    expect(others).toEqual([])
    expect(connection).toMatchObject({
      transport: 'udp',
      from: { address: CLIENT, port: client.address().port },
      to: tap.address,
      seenAs: { address: CLIENT },
    })
    expect(connection?.frames.map(({ direction, bytes }) => [direction, bytes.length])).toEqual(
      payloads.flatMap(({ length }) => [
        ['up', length],
        ['down', length + 1],
      ]),
    )
  })

  it('keeps two ports of one client apart, each with its own answers', async () => {
    const { tap, recorder, server } = await startTapped()
    server.on('message', (bytes, { port, address }) => server.send(bytes, port, address))
    const clients = [await open(CLIENT), await open(CLIENT)]
    for (const [index, client] of clients.entries()) {
      const answered = next(client)
      client.send(`client ${index}`, tap.address.port, tap.address.address)
      expect((await answered).bytes.toString()).toBe(`client ${index}`)
    }
    expect(recorder.take().map(({ from }) => from.port)).toEqual(
      clients.map((client) => client.address().port),
    )
  })

  it('records where it says that it leads, and begins a new connection once flows were ended', async () => {
    const relay = { address: '127.9.9.9', port: 4_242 }
    const { tap, recorder, server } = await startTapped(relay)
    server.on('message', (bytes, { port, address }) => server.send(bytes, port, address))
    const client = await open(CLIENT)
    for (const text of ['before', 'after']) {
      const answered = next(client)
      client.send(text, tap.address.port, tap.address.address)
      await answered
      const [connection, ...others] = recorder.take()
      expect([connection?.to, connection?.frames.length, others.length]).toEqual([relay, 2, 0])
      tap.endFlows()
    }
  })
})
