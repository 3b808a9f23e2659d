// DNS messages: what stands in them and where; and what is refused, however it was made (RFC 1035 section 4).
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { dissectDns, type DnsMessage } from '../../../src/lab/dissect/dns.ts'
import * as build from './dns-builder.ts'
import { u16 } from './hello-builder.ts'

const A = 1
const AAAA = 28
const CNAME = 5
const TXT = 16
const RESPONSE = 0x8180
const HEADER = 12

const values = (found: DnsMessage, name: string): string[] =>
  found.fields.filter((field) => field.name === name).map(({ value }) => value)

const bytesOf = (message: Uint8Array, found: DnsMessage, name: string): string =>
  found.fields
    .filter((field) => field.name === name)
    .map(({ offset, length }) => Buffer.from(message.subarray(offset, offset + length)).toString('hex'))
    .join(' ')

describe('a question', () => {
  const bytes = build.message({ id: 0xbeef, questions: [build.question(build.name('A.example'), AAAA)] })

  it('says what is asked, and where it stands', () => {
    const found = dissectDns(bytes)
    expect(found).toMatchObject({ id: 0xbeef, isResponse: false, opcode: 0, rcode: 0, records: [] })
    expect(found.questions).toEqual([
      { name: 'A.example', type: AAAA, class: 1, offset: HEADER, end: bytes.length },
    ])
    expect(found.end).toBe(bytes.length)
    expect(found.fields.map(({ name, value }) => `${name}=${value}`)).toEqual([
      'dns.trans_id=48879',
      'dns.query=A.example',
      'dns.qtype_name=AAAA',
      'dns.qclass_name=C_INTERNET',
    ])
    expect(bytesOf(bytes, found, 'dns.query')).toBe(build.name('A.example').toString('hex'))
    expect(bytesOf(bytes, found, 'dns.qtype_name')).toBe('001c')
  })

  it('leaves bytes after the last record alone', () => {
    expect(dissectDns(Buffer.concat([bytes, Buffer.from('more')])).end).toBe(bytes.length)
  })

  it('counts offsets in the bytes it was given, wherever these stand in memory', () => {
    const elsewhere = Buffer.concat([Buffer.from('before'), bytes]).subarray(6)
    expect(dissectDns(elsewhere)).toEqual(dissectDns(bytes))
  })

  it.each([
    ['.', build.name('')],
    ['a\\.b.c', Buffer.concat([Buffer.from([3, 0x61, 0x2e, 0x62]), build.name('c')])],
    ['a\\\\b', build.name('a\\b')],
    ['\\000\\032\\127\\255', build.name('\0 \u007f\u00ff')],
  ])('writes the name %s as a zone file would', (text, owner) => {
    expect(dissectDns(build.message({ questions: [build.question(owner)] })).questions[0]?.name).toBe(text)
  })

  it('gives unknown types and classes by number (RFC 3597 section 5)', () => {
    const found = dissectDns(build.message({ questions: [build.question(build.name('a'), 999, 77)] }))
    expect(values(found, 'dns.qtype_name')).toEqual(['TYPE999'])
    expect(values(found, 'dns.qclass_name')).toEqual(['CLASS77'])
  })

  it('reads the part of an address in EDNS Client Subnet (RFC 7871 section 6)', () => {
    const asked = { questions: [build.question(build.name('a'))] }
    const four = build.opt([10, Buffer.alloc(8)], [8, Buffer.from([0, 1, 24, 0, 198, 51, 100])])
    const six = build.opt([8, Buffer.from([0, 2, 48, 0, 0x20, 1, 0x0d, 0xb8, 0, 1])])
    expect(values(dissectDns(build.message({ ...asked, additional: [four] })), 'dns.edns_ecs')).toEqual([
      '198.51.100.0/24',
    ])
    expect(values(dissectDns(build.message({ ...asked, additional: [six] })), 'dns.edns_ecs')).toEqual([
      '2001:db8:1::/48',
    ])
  })
})

