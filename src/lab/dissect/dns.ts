// Reads one DNS message, a question or an answer (RFC 1035 section 4), as it stands in a datagram or behind the length of
// a TCP stream. Rules: the message is whole, so bytes that are missing are `bad-request`; every field lies in it; bytes
// after the last record are left alone.
import { formatAddress } from '../../policy/ip-address.ts'
import { malformed } from './byte-reader.ts'
import { DnsNames } from './dns-name.ts'
import { dnsClassName, dnsRcodeName, dnsTypeName } from './dns-numbers.ts'
import type { Field } from './field.ts'

export interface DnsQuestion {
  /** See `DnsName.text`. */
  readonly name: string
  readonly type: number
  readonly class: number
  /** Place in the message. */
  readonly offset: number
  readonly end: number
}

export interface DnsRecord {
  readonly section: 'answer' | 'authority' | 'additional'
  readonly name: string
  readonly type: number
  readonly class: number
  readonly ttlSeconds: number
  /** An address, a name or text, where the type has one (A, AAAA, CNAME, NS, PTR, DNAME, TXT); else hex. */
  readonly data: string
}

export interface DnsMessage {
  readonly id: number
  readonly isResponse: boolean
  readonly opcode: number
  readonly rcode: number
  readonly questions: readonly DnsQuestion[]
  readonly records: readonly DnsRecord[]
  /**
   * dns.trans_id; dns.query, dns.qtype_name and dns.qclass_name of each question; in an answer dns.rcode_name, and
   * dns.answers and dns.TTLs of each record of its answer section; dns.edns_ecs: the part of the asker's address that
   * EDNS Client Subnet hands on (RFC 7871), as `192.0.2.0/24`.
   */
  readonly fields: readonly Field[]
  /** First byte after the last record. */
  readonly end: number
}

const HEADER_BYTES = 12
const QUESTION_FIXED_BYTES = 4
const RECORD_FIXED_BYTES = 10
const TYPE = { a: 1, ns: 2, cname: 5, ptr: 12, txt: 16, aaaa: 28, dname: 39, opt: 41 } as const
const NAME_TYPES: ReadonlySet<number> = new Set([TYPE.ns, TYPE.cname, TYPE.ptr, TYPE.dname])
const SECTIONS = ['answer', 'authority', 'additional'] as const
/** RFC 7871 section 6. */
const CLIENT_SUBNET = { option: 8, ipv4: 1, ipv6: 2 } as const

/** Throws `bad-request` at bytes that are no whole DNS message. Offsets count from `message`'s first byte. */
export function dissectDns(message: Uint8Array): DnsMessage {
  return new DnsReader(message).read()
}

class DnsReader {
  readonly #view: DataView
  readonly #message: Uint8Array
  readonly #names: DnsNames
  readonly #fields: Field[] = []
  #at = HEADER_BYTES

  constructor(message: Uint8Array) {
    if (message.length < HEADER_BYTES) throw malformed('a DNS message has at least 12 bytes')
    this.#message = message
    this.#view = new DataView(message.buffer, message.byteOffset, message.byteLength)
    this.#names = new DnsNames(message)
  }

