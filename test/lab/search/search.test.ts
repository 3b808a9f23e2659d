// The search must find a needle under each encoding at its exact place, and must not find what is not there.
import { createHash } from 'node:crypto'
import * as zlib from 'node:zlib'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { GatewayError } from '../../../src/errors.ts'
import { decodeContent, excerpt, searchCapture, type Hit } from '../../../src/lab/search.ts'

const NEEDLE = 'qk5canary7word2x'

/** Bytes with `encoded` in their midst, and where it stands. */
function around(encoded: string | Uint8Array): { capture: Buffer; offset: number; length: number } {
  const bytes = typeof encoded === 'string' ? Buffer.from(encoded, 'latin1') : Buffer.from(encoded)
  const before = Buffer.from([0, 255, 10, 37, 65])
  return {
    capture: Buffer.concat([before, bytes, Buffer.from([37, 0, 200])]),
    offset: 5,
    length: bytes.length,
  }
}

const everyByte = (text: string, digits: (byte: number) => string): string =>
  [...Buffer.from(text)].map((byte) => `%${digits(byte)}`).join('')
const lowerHex = (byte: number): string => byte.toString(16).padStart(2, '0')
const digest = (algorithm: string): Buffer => createHash(algorithm).update(NEEDLE).digest()

describe('searchCapture', () => {
  it.each([
    ['plain', NEEDLE],
    ['plain', NEEDLE.toUpperCase()],
    ['plain', 'QK5canary7WORD2x'],
    ['percent', everyByte(NEEDLE, lowerHex)],
    ['percent', everyByte(NEEDLE, (byte) => lowerHex(byte).toUpperCase())],
    ['percent', NEEDLE.replace('c', '%63').replace('w', '%77')],
    ['hex', Buffer.from(NEEDLE).toString('hex')],
    ['hex', Buffer.from(NEEDLE).toString('hex').toUpperCase()],
    ['utf-16le', Buffer.from(NEEDLE, 'utf16le')],
    ['md5', digest('md5')],
    ['md5', digest('md5').toString('hex')],
    ['sha-1', digest('sha1')],
    ['sha-1', digest('sha1').toString('hex').toUpperCase()],
    ['sha-256', digest('sha256')],
    ['sha-256', digest('sha256').toString('hex')],
  ] as const)('finds %s at its place: %s', (encoding, encoded) => {
    const { capture, offset, length } = around(encoded)
    expect(searchCapture(capture, NEEDLE)).toEqual([{ offset, length, encoding }])
  })

  it.each([0, 1, 2, 3, 4, 5])('finds base64 with %i bytes before it', (before) => {
    const text = Buffer.from(`${'user:'.slice(0, before)}${NEEDLE}:rest`).toString('base64')
    const { capture, offset } = around(text)
    const [hit, ...others] = searchCapture(capture, NEEDLE)
    expect(others).toEqual([])
    expect(hit?.encoding).toBe('base64')
    expect(hit?.offset).toBe(offset + Math.ceil((before * 8) / 6))
    expect(hit?.length).toBe(Math.floor(((before + NEEDLE.length) * 8) / 6) - Math.ceil((before * 8) / 6))
  })

  it('finds the url alphabet where it differs', () => {
    const needle = Uint8Array.from([0xfb, 0xff, 0xbf, 0xfe, 0xff, 0xef])
    const found = (text: string): unknown =>
      searchCapture(Buffer.from(text), needle).map((hit) => hit.encoding)
    expect(found(Buffer.from(needle).toString('base64url'))).toEqual(['base64url'])
    expect(found(Buffer.from(needle).toString('base64'))).toEqual(['base64'])
  })

  it('finds percent-encoding that the capture ends with', () => {
    const capture = Buffer.from(`x${NEEDLE.slice(0, -1)}%78`)
    expect(searchCapture(capture, NEEDLE)).toEqual([
      { offset: 1, length: NEEDLE.length + 2, encoding: 'percent' },
    ])
  })

  it('gives every hit in the order of the offsets', () => {
    const capture = Buffer.from(`${NEEDLE} ${Buffer.from(NEEDLE).toString('hex')} ${NEEDLE}`)
    expect(searchCapture(capture, NEEDLE).map((hit) => [hit.offset, hit.encoding])).toEqual([
      [0, 'plain'],
      [17, 'hex'],
      [50, 'plain'],
    ])
  })

  it('searches a view of a larger buffer by its own offsets', () => {
    const { capture } = around(NEEDLE)
    expect(searchCapture(new Uint8Array(capture).subarray(3), NEEDLE)[0]?.offset).toBe(2)
  })

  it('finds nothing for an empty needle, in empty bytes, or in all but the last character', () => {
    expect(searchCapture(Buffer.from('abc'), '')).toEqual([])
    expect(searchCapture(Buffer.alloc(0), NEEDLE)).toEqual([])
    expect(searchCapture(Buffer.from(NEEDLE.slice(0, -1)), NEEDLE)).toEqual([])
  })

  it('does not take other letters for upper and lower case of one', () => {
    // These differ in the case bit only, and are no letters.
    for (const byte of [0x40, 0x5b, 0xc0]) {
      expect(searchCapture(Buffer.from([byte | 0x20]), Uint8Array.from([byte]))).toEqual([])
    }
  })

  it('agrees with a naive search for plain bytes', () => {
    const bytes = fc.uint8Array({ maxLength: 60, max: 3 })
    fc.assert(
      fc.property(bytes, fc.uint8Array({ minLength: 1, maxLength: 4, max: 3 }), (capture, needle) => {
        const offsets: number[] = []
        for (let at = 0; at + needle.length <= capture.length;) {
          const same = needle.every((byte, index) => capture[at + index] === byte)
          if (same) offsets.push(at)
          at += same ? needle.length : 1
        }
        const plain = searchCapture(capture, needle).filter((hit) => hit.encoding === 'plain')
        expect(plain.map((hit) => hit.offset)).toEqual(offsets)
      }),
    )
  })

  it('finds any needle in any base64 of any surroundings', () => {
    const piece = fc.uint8Array({ maxLength: 20 })
    fc.assert(
      fc.property(piece, fc.uint8Array({ minLength: 8, maxLength: 24 }), piece, (before, needle, after) => {
        const whole = Buffer.concat([before, needle, after])
        for (const alphabet of ['base64', 'base64url'] as const) {
          const hits = searchCapture(Buffer.from(whole.toString(alphabet)), needle)
          expect(hits.map((hit) => hit.offset)).toContain(Math.ceil((before.length * 8) / 6))
        }
      }),
    )
  })
})

