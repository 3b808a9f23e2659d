// Layers of datagrams and of HTTP bodies: what is taken off, and that each byte leads back to the capture.
import * as zlib from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { Recorder, streamBytes, type CapturedConnection } from '../../../src/lab/capture.ts'
import { encodeQuestion } from '../../../src/lab/datagrams.ts'
import type { Layer } from '../../../src/lab/layer.ts'
import { peel, peelConnection } from '../../../src/lab/layers.ts'
import { encodeUdpHeader } from '../../../src/protocol/socks/udp.ts'

const NAME = 'needle.sightline.test'
const FROM = { address: '127.0.0.2', port: 1 }
const TO = { address: '127.0.0.3', port: 2 }

function udp(...datagrams: Array<readonly ['up' | 'down', Uint8Array]>): CapturedConnection {
  const { connection, record } = new Recorder().connection(FROM, TO, 'udp')
  for (const [direction, bytes] of datagrams) record(direction, Buffer.from(bytes))
  return connection
}

/** The captured bytes that a field of a layer stands at. */
function capturedAt(connection: CapturedConnection, layer: Layer, name: string): Buffer {
  const field = layer.fields.find((each) => each.name === name)
  const place = field && layer.place(field.offset, field.length)
  if (place === undefined) throw new Error(`no place of ${name}`)
  return streamBytes(connection, layer.direction).subarray(place.offset, place.offset + place.length)
}

describe('peelConnection of datagrams', () => {
  it('reads each by itself: DNS, and what is none', () => {
    const connection = udp(['up', Buffer.from('hello')], ['up', encodeQuestion(NAME, 9)])
    const { layers, failures } = peelConnection(connection, [])
    expect(failures).toEqual([])
    expect(layers.map(({ path, fields }) => [path, fields.some(({ name }) => name === 'dns.query')])).toEqual(
      [
        ['udp', false],
        ['udp', true],
      ],
    )
    const [, dns] = layers
    expect(dns && capturedAt(connection, dns, 'dns.query').toString('latin1')).toBe(
      '\u0006needle\u0009sightline\u0004test\0',
    )
  })

  it('takes the header of an association off, and reads the datagram behind it', () => {
    const header = encodeUdpHeader({ address: '127.1.2.3', port: 53 })
    const connection = udp(
      ['up', Buffer.concat([header, encodeQuestion(NAME, 9)])],
      ['down', Buffer.concat([header, Buffer.from('echo')])],
    )
    const { layers } = peelConnection(connection, [])
    expect(layers.map(({ path, direction }) => `${path} ${direction}`)).toEqual([
      'udp up',
      'udp > socks up',
      'udp down',
      'udp > socks down',
    ])
    const [outer, dns, , echo] = layers
    if (outer === undefined || dns === undefined || echo === undefined) throw new Error('four layers')
    expect([...capturedAt(connection, outer, 'socks.request.host')]).toEqual([127, 1, 2, 3])
    expect(capturedAt(connection, dns, 'dns.query').length).toBe(NAME.length + 2)
    expect(Buffer.from(echo.bytes).toString()).toBe('echo')
  })
})

describe('peel of DNS on a stream', () => {
  it('reads each message behind its length', () => {
    const question = encodeQuestion(NAME, 9)
    const framed = Buffer.concat([Buffer.from([0, question.length]), question])
    const up = Buffer.concat([framed, framed])
    const { layers } = peel({ up, down: Buffer.alloc(0) }, [])
    const queries = layers[0]?.fields.filter(({ name }) => name === 'dns.query') ?? []
    expect(queries.map(({ value, offset }) => [value, offset])).toEqual([
      [NAME, 14],
      [NAME, 14 + framed.length],
    ])
  })
})

describe('peel of HTTP bodies', () => {
  const page = Buffer.from(`${'filler '.repeat(40)}needle`)
  const up = Buffer.from('GET / HTTP/1.1\r\nhost: a\r\n\r\n')
  const answer = (head: string, body: Uint8Array): Buffer =>
    Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\n${head}\r\n\r\n`), body])

  it.each([
    ['gzip', zlib.gzipSync(page)],
    ['br', zlib.brotliCompressSync(page)],
    ['deflate', zlib.deflateSync(page)],
  ])('undoes %s, and leads every byte back to the body as a whole', (coding, body) => {
    const down = answer(`content-encoding: ${coding}\r\ncontent-length: ${body.length}`, body)
    const layer = peel({ up, down }, []).layers.at(-1)
    expect([layer?.path, layer?.coding, layer && Buffer.from(layer.bytes).equals(page)]).toEqual([
      `tcp > ${coding}`,
      coding,
      true,
    ])
    expect(layer?.place(page.length - 6, 6)).toEqual({
      offset: down.length - body.length,
      length: body.length,
    })
  })

  it('puts chunks together, so that a word across two of them is found at its place', () => {
    const down = answer('transfer-encoding: chunked', Buffer.from('4\r\nxnee\r\n5\r\ndle..\r\n0\r\n\r\n'))
    const layer = peel({ up, down }, []).layers.at(-1)
    expect([layer?.path, layer && Buffer.from(layer.bytes).toString()]).toEqual(['tcp > chunks', 'xneedle..'])
    const place = layer?.place(1, 6)
    expect(place && down.toString('latin1', place.offset, place.offset + place.length)).toBe(
      'nee\r\n5\r\ndle',
    )
  })

  it('leaves a body that is not in its coding as it is', () => {
    const down = answer('content-encoding: gzip\r\ncontent-length: 4', Buffer.from('text'))
    expect(peel({ up, down }, []).layers.map(({ path }) => path)).toEqual(['tcp', 'tcp'])
  })
})