  read(): DnsMessage {
    const id = this.#view.getUint16(0)
    const flags = this.#view.getUint16(2)
    const isResponse = (flags & 0x8000) !== 0
    const rcode = flags & 0x0f
    this.#note('dns.trans_id', String(id), 0, 2)
    if (isResponse) this.#note('dns.rcode_name', dnsRcodeName(rcode), 3, 1)
    const questions: DnsQuestion[] = []
    for (let left = this.#view.getUint16(4); left > 0; left -= 1) questions.push(this.#question())
    const records: DnsRecord[] = []
    for (const [index, section] of SECTIONS.entries()) {
      for (let left = this.#view.getUint16(6 + 2 * index); left > 0; left -= 1)
        records.push(this.#record(section))
    }
    const opcode = (flags >>> 11) & 0x0f
    return { id, isResponse, opcode, rcode, questions, records, fields: this.#fields, end: this.#at }
  }

  #question(): DnsQuestion {
    const offset = this.#at
    const { text: name, end: nameEnd } = this.#names.read(offset)
    const end = this.#whole(nameEnd, QUESTION_FIXED_BYTES)
    const type = this.#view.getUint16(nameEnd)
    const number = this.#view.getUint16(nameEnd + 2)
    this.#note('dns.query', name, offset, nameEnd - offset)
    this.#note('dns.qtype_name', dnsTypeName(type), nameEnd, 2)
    this.#note('dns.qclass_name', dnsClassName(number), nameEnd + 2, 2)
    this.#at = end
    return { name, type, class: number, offset, end }
  }

  #record(section: DnsRecord['section']): DnsRecord {
    const { text: name, end: fixed } = this.#names.read(this.#at)
    const dataAt = this.#whole(fixed, RECORD_FIXED_BYTES)
    const type = this.#view.getUint16(fixed)
    const ttlSeconds = this.#view.getUint32(fixed + 4)
    const end = this.#whole(dataAt, this.#view.getUint16(fixed + 8))
    const data = this.#data(type, dataAt, end)
    if (section === 'answer') {
      this.#note('dns.answers', data, dataAt, end - dataAt)
      this.#note('dns.TTLs', String(ttlSeconds), fixed + 4, 4)
    }
    if (type === TYPE.opt) this.#options(dataAt, end)
    this.#at = end
    return { section, name, type, class: this.#view.getUint16(fixed + 2), ttlSeconds, data }
  }

  #data(type: number, offset: number, end: number): string {
    const bytes = this.#message.subarray(offset, end)
    if (NAME_TYPES.has(type)) {
      const name = this.#names.read(offset)
      if (name.end !== end) throw malformed(`the DNS record at offset ${offset} does not end with its name`)
      return name.text
    }
    if (type === TYPE.a || type === TYPE.aaaa) {
      if (bytes.length !== (type === TYPE.a ? 4 : 16))
        throw malformed(`the DNS record at offset ${offset} holds no address`)
      return formatAddress([...bytes])
    }
    return type === TYPE.txt ? this.#strings(offset, end) : Buffer.from(bytes).toString('hex')
  }

  /** Character strings, each behind its length (RFC 1035 section 3.3.14), joined. */
  #strings(offset: number, end: number): string {
    let text = ''
    for (let at = offset; at < end;) {
      const next = at + 1 + (this.#message[at] ?? 0)
      if (next > end) throw malformed(`the DNS record at offset ${offset} ends within a text`)
      text += Buffer.from(this.#message.subarray(at + 1, next)).toString('latin1')
      at = next
    }
    return text
  }

  /** EDNS options (RFC 6891 section 6.1.2). */
  #options(offset: number, end: number): void {
    for (let at = offset; at < end;) {
      if (at + 4 > end) throw malformed(`the EDNS option at offset ${at} is cut short`)
      const dataAt = at + 4
      const next = dataAt + this.#view.getUint16(at + 2)
      if (next > end) throw malformed(`the EDNS option at offset ${at} is cut short`)
      if (this.#view.getUint16(at) === CLIENT_SUBNET.option) this.#clientSubnet(dataAt, next)
      at = next
    }
  }

  #clientSubnet(offset: number, end: number): void {
    if (end - offset < 4) throw malformed(`the client subnet at offset ${offset} is cut short`)
    const family = this.#view.getUint16(offset)
    const size = family === CLIENT_SUBNET.ipv4 ? 4 : family === CLIENT_SUBNET.ipv6 ? 16 : 0
    const given = this.#message.subarray(offset + 4, end)
    if (size === 0 || given.length > size)
      throw malformed(`the client subnet at offset ${offset} holds no address`)
    const address = [...given, ...Array<number>(size - given.length).fill(0)]
    const bits = this.#view.getUint8(offset + 2)
    this.#note('dns.edns_ecs', `${formatAddress(address)}/${bits}`, offset, end - offset)
  }

  /** Where `length` bytes from `at` on end. */
  #whole(at: number, length: number): number {
    if (at + length > this.#message.length) throw malformed('the DNS message ends within a record')
    return at + length
  }

  #note(name: string, value: string, offset: number, length: number): void {
    this.#fields.push({ name, value, offset, length })
  }
}
