// UDP sockets and ports: what binds, what is free again, what is dropped instead of held.
import dgram from 'node:dgram'
import { describe, expect, it } from 'vitest'
import { GatewayError } from '../../src/errors.ts'
import { bindUdpInRange } from '../../src/transport/udp-ports.ts'
import { UdpSocket } from '../../src/transport/udp-socket.ts'
import { UdpPeer } from '../support/socks-udp-client.ts'

const silent = { message: (): void => {} }

/** Ports that are free now, one after the other. */
async function freeRange(count: number): Promise<{ first: number; last: number }> {
  for (let attempt = 0; attempt < 50; attempt += 1) {
    const { port: first } = await probe(0)
    const last = first + count - 1
    const ports = Array.from({ length: count }, (_, index) => first + index)
    const free = await Promise.all(ports.map((port) => isFree(port)))
    if (free.every(Boolean)) return { first, last }
  }
  throw new Error('no free range')
}

async function isFree(port: number): Promise<boolean> {
  if (port > 65_535) return false
  return probe(port).then(
    () => true,
    () => false,
  )
}

function probe(port: number): Promise<{ port: number }> {
  const socket = dgram.createSocket('udp4')
  return new Promise((resolve, reject) => {
    socket.once('error', reject)
    socket.bind(port, '127.0.0.1', () => {
      const bound = socket.address()
      socket.close(() => resolve(bound))
    })
  })
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise
  } catch (thrown) {
    return thrown instanceof GatewayError ? thrown.code : String(thrown)
  }
  return 'no error'
}

describe('a UDP socket', () => {
  it.each(['127.0.0.1', '::1'])('sends from where it is bound and receives there: %s', async (address) => {
    await using peer = await UdpPeer.echo(address)
    const got = Promise.withResolvers<string>()
    const socket = await UdpSocket.bind(
      { address, port: 0 },
      { message: (bytes, from) => got.resolve(`${bytes.toString()} ${from.port}`) },
    )
    const sent = await new Promise((resolve) =>
      socket.send({ address, port: peer.port }, [Buffer.from('one '), Buffer.from('datagram')], resolve),
    )
    expect(sent).toBeUndefined()
    expect(await got.promise).toBe(`one datagram ${peer.port}`)
    expect(peer.received[0]).toMatchObject({ port: socket.address.port })
    socket.close()
  })

  it('gives its port back as it closes, and closes twice', async () => {
    const first = await UdpSocket.bind({ address: '127.0.0.1', port: 0 }, silent)
    expect(await codeOf(UdpSocket.bind(first.address, silent))).toBe('address-in-use')
    first.close()
    first.close()
    const second = await UdpSocket.bind(first.address, silent)
    expect(second.address).toEqual(first.address)
    second.close()
  })

  it('says so where the address is not of this machine', async () => {
    expect(await codeOf(UdpSocket.bind({ address: '192.0.2.1', port: 0 }, silent))).toBe(
      'network-unreachable',
    )
  })

  it.each([
    ['127.0.0.1', 65_507, undefined],
    ['127.0.0.1', 65_508, 'too-large'],
    ['::1', 65_527, undefined],
    ['::1', 65_528, 'too-large'],
  ])('at %s, of %d bytes: %s', async (address, length, failure) => {
    await using peer = await UdpPeer.bind(address)
    const socket = await UdpSocket.bind({ address, port: 0 }, silent)
    expect(
      await new Promise((resolve) =>
        socket.send({ address, port: peer.port }, [Buffer.alloc(length)], resolve),
      ),
    ).toBe(failure)
    socket.close()
  })

  it('does not throw for a port or an address that cannot be sent to', async () => {
    const socket = await UdpSocket.bind({ address: '127.0.0.1', port: 0 }, silent)
    for (const to of [
      { address: '127.0.0.1', port: 0 },
      { address: '::1', port: 9 },
      { address: '127.0.0.1', port: 70_000 },
    ]) {
      expect(await new Promise((resolve) => socket.send(to, [Buffer.from('x')], resolve))).toBe('unreachable')
    }
    socket.close()
  })

  it('is silent once it is closed', async () => {
    const socket = await UdpSocket.bind({ address: '127.0.0.1', port: 0 }, silent)
    socket.close()
    expect(() =>
      socket.send({ address: '127.0.0.1', port: 9 }, [Buffer.from('x')], () => {
        throw new Error('called')
      }),
    ).not.toThrow()
  })
})

describe('a port of a range', () => {
  it('is taken from the range until it is exhausted, whatever the chance', async () => {
    const range = await freeRange(3)
    const sockets = []
    for (const random of [0.99, 0, 0.5])
      sockets.push(await bindUdpInRange('127.0.0.1', range, () => random, silent))
    expect(sockets.map(({ address }) => address.port).toSorted((a, b) => a - b)).toEqual([
      range.first,
      range.first + 1,
      range.last,
    ])
    expect(sockets[0]?.address.port).toBe(range.last)
    expect(await codeOf(bindUdpInRange('127.0.0.1', range, () => 0.5, silent))).toBe('udp-ports-exhausted')
    sockets[1]?.close()
    const again = await bindUdpInRange('127.0.0.1', range, () => 0.7, silent)
    expect(again.address.port).toBe(sockets[1]?.address.port)
    for (const socket of [...sockets, again]) socket.close()
  })

  it('is any free one without a range', async () => {
    const socket = await bindUdpInRange('127.0.0.1', undefined, () => 0, silent)
    expect(socket.address.port).toBeGreaterThan(0)
    socket.close()
  })

  it('is not searched for where the address itself is wrong', async () => {
    expect(await codeOf(bindUdpInRange('192.0.2.1', { first: 1024, last: 65_535 }, () => 0, silent))).toBe(
      'network-unreachable',
    )
  })
})