describe('an answer', () => {
  it('undoes the compression of the example in RFC 1035 section 4.1.4', () => {
    // F.ISI.ARPA, FOO.F.ISI.ARPA, ARPA and the root, as its figure has them, one after the other.
    const figure = [
      build.name('F.ISI.ARPA'),
      build.labelsThen('FOO', HEADER),
      build.pointer(HEADER + 6),
      build.name(''),
    ]
    let at = HEADER
    const placed = figure.map((owner) => {
      const moved = Buffer.from(owner)
      // Each question's type and class stand between the names.
      at += moved.length + 4
      return build.question(moved)
    })
    const found = dissectDns(build.message({ questions: placed }))
    expect(at).toBe(found.end)
    expect(values(found, 'dns.query')).toEqual(['F.ISI.ARPA', 'FOO.F.ISI.ARPA', 'ARPA', '.'])
  })

  it('gives addresses, names and text of the answer section, with their times', () => {
    const bytes = build.message({
      flags: RESPONSE,
      questions: [build.question(build.name('www.example'))],
      answers: [
        build.record(build.pointer(HEADER), CNAME, build.labelsThen('alias', HEADER + 4), 300),
        build.record(build.labelsThen('alias', HEADER + 4), A, Buffer.from([192, 0, 2, 1])),
        build.record(build.pointer(HEADER), AAAA, Buffer.from('20010db8000000000000000000000001', 'hex')),
        build.record(build.pointer(HEADER), TXT, Buffer.from('\u0003one\u0000\u0003two')),
        build.record(build.pointer(HEADER), 999, Buffer.from([0xca, 0xfe])),
      ],
      authority: [build.record(build.name('example'), A, Buffer.from([192, 0, 2, 9]))],
    })
    const found = dissectDns(bytes)
    expect(values(found, 'dns.rcode_name')).toEqual(['NOERROR'])
    expect(values(found, 'dns.answers')).toEqual([
      'alias.example',
      '192.0.2.1',
      '2001:db8::1',
      'onetwo',
      'cafe',
    ])
    expect(values(found, 'dns.TTLs')).toEqual(['300', '60', '60', '60', '60'])
    expect(found.records.map(({ section, name }) => `${section} ${name}`)).toEqual([
      'answer www.example',
      'answer alias.example',
      'answer www.example',
      'answer www.example',
      'answer www.example',
      'authority example',
    ])
    expect(bytesOf(bytes, found, 'dns.answers').split(' ')[1]).toBe('c0000201')
  })

  it.each([
    [3, 'NXDOMAIN'],
    [11, 'RCODE11'],
  ])('says the code %i as %s', (rcode, text) => {
    expect(values(dissectDns(build.message({ flags: RESPONSE | rcode })), 'dns.rcode_name')).toEqual([text])
  })
})

