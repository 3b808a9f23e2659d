// Frames of the tunnel as hex, each beside what it says (docs/protocol.md, section 3). Written out by hand: no codec of
// ours made them.
import type { Datagram } from '../../../src/protocol/mux/datagram.ts'
import type { Frame } from '../../../src/protocol/mux/frame.ts'
import type { ErrorCode } from '../../../src/errors.ts'

export interface FrameVector {
  readonly name: string
  readonly hex: string
  readonly frame: Frame
  /** How many bytes at the front make a frame of their own, where the length says how long a field is. */
  readonly shortest?: number
  /** What one byte of zero behind it makes of it; `frame-malformed` where nothing is said. */
  readonly trailing?: 'accepted'
}

export const FRAMES: readonly FrameVector[] = [
  {
    name: 'OPEN of a name',
    hex: '01 00000001 01 03 0c 736974652e6578616d706c65 01bb',
    frame: { type: 'open', stream: 1, kind: 'tcp', destination: { host: 'site.example', port: 443 } },
  },
  {
    name: 'OPEN of an IPv4 address',
    hex: '01 00000003 01 01 c0000207 0050',
    frame: { type: 'open', stream: 3, kind: 'tcp', destination: { host: '192.0.2.7', port: 80 } },
  },
  {
    name: 'OPEN of an IPv6 address',
    hex: '01 00000005 01 04 20010db8000000000000000000000001 ffff',
    frame: { type: 'open', stream: 5, kind: 'tcp', destination: { host: '2001:db8::1', port: 65535 } },
  },
  {
    name: 'OPEN for datagrams',
    hex: '01 7fffffff 02 01 c0000235 0035',
    frame: { type: 'open', stream: 0x7fffffff, kind: 'udp', destination: { host: '192.0.2.53', port: 53 } },
  },
  {
    name: 'OPENED from an IPv4 address',
    hex: '02 00000001 01 c0000207 1267',
    frame: { type: 'opened', stream: 1, bound: { address: '192.0.2.7', port: 4711 } },
  },
  {
    name: 'OPENED from an IPv6 address',
    hex: '02 00000001 04 20010db8000000000000000000000001 1267',
    frame: { type: 'opened', stream: 1, bound: { address: '2001:db8::1', port: 4711 } },
  },
  {
    name: 'REFUSED',
    hex: '03 00000001 000c 613162326333',
    frame: { type: 'refused', stream: 1, error: 12, reference: 'a1b2c3' },
    shortest: 7,
  },
  {
    name: 'REFUSED without a reference',
    hex: '03 00000001 0015',
    frame: { type: 'refused', stream: 1, error: 21, reference: '' },
  },
  {
    name: 'DATA',
    hex: '04 00000001 68656c6c6f',
    frame: { type: 'data', stream: 1, payload: Buffer.from('hello') },
    shortest: 6,
    trailing: 'accepted',
  },
  {
    name: 'CREDIT',
    hex: '05 00000001 0000000000018000',
    frame: { type: 'credit', stream: 1, offset: 98_304 },
  },
  {
    name: 'CREDIT at the largest offset',
    hex: '05 00000001 001fffffffffffff',
    frame: { type: 'credit', stream: 1, offset: Number.MAX_SAFE_INTEGER },
  },
  { name: 'FIN', hex: '06 00000001', frame: { type: 'fin', stream: 1 } },
  { name: 'RESET', hex: '07 00000001 0028', frame: { type: 'reset', stream: 1, error: 40 } },
  { name: 'GOAWAY', hex: '08 00000007 0017', frame: { type: 'goaway', stream: 7, error: 23 } },
]

