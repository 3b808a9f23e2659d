// Reads pcapng files, for tests that open what was written. Rules: the reader shares no code with the lab's writer; and
// whatever it does not know or find whole is an error.
import { writeFile } from 'node:fs/promises'
import type { CapturedConnection } from '../../src/lab/capture.ts'
import { encodeCapture } from '../../src/lab/pcapng/file.ts'

export interface ReadPacket {
  readonly nanoseconds: bigint
  readonly bytes: Buffer
  readonly comment: string | undefined
}

export interface ReadCapture {
  readonly application: string | undefined
  readonly comment: string | undefined
  readonly interfaces: ReadonlyArray<{
    linkType: number
    name: string | undefined
    resolution: number | undefined
  }>
  readonly names: ReadonlyArray<readonly [address: string, name: string]>
  readonly secrets: readonly string[]
  /** Packet n stands at n - 1. */
  readonly packets: readonly ReadPacket[]
  /** Block types in their order. */
  readonly blocks: readonly number[]
}

const SECTION = 0x0a0d0d0a

/** What a test's own tap recorded, as a file for tshark. */
export async function writeCapture(file: string, connections: readonly CapturedConnection[]): Promise<void> {
  const about = { vantage: 'test', subject: 'test', names: new Map<string, string>(), originMs: 0 }
  await writeFile(file, encodeCapture({ ...about, connections }))
}

export function readPcapng(file: Buffer): ReadCapture {
  const interfaces: ReadCapture['interfaces'][number][] = []
  const names: [string, string][] = []
  const secrets: string[] = []
  const packets: ReadPacket[] = []
  const blocks: number[] = []
  let section = new Map<number, Buffer>()
  for (let at = 0; at < file.length;) {
    const type = file.readUInt32LE(at)
    const length = file.readUInt32LE(at + 4)
    if (length % 4 !== 0 || at + length > file.length) throw new Error(`the block at ${at} is not whole`)
    if (file.readUInt32LE(at + length - 4) !== length)
      throw new Error(`the block at ${at} ends with another length`)
    const body = file.subarray(at + 8, at + length - 4)
    blocks.push(type)
    if (blocks.length === 1 && type !== SECTION) throw new Error('the file does not begin with a section')
    switch (type) {
      case SECTION:
        if (body.readUInt32LE(0) !== 0x1a2b3c4d) throw new Error('another byte order')
        section = readOptions(body.subarray(16))
        break
      case 1: {
        const options = readOptions(body.subarray(8))
        interfaces.push({
          linkType: body.readUInt16LE(0),
          name: options.get(2)?.toString(),
          resolution: options.get(9)?.[0],
        })
        break
      }
      case 4:
        names.push(...readNames(body))
        break
      case 10:
        if (body.readUInt32LE(0) !== 0x544c534b) throw new Error('secrets that are no TLS keys')
        secrets.push(body.toString('latin1', 8, 8 + body.readUInt32LE(4)))
        break
      case 6: {
        const captured = body.readUInt32LE(12)
        if (captured !== body.readUInt32LE(16)) throw new Error('a packet that was cut')
        const end = 20 + captured
        packets.push({
          nanoseconds: (BigInt(body.readUInt32LE(4)) << 32n) | BigInt(body.readUInt32LE(8)),
          bytes: body.subarray(20, end),
          comment: readOptions(body.subarray(end + ((4 - (end % 4)) % 4)))
            .get(1)
            ?.toString(),
        })
        break
      }
      default:
        throw new Error(`block type ${type} at ${at}`)
    }
    at += length
  }
  const text = (code: number): string | undefined => section.get(code)?.toString()
  return { application: text(4), comment: text(1), interfaces, names, secrets, packets, blocks }
}

