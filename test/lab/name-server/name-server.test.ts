// The lab's name server, asked by c-ares over UDP and by hand over TCP, through taps: what it knows, what it does not, and
// what is no question at all.
import { Resolver } from 'node:dns/promises'
import net from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bindUdp } from '../../../src/lab/udp-tap.ts'
import { dissectDns } from '../../../src/lab/dissect/dns.ts'
import { encodeQuestion } from '../../../src/lab/datagrams.ts'
import { lookUp } from '../../../src/lab/look-up.ts'
import { startNameServer, type NameServer } from '../../../src/lab/name-server.ts'
import { Wires } from '../../../src/lab/wires.ts'
import { streamBytes, type Endpoint } from '../../../src/lab/capture.ts'

const SERVER = '127.45.67.89'
const ASKER = '127.98.76.54'
const ADDRESS = '127.1.2.3'
/** More addresses than 512 bytes hold. */
const MANY = Array.from({ length: 60 }, (_, index) => `127.3.2.${index + 1}`)

let server: NameServer
const wires = new Wires()
let near: Endpoint
beforeAll(async () => {
  const zone = new Map([
    ['site.sightline.test', [ADDRESS]],
    ['many.sightline.test', MANY],
  ])
  server = await startNameServer(SERVER, (name) => zone.get(name))
  near = await wires.both('resolver', server.address)
})
afterAll(() => {
  wires.close()
  server.close()
})

function resolver(): Resolver {
  const channel = new Resolver({ timeout: 2_000, tries: 2 })
  channel.setServers([`${near.address}:${near.port}`])
  channel.setLocalAddress(ASKER)
  return channel
}

/** One datagram to the server itself, and its answer. */
async function askByUdp(message: Buffer): Promise<Buffer> {
  const socket = await bindUdp({ address: ASKER, port: 0 })
  try {
    return await new Promise((resolve) => {
      socket.once('message', resolve)
      socket.send(message, server.address.port, server.address.address)
    })
  } finally {
    socket.close()
  }
}

describe('the name server', () => {
  it('answers for a name that it knows, in any case, and each look-up is a connection of its own in the record', async () => {
    wires.take()
    expect(await lookUp('Site.SIGHTLINE.test', { resolver: near, from: ASKER })).toBe(ADDRESS)
    expect(await lookUp('site.sightline.test', { resolver: near, from: ASKER })).toBe(ADDRESS)
    expect(await wires.settled()).toBe(true)
    const { resolver: recorded, access, exit } = wires.take()
    expect([recorded.length, access.length, exit.length]).toEqual([2, 0, 0])
    for (const { transport, from, to, seenAs, frames } of recorded) {
      expect([transport, from.address, to, seenAs?.address]).toEqual(['udp', ASKER, near, ASKER])
      expect(frames.map(({ direction }) => direction)).toEqual(['up', 'down'])
      const [query, answer] = frames.map(({ bytes }) => dissectDns(bytes))
      expect(query?.questions[0]?.name.toLowerCase()).toBe('site.sightline.test')
      expect(answer?.records.map(({ data, ttlSeconds }) => [data, ttlSeconds])).toEqual([[ADDRESS, 0]])
    }
  })

  it('knows no other name, and no other type of those that it knows', async () => {
    await expect(resolver().resolve4('other.sightline.test')).rejects.toMatchObject({ code: 'ENOTFOUND' })
    await expect(resolver().resolve6('site.sightline.test')).rejects.toMatchObject({ code: 'ENODATA' })
  })

  it('says that an answer does not fit into a datagram, and gives it over TCP', async () => {
    wires.take()
    expect(await resolver().resolve4('many.sightline.test')).toEqual(MANY)
    expect(await wires.settled()).toBe(true)
    const { resolver: recorded } = wires.take()
    expect(recorded.map(({ transport }) => transport)).toEqual(['udp', 'tcp'])
    const [byUdp, byTcp] = recorded.map((connection) => streamBytes(connection, 'down'))
    // RFC 1035 section 4.1.1: TC is the seventh bit of the third byte.
    expect(byUdp?.readUInt8(2)).toBe(0x86 | 0x01)
    expect(byUdp?.length).toBeLessThanOrEqual(512)
    expect(byTcp?.readUInt16BE(0)).toBe((byTcp?.length ?? 0) - 2)
  })

  it('takes several questions on one TCP connection, in pieces', async () => {
    const question = encodeQuestion('site.sightline.test', 7)
    const framed = Buffer.concat([Buffer.from([0, question.length]), question])
    const socket = net.connect({ host: SERVER, port: server.address.port })
    const chunks: Buffer[] = []
    socket.on('data', (chunk: Buffer) => chunks.push(chunk))
    socket.write(framed.subarray(0, 5))
    socket.write(framed.subarray(5))
    socket.end(framed)
    await new Promise((resolve) => socket.on('close', resolve))
    const bytes = Buffer.concat(chunks)
    const length = bytes.readUInt16BE(0)
    expect(bytes.length).toBe(2 * (2 + length))
    expect(dissectDns(bytes.subarray(2, 2 + length)).records.map(({ data }) => data)).toEqual([ADDRESS])
  })

  it.each([
    ['no question', Buffer.from('000701000000000000000000', 'hex'), 1],
    ['half a question', encodeQuestion('site.sightline.test', 7).subarray(0, 20), 1],
    [
      'another opcode',
      Buffer.concat([Buffer.from([0, 7, 0x28, 0]), encodeQuestion('a.b', 7).subarray(4)]),
      4,
    ],
  ])('answers %s with an error of DNS', async (_, message, rcode) => {
    const answer = await askByUdp(message)
    expect([answer.readUInt16BE(0), answer.readUInt8(3) & 0x0f]).toEqual([message.readUInt16BE(0), rcode])
  })

  it('ends a TCP connection that says what is no message, and goes on', async () => {
    const socket = net.connect({ host: SERVER, port: server.address.port })
    socket.on('error', () => {})
    socket.write(Buffer.from([0, 3, 1, 2, 3]))
    await new Promise((resolve) => socket.on('close', resolve))
    expect(await lookUp('site.sightline.test', { resolver: near, from: ASKER })).toBe(ADDRESS)
  })
})