export const MALFORMED: ReadonlyArray<readonly [name: string, hex: string, code: ErrorCode]> = [
  ['nothing', '', 'frame-malformed'],
  ['half a header', '04 0000', 'frame-malformed'],
  ['type 0x00, kept free for padding', '00 00000000 0000', 'frame-unknown'],
  ['type 0x09', '09 00000001', 'frame-unknown'],
  ['type 0x0a, kept free', '0a 00000001', 'frame-unknown'],
  ['type 0x0f, kept free', '0f 00000001', 'frame-unknown'],
  ['type 0xff', 'ff ffffffff ffff', 'frame-unknown'],
  ['DATA without data', '04 00000001', 'frame-malformed'],
  ['OPEN with kind 0', '01 00000001 00 01 c0000207 0050', 'frame-malformed'],
  ['OPEN with kind 3', '01 00000001 03 01 c0000207 0050', 'frame-malformed'],
  ['OPEN without a kind', '01 00000001', 'frame-malformed'],
  ['OPEN with address type 2', '01 00000001 01 02 c0000207 0050', 'address-type-unsupported'],
  ['OPEN of an empty name', '01 00000001 01 03 00 0050', 'frame-malformed'],
  ['OPEN of a name with a space', '01 00000001 01 03 03 612062 0050', 'frame-malformed'],
  ['OPEN of a name with a NUL', '01 00000001 01 03 03 610062 0050', 'frame-malformed'],
  ['OPEN of a name that is not ASCII', '01 00000001 01 03 02 c3a9 0050', 'frame-malformed'],
  ['OPEN of a name longer than it says', '01 00000001 01 03 02 616263 0050', 'frame-malformed'],
  ['OPEN of a name shorter than it says', '01 00000001 01 03 09 616263 0050', 'frame-malformed'],
  ['OPENED with address type 0', '02 00000001 00 c0000207 0050', 'address-type-unsupported'],
  ['CREDIT past 2^53 - 1', '05 00000001 0020000000000000', 'frame-malformed'],
  ['CREDIT of all ones', '05 00000001 ffffffffffffffff', 'frame-malformed'],
  ['CREDIT of four bytes', '05 00000001 00018000', 'frame-malformed'],
  ['REFUSED with one byte of error', '03 00000001 00', 'frame-malformed'],
  ['REFUSED with a reference of 33 bytes', `03 00000001 0001 ${'61'.repeat(33)}`, 'frame-malformed'],
  ['REFUSED with a reference in capitals', '03 00000001 0001 41', 'frame-malformed'],
  ['REFUSED with a line in its reference', '03 00000001 0001 0d0a', 'frame-malformed'],
  ['RESET with one byte of error', '07 00000001 28', 'frame-malformed'],
  ['GOAWAY with a text', '08 00000001 0017 6279', 'frame-malformed'],
]

export interface DatagramVector {
  readonly name: string
  /** The payload of a DATA frame. */
  readonly hex: string
  readonly datagram: Datagram
}

export const DATAGRAMS: readonly DatagramVector[] = [
  {
    name: 'to an IPv4 address',
    hex: '01 c0000235 0035 beef',
    datagram: { peer: { host: '192.0.2.53', port: 53 }, payload: bytesOf('beef') },
  },
  {
    name: 'to an IPv6 address',
    hex: '04 20010db8000000000000000000000001 ffff 00',
    datagram: { peer: { host: '2001:db8::1', port: 65_535 }, payload: bytesOf('00') },
  },
  {
    name: 'to a name',
    hex: '03 0c 736974652e6578616d706c65 01bb c3 00 00 00 01',
    datagram: { peer: { host: 'site.example', port: 443 }, payload: bytesOf('c300000001') },
  },
  {
    name: 'without a byte',
    hex: '01 c0000235 0035',
    datagram: { peer: { host: '192.0.2.53', port: 53 }, payload: bytesOf('') },
  },
  {
    name: 'that begins as an address does',
    hex: '01 c0000235 0035 01 c0000207 0050',
    datagram: { peer: { host: '192.0.2.53', port: 53 }, payload: bytesOf('01c00002070050') },
  },
]

/** With what is left of each vector when it is cut inside its address. */
export const MALFORMED_DATAGRAMS: ReadonlyArray<readonly [name: string, hex: string, code: ErrorCode]> = [
  ['without an address', '00', 'address-type-unsupported'],
  ['with address type 2', '02 c0000235 0035 beef', 'address-type-unsupported'],
  ['to an empty name', '03 00 0035 beef', 'frame-malformed'],
  ['to a name with a space', '03 03 612062 0035 beef', 'frame-malformed'],
  ['to a name with a NUL', '03 03 610062 0035 beef', 'frame-malformed'],
  ['to a name longer than all of it', '03 ff 616263 0035 beef', 'frame-malformed'],
]

export function bytesOf(hex: string): Buffer {
  return Buffer.from(hex.replaceAll(' ', ''), 'hex')
}
