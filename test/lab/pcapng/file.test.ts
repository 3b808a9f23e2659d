// A capture file as an independent reader finds it: what is in its blocks, what it says of itself, when its packets were,
// and that no text can break it.
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Recorder, type CapturedConnection } from '../../../src/lab/capture.ts'
import {
  interfaceBlock,
  namesBlock,
  packetBlock,
  sectionBlock,
  tlsKeysBlock,
} from '../../../src/lab/pcapng/blocks.ts'
import { decodeAs, encodeCapture } from '../../../src/lab/pcapng/file.ts'
import { readPcapng, readSegment } from '../../support/pcapng.ts'
import * as dns from '../dissect/dns-builder.ts'

const CLIENT = { address: '127.1.2.3', port: 40_000 }
const KEYLOG = `CLIENT_RANDOM ${'ab'.repeat(32)} ${'cd'.repeat(48)}\n`

function tcp(port: number, said: string): CapturedConnection {
  const { connection, record } = new Recorder().connection(CLIENT, { address: '127.4.5.6', port })
  record('up', Buffer.from(said, 'latin1'))
  return connection
}

function udp(port: number, said: Uint8Array): CapturedConnection {
  const { connection, record } = new Recorder().connection(CLIENT, { address: '127.0.0.53', port }, 'udp')
  record('up', Buffer.from(said))
  return connection
}

const file = (connections: readonly CapturedConnection[], keylog?: string): Buffer =>
  encodeCapture({
    vantage: 'access-network',
    subject: 'http-proxy, http',
    connections,
    names: new Map([
      ['127.1.2.3', 'client'],
      ['2001:db8::1', 'resolver'],
    ]),
    originMs: 1_790_000_000_000,
    ...(keylog !== undefined && { keylog }),
  })

describe('a capture file', () => {
  it('says of itself what was recorded and what is reconstructed', () => {
    const read = readPcapng(file([tcp(8_080, 'GET / HTTP/1.1\r\n')]))
    expect(read.application).toBe('sightline lab')
    expect(read.comment).toMatch(
      /^access-network: http-proxy, http\nPayloads are the bytes that passed a tap/,
    )
    expect(read.comment).toContain('reconstructed, and prove nothing')
    expect(read.comment).toContain('-d tcp.port==8080,http')
    expect(read.interfaces).toEqual([{ linkType: 1, name: 'access-network', resolution: 9 }])
    expect(read.names).toEqual([
      ['127.1.2.3', 'client'],
      ['20010db8000000000000000000000001', 'resolver'],
    ])
    expect(read.secrets).toEqual([])
    expect(read.packets.map(({ comment }) => comment)).toEqual([
      'client to 127.4.5.6 (tcp, headers reconstructed)',
      undefined,
      undefined,
      undefined,
    ])
  })

  it('holds keys only where they are given, before the packets, and says so', () => {
    const read = readPcapng(file([tcp(443, '\u0016\u0003')], KEYLOG))
    expect(read.secrets).toEqual([KEYLOG])
    expect(read.blocks.indexOf(10)).toBeLessThan(read.blocks.indexOf(6))
    expect(read.comment).toContain('The TLS keys of this run are in this file')
  })

  it('gives the time at which bytes passed, to the nanosecond', () => {
    const connection = tcp(80, 'a')
    const timed = {
      ...connection,
      openedMs: 0,
      frames: connection.frames.map((frame) => ({ ...frame, atMs: 1_234.567891 })),
    }
    expect(readPcapng(file([timed])).packets.map(({ nanoseconds }) => nanoseconds)).toEqual([
      1_790_000_000_000_000_000n,
      1_790_000_000_000_000_000n,
      1_790_000_000_000_000_000n,
      1_790_000_001_234_567_891n,
    ])
  })

  it('without a connection is a file too', () => {
    expect(readPcapng(file([])).packets).toEqual([])
  })

  it('holds the packets whole, whatever their length', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 40 }), (payload) => {
        const packet = readPcapng(file([udp(9, payload)])).packets[0]
        expect(readSegment(packet!.bytes).payload.equals(payload)).toBe(true)
      }),
      { numRuns: 50 },
    )
  })

  it('is not broken by any text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 20 }), fc.nat(9), (text, length) => {
        const bytes = Buffer.alloc(length, 1)
        const read = readPcapng(
          Buffer.concat([
            sectionBlock({ application: text, comment: text }),
            interfaceBlock(text, text),
            namesBlock(new Map([['127.0.0.1', 'a']])),
            tlsKeysBlock(text),
            packetBlock({ nanoseconds: 0n, bytes, comment: text }),
          ]),
        )
        const written = Buffer.from(text).toString()
        expect([read.application, read.comment, read.interfaces[0]?.name]).toEqual([
          written,
          written,
          written,
        ])
        expect(read.packets).toEqual([{ nanoseconds: 0n, bytes, comment: written }])
      }),
      { numRuns: 100 },
    )
    expect(() => sectionBlock({ application: '', comment: 'x'.repeat(0x10000) })).toThrow(
      expect.objectContaining({ code: 'bad-request' }),
    )
    expect(() => namesBlock(new Map([['client', 'a']]))).toThrow(
      expect.objectContaining({ code: 'bad-request' }),
    )
  })
})

describe('what tshark has to be told of ports', () => {
  it.each([
    ['tcp.port==1,socks', tcp(1, '\u0005\u0001\u0000')],
    ['tcp.port==2,socks', tcp(2, '\u0004\u0001')],
    ['tcp.port==3,tls', tcp(3, '\u0016\u0003\u0001')],
    ['tcp.port==4,http', tcp(4, 'CONNECT a:1 HTTP/1.1\r\n')],
    ['udp.port==5,dns', udp(5, dns.message({ questions: [dns.question(dns.name('a'))] }))],
  ])('%s', (hint, connection) => {
    expect(decodeAs([connection, connection], false)).toEqual([hint])
  })

  it('is nothing of what is not known', () => {
    const unknown = [tcp(1, 'SSH-2.0'), udp(2, Buffer.from('echo')), udp(3, Buffer.alloc(0))]
    expect(decodeAs(unknown, false)).toEqual([])
  })

  it('leaves SOCKS out where it shall decrypt', () => {
    const both = [tcp(1, '\u0005\u0001\u0000'), tcp(3, '\u0016\u0003\u0001')]
    expect(decodeAs(both, true)).toEqual(['tcp.port==3,tls'])
  })
})
