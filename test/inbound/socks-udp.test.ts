// The client's end of an association without sockets: whose datagrams it takes, and that nothing which is no
// datagram of RFC 1928 gets past it.
import { PassThrough } from 'node:stream'
import type { Socket } from 'node:net'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SocksRelay } from '../../src/inbound/socks-udp.ts'
import { decodeUdpMessage } from '../../src/protocol/socks/udp.ts'
import { encodeHeader } from '../support/socks-udp-client.ts'

const CLIENT = '10.0.0.1'
const GOOD = Buffer.concat([encodeHeader('192.0.2.1', 53), Buffer.from('hi')])

function relayOf(port?: number): { relay: SocksRelay; told: string[] } {
  const told: string[] = []
  const control = new PassThrough() as unknown as Socket
  const relay = new SocksRelay(control, CLIENT, port, {
    message: ({ host, port: to }, payload) =>
      told.push(`${Buffer.from(payload).toString('latin1')} to ${host}:${to}`),
    dropped: (reason) => told.push(reason),
    closed: () => told.push('closed'),
  })
  return { relay, told }
}

describe('whose datagrams', () => {
  it('are those of the client, and from its first on of one port', () => {
    const { relay, told } = relayOf()
    relay.received(GOOD, { address: '10.0.0.2', port: 1 })
    relay.received(GOOD, { address: CLIENT, port: 7 })
    relay.received(GOOD, { address: CLIENT, port: 8 })
    relay.received(GOOD, { address: CLIENT, port: 7 })
    expect(told).toEqual(['wrong-source', 'hi to 192.0.2.1:53', 'wrong-source', 'hi to 192.0.2.1:53'])
  })

  it('are those of the port that was announced', () => {
    const { relay, told } = relayOf(8)
    relay.received(GOOD, { address: CLIENT, port: 7 })
    relay.received(GOOD, { address: CLIENT, port: 8 })
    expect(told).toEqual(['wrong-source', 'hi to 192.0.2.1:53'])
  })

  it('is not decided by garbage or by a fragment', () => {
    const { relay, told } = relayOf()
    relay.received(Buffer.from('garbage'), { address: CLIENT, port: 7 })
    relay.received(encodeHeader('192.0.2.1', 53, 1), { address: CLIENT, port: 7 })
    relay.received(GOOD, { address: CLIENT, port: 8 })
    expect(told).toEqual(['malformed', 'fragment', 'hi to 192.0.2.1:53'])
  })
})

describe('garbage', () => {
  it('never throws and never is sent: it is counted, once each', () => {
    const likely = fc
      .tuple(
        fc.constantFrom(0, 0, 0, 7),
        fc.constantFrom(0, 0, 1),
        fc.constantFrom(1, 3, 4, 9),
        fc.uint8Array({ maxLength: 40 }),
      )
      .map(([reserved, fragment, type, rest]) => Uint8Array.from([0, reserved, fragment, type, ...rest]))
    fc.assert(
      fc.property(
        fc.oneof(fc.uint8Array({ maxLength: 40 }), likely),
        fc.constantFrom(CLIENT, '10.0.0.2'),
        (bytes, address) => {
          const { relay, told } = relayOf()
          relay.received(bytes, { address, port: 7 })
          expect(told).toHaveLength(1)
          const sent = told[0]?.includes(' to ') === true
          if (sent !== (address === CLIENT && isWhole(bytes)))
            throw new Error(`${sent ? 'sent' : 'dropped'}: ${told[0]}`)
        },
      ),
      { numRuns: 20_000 },
    )
  })

  function isWhole(bytes: Uint8Array): boolean {
    try {
      return decodeUdpMessage(bytes).fragment === 0
    } catch {
      return false
    }
  }
})