describe('what is no DNS message', () => {
  const asked = (owner: Uint8Array): Buffer => build.message({ questions: [build.question(owner)] })
  const answered = (answer: Uint8Array): Buffer => build.message({ flags: RESPONSE, answers: [answer] })
  const hostile: ReadonlyArray<readonly [string, Uint8Array]> = [
    ['nothing', Buffer.alloc(0)],
    ['eleven bytes', Buffer.alloc(11)],
    ['a count without records', u16(0, 0, 1, 0, 0, 0)],
    ['a pointer at itself', asked(build.pointer(HEADER))],
    ['a pointer forward', asked(build.pointer(HEADER + 2))],
    ['a pointer at the labels before it', asked(build.labelsThen('a', HEADER))],
    ['a pointer behind the end', asked(build.pointer(0x3fff))],
    ['a label kind without meaning', asked(Buffer.from([0x41, 0x61, 0]))],
    [
      'a label longer than the message',
      Buffer.concat([build.message({}).fill(1, 5, 6), Buffer.from([63, 0x61])]),
    ],
    ['a name of 257 octets', asked(build.name(Array<string>(4).fill('x'.repeat(63)).join('.')))],
    [
      'a record without its data',
      answered(build.record(build.name('a'), A, Buffer.alloc(4)).subarray(0, -1)),
    ],
    ['an address of three bytes', answered(build.record(build.name('a'), A, Buffer.alloc(3)))],
    ['an IPv6 address of four bytes', answered(build.record(build.name('a'), AAAA, Buffer.alloc(4)))],
    ['a name with bytes after it', answered(build.record(build.name('a'), CNAME, Buffer.from([0, 0])))],
    [
      'a text that is longer than its record',
      answered(build.record(build.name('a'), TXT, Buffer.from([2, 1]))),
    ],
    [
      'an EDNS option cut short',
      build.message({ additional: [build.record(build.name(''), 41, Buffer.alloc(3))] }),
    ],
    [
      'an EDNS option longer than its record',
      build.message({ additional: [build.record(build.name(''), 41, u16(8, 9))] }),
    ],
    ['a client subnet of another family', build.message({ additional: [build.opt([8, u16(7, 0)])] })],
    ['a client subnet cut short', build.message({ additional: [build.opt([8, u16(1)])] })],
    [
      'a client subnet of five bytes',
      build.message({ additional: [build.opt([8, Buffer.from([0, 1, 8, 0, 1, 2, 3, 4, 5])])] }),
    ],
  ]

  it.each(hostile)('%s is bad-request', (_, bytes) => {
    expect(() => dissectDns(bytes)).toThrow(expect.objectContaining({ code: 'bad-request' }))
  })

  it('a name of 255 octets is the longest there is', () => {
    const longest = [...Array<string>(3).fill('x'.repeat(63)), 'x'.repeat(61)].join('.')
    expect(dissectDns(asked(build.name(longest))).questions[0]?.name).toBe(longest)
  })

  it('refuses names that take more than 64 KiB written out, from a message of 4 KiB', () => {
    const long = Array<string>(3).fill('x'.repeat(63)).join('.')
    const questions = [
      build.question(build.name(long)),
      ...Array<Buffer>(340).fill(build.question(build.pointer(HEADER))),
    ]
    const bytes = build.message({ questions })
    expect(bytes.length).toBeLessThan(4096)
    expect(() => dissectDns(bytes)).toThrow(/64 KiB/)
    expect(dissectDns(build.message({ questions: questions.slice(0, 300) })).questions).toHaveLength(300)
  })

  it('refuses long chains of pointers that many names walk', () => {
    // In one record's data: a root, then 4,000 pointers, each at what stands before it.
    const first = HEADER + 11
    const pointers = Array.from({ length: 4_000 }, (_, index) =>
      build.pointer(index === 0 ? first : first + 1 + 2 * (index - 1)),
    )
    const carrier = build.record(build.name(''), 999, Buffer.concat([build.name(''), ...pointers]))
    const last = build.pointer(first + 1 + 2 * 3_999)
    const walks = Array.from({ length: 20 }, () => build.record(last, 999, Buffer.alloc(0)))
    const walked = (count: number): Buffer =>
      build.message({ flags: RESPONSE, answers: [carrier, ...walks.slice(0, count)] })
    expect(dissectDns(walked(16)).records).toHaveLength(17)
    expect(() => dissectDns(walked(17))).toThrow(/64 KiB/)
  })
})

describe('any message', () => {
  const label = fc.stringMatching(/^[a-z0-9-]{1,12}$/)
  const labels = fc.array(label, { minLength: 1, maxLength: 4 })

  it('gives back the names that a compressing encoder put in', () => {
    fc.assert(
      fc.property(fc.array(labels, { minLength: 1, maxLength: 8 }), (names) => {
        const seen = new Map<string, number>()
        const parts: Buffer[] = []
        let at = HEADER
        for (const one of names) {
          const piece = compress(one, at, seen)
          parts.push(build.question(piece))
          at += piece.length + 4
        }
        const found = dissectDns(build.message({ questions: parts }))
        expect(found.questions.map(({ name }) => name)).toEqual(names.map((one) => one.join('.')))
        expect(found.end).toBe(at)
      }),
    )
  })
})

/** The longest ending that stood before, by pointer (RFC 1035 section 4.1.4). */
function compress(labels: readonly string[], at: number, seen: Map<string, number>): Buffer {
  const pieces: Buffer[] = []
  let offset = at
  for (const [index, label] of labels.entries()) {
    const ending = labels.slice(index).join('.')
    const before = seen.get(ending)
    if (before !== undefined) return Buffer.concat([...pieces, build.pointer(before)])
    seen.set(ending, offset)
    const piece = build.name(label).subarray(0, -1)
    pieces.push(piece)
    offset += piece.length
  }
  return Buffer.concat([...pieces, Buffer.from([0])])
}
