// What the meter makes of an association's datagrams: readable or not by destination port, and one count of who read what.
import { describe, expect, it } from 'vitest'
import { DatagramMeter } from '../../src/gateway/datagram-meter.ts'
import type { Observer } from '../../src/gateway/observer.ts'
import { Log } from '../../src/telemetry/log.ts'

const INITIAL = Buffer.from(`c000000001088394c8f03e515708${'00'.repeat(1_186)}`, 'hex')
const SHORT = Buffer.from('408394c8f03e5157080102', 'hex')
const QUERY = Buffer.from('12340100000100000000000003616263000001 0001'.replaceAll(' ', ''), 'hex')

class Bench {
  readonly told: Record<string, number> = {}
  readonly reads: string[] = []
  readonly meter: DatagramMeter

  constructor(look = true) {
    const observer: Observer = {
      ...new Log('silent', { write: () => {} }).observer,
      relayed: (mode, direction, readable, bytes) => {
        const key = `${mode} ${direction} ${readable}`
        this.told[key] = (this.told[key] ?? 0) + bytes
      },
      streamRead: ({ firstBytes, namedByClient }) => this.reads.push(`${firstBytes} ${namedByClient}`),
    }
    const facts = (host: string) =>
      ({
        mode: 'tunnel',
        linkEncrypted: true,
        namedByClient: host !== '192.0.2.1',
        credential: true,
      }) as const
    this.meter = new DatagramMeter(observer, 'tunnel', facts, look)
  }
}

describe('the datagram meter', () => {
  it('tells the first flight of QUIC from what follows', () => {
    const { meter, told, reads } = new Bench()
    meter.sent('site.example', 443, INITIAL)
    meter.received(443, INITIAL.subarray(0, 100))
    meter.sent('site.example', 443, SHORT)
    meter.received(443, SHORT)
    expect(told).toEqual({
      'tunnel up yes': 1_200,
      'tunnel down yes': 100,
      'tunnel up no': 11,
      'tunnel down no': 11,
    })
    expect(reads).toEqual(['quic true'])
  })

  it('tells what is spoken to one port from what is spoken to another, and counts the association once', () => {
    const { meter, told, reads } = new Bench()
    meter.sent('192.0.2.1', 53, QUERY)
    meter.received(53, Buffer.from('answer'))
    meter.sent('192.0.2.1', 443, INITIAL)
    meter.received(443, SHORT)
    meter.sent('192.0.2.1', 9, Buffer.from('?'))
    meter.received(10, Buffer.from('from a port not asked'))
    expect(told).toEqual({
      'tunnel up yes': QUERY.length + 1_200,
      'tunnel down yes': 6,
      'tunnel down no': 11,
      'tunnel up unknown': 1,
      'tunnel down unknown': 21,
    })
    expect(reads).toEqual(['dns false'])
  })

  it('does not change its mind over a port, and remembers no more than 64', () => {
    const { meter, told } = new Bench()
    meter.sent('a', 1, Buffer.from('?'))
    meter.sent('a', 1, QUERY)
    expect(told).toEqual({ 'tunnel up unknown': 1 + QUERY.length })
    for (let port = 2; port <= 65; port += 1) meter.sent('a', port, QUERY)
    expect(told['tunnel up yes']).toBe(63 * QUERY.length)
    expect(told['tunnel up unknown']).toBe(1 + 2 * QUERY.length)
  })

  it('does not look where it must not', () => {
    const { meter, told, reads } = new Bench(false)
    meter.sent('a', 53, QUERY)
    expect([told, reads]).toEqual([{ 'tunnel up unknown': QUERY.length }, []])
  })
})