/** As the lab does with a body: undo its coding, and search what comes out. */
function searchDecoded(
  body: Uint8Array,
  contentEncoding: string,
  needle: string,
): { decoded: Uint8Array; coding: string; hits: Hit[] } {
  const { decoded, coding } = decodeContent(body, contentEncoding)
  return { decoded, coding, hits: searchCapture(decoded, needle) }
}

describe('decodeContent', () => {
  const page = Buffer.from(`${'<p>filler</p>'.repeat(200)}${NEEDLE}<p>end</p>`)
  const at = page.indexOf(NEEDLE)

  it.each([
    ['gzip', zlib.gzipSync(page)],
    ['x-gzip', zlib.gzipSync(page)],
    ['deflate', zlib.deflateSync(page)],
    ['br', zlib.brotliCompressSync(page)],
  ] as const)('looks into a %s body', (coding, body) => {
    expect(searchCapture(body, NEEDLE)).toEqual([])
    const { decoded, hits } = searchDecoded(body, coding, NEEDLE)
    expect(Buffer.from(decoded).equals(page)).toBe(true)
    expect(hits).toEqual([{ offset: at, length: NEEDLE.length, encoding: 'plain' }])
  })

  it('takes deflate without the zlib header too', () => {
    const { hits } = searchDecoded(zlib.deflateRawSync(page), 'deflate', NEEDLE)
    expect(hits.map((hit) => hit.offset)).toEqual([at])
    // A stored block whose unused bits look like the first byte of a zlib header, and an empty last block.
    const stored = Buffer.concat([
      Buffer.from([0x08, 16, 0, 239, 255]),
      Buffer.from(NEEDLE),
      Buffer.from([3, 0]),
    ])
    expect(searchDecoded(stored, 'deflate', NEEDLE).hits).toHaveLength(1)
  })

  it('undoes a list of codings from its end', () => {
    const body = zlib.brotliCompressSync(zlib.gzipSync(page))
    expect(searchDecoded(body, 'gzip, BR', NEEDLE)).toMatchObject({
      coding: 'gzip+br',
      hits: [{ encoding: 'plain' }],
    })
  })

  it('leaves a body without a coding as it is', () => {
    expect(searchDecoded(page, 'identity', NEEDLE).hits).toEqual(searchCapture(page, NEEDLE))
    expect(searchDecoded(page, '', NEEDLE).hits[0]?.encoding).toBe('plain')
  })

  it.each(['gzip', 'deflate', 'br'] as const)(
    'reads a %s body that was cut short as far as it goes',
    (coding) => {
      const noise = Buffer.from(Array.from({ length: 4000 }, (_, index) => (index * index * 31) & 0xff))
      const source = Buffer.concat([Buffer.from(NEEDLE), noise])
      const encode = { gzip: zlib.gzipSync, deflate: zlib.deflateSync, br: zlib.brotliCompressSync }[coding]
      const body = encode(source)
      expect(
        searchDecoded(body.subarray(0, body.length - 8), coding, NEEDLE).hits.map((hit) => hit.offset),
      ).toEqual([0])
    },
  )

  it('refuses what it cannot decode instead of finding nothing in it', () => {
    expect(() => searchDecoded(page, 'gzip', NEEDLE)).toThrow(
      expect.objectContaining({ code: 'bad-request' }),
    )
    expect(() => searchDecoded(page, 'rot13', NEEDLE)).toThrow(
      expect.objectContaining({ code: 'bad-request' }),
    )
  })

  it('throws only GatewayError at garbage', () => {
    const codings = fc.constantFrom('gzip', 'deflate', 'br', 'gzip, br', 'x', '')
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), codings, (body, coding) => {
        let code = 'bad-request'
        try {
          searchDecoded(body, coding, NEEDLE)
        } catch (error) {
          code = error instanceof GatewayError ? error.code : String(error)
        }
        expect(code).toBe('bad-request')
      }),
    )
  })
})

describe('excerpt', () => {
  it('gives the hit with what stands around it, at most 64 characters', () => {
    const capture = Buffer.from(`${'a'.repeat(100)}${NEEDLE}${'b'.repeat(100)}`)
    const text = excerpt(capture, { offset: 100, length: NEEDLE.length })
    expect(text).toBe(`${'a'.repeat(24)}${NEEDLE}${'b'.repeat(24)}`)
  })

  it('shows a byte that does not print as a dot', () => {
    expect(excerpt(Uint8Array.from([0, 0x1f, 0x20, 0x41, 0x7e, 0x7f, 0xff]), { offset: 3, length: 1 })).toBe(
      '.. A~..',
    )
  })

  it('keeps to the bytes at either end, and to 64 characters for a longer hit', () => {
    expect(excerpt(Buffer.from('abc'), { offset: 0, length: 3 })).toBe('abc')
    expect(excerpt(Buffer.from('x'.repeat(300)), { offset: 100, length: 150 })).toBe('x'.repeat(64))
  })
})
