// What is called encrypted: the payload of protected TLS records, and not a byte more. And no mark of the seal lies over
// what an observer reads.
import { describe, expect, it } from 'vitest'
import { observe, sealedRanges } from '../../../src/lab/console/observe.ts'
import { measureOne } from '../measure.ts'

const record = (type: number, ...payload: number[]): number[] => [type, 3, 3, 0, payload.length, ...payload]

describe('sealedRanges', () => {
  it('takes the payloads of application data, without their headers', () => {
    const bytes = [...record(22, 1, 0, 9), ...record(20, 1), ...record(23, 7, 7, 7), ...record(23, 8)]
    expect(sealedRanges(Uint8Array.from(bytes))).toEqual([
      { offset: 19, length: 3 },
      { offset: 27, length: 1 },
    ])
  })

  it('takes what follows ChangeCipherSpec in TLS 1.2, but not a second ClientHello', () => {
    const bytes = [...record(22, 1, 0, 9), ...record(20, 1), ...record(22, 200, 1), ...record(22, 1, 0, 5)]
    expect(sealedRanges(Uint8Array.from(bytes))).toEqual([{ offset: 19, length: 2 }])
  })

  it('takes a record that is still on its way, as far as it has come', () => {
    const bytes = [...record(22, 1, 0, 9), 23, 3, 3, 0, 200, 1, 2, 3]
    expect(sealedRanges(Uint8Array.from(bytes))).toEqual([{ offset: 13, length: 3 }])
  })

  it.each([['GET / HTTP/1.1\r\n'], [''], ['\u0005\u0001\u0000']])('takes nothing of %j', (text) => {
    expect(sealedRanges(Buffer.from(text, 'latin1'))).toEqual([])
  })
})

describe('observe', () => {
  it('seals most of the tunnel for the access network, and nothing of it for what the operator opened', async () => {
    const { recording } = await measureOne('tunnel', 'http')
    const seen = observe(recording, 0)
    expect(seen.map(({ observer }) => observer)).toEqual(
      expect.arrayContaining(['access-network', 'gateway-operator', 'destination']),
    )
    const sum = (numbers: number[]): number => numbers.reduce((a, b) => a + b, 0)
    const sealed = (observer: string, opened: boolean): number => {
      const pieces = seen
        .filter((one) => one.observer === observer)
        .flatMap((one) => one.pieces)
        .filter(({ layer }) => (layer === 'tcp') !== opened)
      const marks = pieces.flatMap((piece) => piece.marks.filter(({ kind }) => kind === 'sealed'))
      return sum(marks.map(({ length }) => length)) / sum(pieces.map(({ length }) => length))
    }
    expect(sealed('access-network', false)).toBeGreaterThan(0.5)
    expect(sealed('gateway-operator', true)).toBe(0)
    expect(sealed('destination', false)).toBe(0)
  })

  it('never marks a stretch that is not in its piece', async () => {
    const { recording } = await measureOne('http-proxy', 'https')
    const marks = observe(recording, 0).flatMap(({ pieces }) =>
      pieces.flatMap((piece) =>
        piece.marks.map((mark) => ({ ...mark, of: Buffer.from(piece.bytes, 'base64').length })),
      ),
    )
    expect(marks.length).toBeGreaterThan(10)
    expect(
      marks.filter(({ offset, length, of }) => offset < 0 || length < 1 || offset + length > of),
    ).toEqual([])
  })
})
