// The blocks of a pcapng file (draft-ietf-opsawg-pcapng): section, interface, names, decryption secrets, packets. Pure:
// values in, bytes out, little-endian. Rule: what a reader must keep apart is kept apart by lengths, so that no text can
// break a file; what is too long for its field is `bad-request`.
import { parseAddress } from '../../policy/ip-address.ts'
import { malformed } from '../dissect/byte-reader.ts'

const BLOCK = { section: 0x0a0d0d0a, interface: 1, names: 4, secrets: 10, packet: 6 } as const
const BYTE_ORDER_MAGIC = 0x1a2b3c4d
const LINKTYPE_ETHERNET = 1
const OPTION = {
  end: 0,
  comment: 1,
  interfaceName: 2,
  interfaceDescription: 3,
  timeResolution: 9,
  application: 4,
} as const
/** Timestamps count 10^-9 seconds. */
const NANOSECONDS = 9
const NAME_RECORD = { end: 0, ipv4: 1, ipv6: 2 } as const
const TLS_KEY_LOG = 0x544c534b
const MAX_OPTION_BYTES = 0xffff
const UNKNOWN_LENGTH = 0xffff_ffff_ffff_ffffn

export interface Section {
  /** The program that wrote the file. */
  readonly application: string
  readonly comment: string
}

/** Section Header Block (section 4.1 of the draft): the first block of a file. */
export function sectionBlock({ application, comment }: Section): Buffer {
  const fixed = Buffer.alloc(16)
  fixed.writeUInt32LE(BYTE_ORDER_MAGIC, 0)
  fixed.writeUInt16LE(1, 4)
  fixed.writeBigUInt64LE(UNKNOWN_LENGTH, 8)
  return block(BLOCK.section, fixed, options([OPTION.comment, comment], [OPTION.application, application]))
}

/** Interface Description Block (4.2): Ethernet, times in nanoseconds. Interfaces count from 0 in the order they come. */
export function interfaceBlock(name: string, description: string): Buffer {
  const fixed = Buffer.alloc(8)
  fixed.writeUInt16LE(LINKTYPE_ETHERNET, 0)
  return block(
    BLOCK.interface,
    fixed,
    options(
      [OPTION.interfaceName, name],
      [OPTION.interfaceDescription, description],
      [OPTION.timeResolution, Uint8Array.of(NANOSECONDS)],
    ),
  )
}

/** Name Resolution Block (4.5): what a reader shows in the place of addresses, if it is told to. */
export function namesBlock(names: ReadonlyMap<string, string>): Buffer {
  const records = [...names].map(([address, name]) => {
    const bytes = parseAddress(address)
    if (bytes === undefined) throw malformed(`${address} is no address`)
    const type = bytes.length === 4 ? NAME_RECORD.ipv4 : NAME_RECORD.ipv6
    return record(type, Buffer.concat([Uint8Array.from(bytes), Buffer.from(`${name}\0`, 'utf8')]))
  })
  return block(BLOCK.names, ...records, record(NAME_RECORD.end, Buffer.alloc(0)))
}

/** Decryption Secrets Block (4.7) of NSS key log lines: it stands before the packets that they decrypt. */
export function tlsKeysBlock(keylog: string): Buffer {
  const lines = Buffer.from(keylog, 'latin1')
  const fixed = Buffer.alloc(8)
  fixed.writeUInt32LE(TLS_KEY_LOG, 0)
  fixed.writeUInt32LE(lines.length, 4)
  return block(BLOCK.secrets, fixed, padded(lines))
}

export interface PacketRecord {
  /** Since 1970, UTC. */
  readonly nanoseconds: bigint
  readonly bytes: Uint8Array
  readonly comment?: string | undefined
}

/** Enhanced Packet Block (4.3) of interface 0, a packet that was recorded whole. */
export function packetBlock({ nanoseconds, bytes, comment }: PacketRecord): Buffer {
  const fixed = Buffer.alloc(20)
  fixed.writeUInt32LE(Number(nanoseconds >> 32n), 4)
  fixed.writeUInt32LE(Number(nanoseconds & 0xffff_ffffn), 8)
  fixed.writeUInt32LE(bytes.length, 12)
  fixed.writeUInt32LE(bytes.length, 16)
  const more = comment === undefined ? [] : [options([OPTION.comment, comment])]
  return block(BLOCK.packet, fixed, padded(bytes), ...more)
}

/** Type and total length stand before the body, the total length again behind it, so that readers can go both ways. */
function block(type: number, ...parts: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(parts)
  const head = Buffer.alloc(8)
  head.writeUInt32LE(type, 0)
  head.writeUInt32LE(12 + body.length, 4)
  return Buffer.concat([head, body, head.subarray(4)])
}

function options(...list: ReadonlyArray<readonly [code: number, value: string | Uint8Array]>): Buffer {
  const written = list.map(([code, value]) =>
    record(code, typeof value === 'string' ? Buffer.from(value, 'utf8') : value),
  )
  return Buffer.concat([...written, record(OPTION.end, Buffer.alloc(0))])
}

function record(code: number, value: Uint8Array): Buffer {
  if (value.length > MAX_OPTION_BYTES)
    throw malformed('a text of the capture file is longer than 65,535 bytes')
  const head = Buffer.alloc(4)
  head.writeUInt16LE(code, 0)
  head.writeUInt16LE(value.length, 2)
  return Buffer.concat([head, padded(value)])
}

/** To whole groups of four bytes. */
function padded(bytes: Uint8Array): Uint8Array {
  const rest = bytes.length % 4
  return rest === 0 ? bytes : Buffer.concat([bytes, Buffer.alloc(4 - rest)])
}