function readOptions(bytes: Buffer): Map<number, Buffer> {
  const options = new Map<number, Buffer>()
  for (let at = 0; at < bytes.length;) {
    const code = bytes.readUInt16LE(at)
    const length = bytes.readUInt16LE(at + 2)
    if (code === 0) {
      if (at + 4 !== bytes.length) throw new Error('bytes after the end of the options')
      return options
    }
    options.set(code, bytes.subarray(at + 4, at + 4 + length))
    at += 4 + length + ((4 - (length % 4)) % 4)
  }
  return options
}

function readNames(body: Buffer): [string, string][] {
  const names: [string, string][] = []
  for (let at = 0; at < body.length;) {
    const type = body.readUInt16LE(at)
    const length = body.readUInt16LE(at + 2)
    const value = body.subarray(at + 4, at + 4 + length)
    if (type === 1) names.push([value.subarray(0, 4).join('.'), value.toString('utf8', 4, length - 1)])
    if (type === 2)
      names.push([value.subarray(0, 16).toString('hex'), value.toString('utf8', 16, length - 1)])
    at += 4 + length + ((4 - (length % 4)) % 4)
  }
  return names
}

export interface ReadSegment {
  readonly from: string
  readonly to: string
  readonly fromPort: number
  readonly toPort: number
  readonly protocol: 'tcp' | 'udp'
  readonly sequence: number
  readonly acknowledged: number
  /** Letters of those set, in the order SYN, FIN, RST, PSH, ACK. */
  readonly flags: string
  readonly payload: Buffer
  /** Both, of IPv4, IP's own too: the sum over everything must come to nothing. */
  readonly checksumsHold: boolean
}

/** An Ethernet frame of IP with TCP or UDP in it. */
export function readSegment(frame: Buffer): ReadSegment {
  const isFour = frame.readUInt16BE(12) === 0x0800
  const ipBytes = isFour ? (frame.readUInt8(14) & 15) * 4 : 40
  const ip = frame.subarray(14, 14 + ipBytes)
  const total = isFour ? ip.readUInt16BE(2) - ipBytes : ip.readUInt16BE(4)
  const segment = frame.subarray(14 + ipBytes)
  if (segment.length !== total) throw new Error(`IP says ${total} bytes and there are ${segment.length}`)
  const number = ip.readUInt8(isFour ? 9 : 6)
  const protocol = number === 6 ? 'tcp' : number === 17 ? 'udp' : undefined
  if (protocol === undefined) throw new Error(`IP protocol ${number}`)
  const addresses = isFour ? ip.subarray(12, 20) : ip.subarray(8, 40)
  const half = addresses.length / 2
  const text = (bytes: Buffer): string => (isFour ? bytes.join('.') : bytes.toString('hex'))
  const pseudo = Buffer.concat([addresses, Buffer.from([0, number, total >> 8, total & 255])])
  const flags = protocol === 'tcp' ? segment.readUInt8(13) : 0
  const payloadAt = protocol === 'tcp' ? (segment.readUInt8(12) >> 4) * 4 : 8
  return {
    from: text(addresses.subarray(0, half)),
    to: text(addresses.subarray(half)),
    fromPort: segment.readUInt16BE(0),
    toPort: segment.readUInt16BE(2),
    protocol,
    sequence: protocol === 'tcp' ? segment.readUInt32BE(4) : 0,
    acknowledged: protocol === 'tcp' ? segment.readUInt32BE(8) : 0,
    flags: [...'SFRPA'].filter((_, index) => (flags & [2, 1, 4, 8, 16][index]!) !== 0).join(''),
    payload: segment.subarray(payloadAt),
    checksumsHold: (!isFour || sumOf(ip) === 0xffff) && sumOf(Buffer.concat([pseudo, segment])) === 0xffff,
  }
}

/** The ones' complement sum of 16-bit words. */
function sumOf(bytes: Buffer): number {
  const even = bytes.length % 2 === 0 ? bytes : Buffer.concat([bytes, Buffer.alloc(1)])
  let sum = 0
  for (let at = 0; at < even.length; at += 2) {
    sum += even.readUInt16BE(at)
    if (sum > 0xffff) sum -= 0xffff
  }
  return sum
}
