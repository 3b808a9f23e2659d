// Codec of the tunnel's frames, one frame in each WebSocket message (docs/protocol.md, sections 3 and 4).
// Pure: bytes in, a frame or a coded error out. Every length is checked before anything is read by it.
import { GatewayError } from '../../errors.ts'
import type { BoundAddress, Destination } from '../request.ts'
import { decodeAddress, encodeAddress } from './address.ts'

export const SUBPROTOCOL = 'sightline.v1'
export const TUNNEL_PATH = '/tunnel'
/** Response header of the upgrade that names the session: 32 hex digits. */
export const SESSION_HEADER = 'sightline-session'
/** Credit that each direction of a new stream starts with, in bytes. */
export const INITIAL_WINDOW_BYTES = 64 * 1024
/** Largest DATA payload that a receiver takes. Senders choose less (see session.ts). */
export const MAX_PAYLOAD_BYTES = 64 * 1024
export const HEADER_BYTES = 5
export const MAX_FRAME_BYTES = HEADER_BYTES + MAX_PAYLOAD_BYTES

/** Types 0x00 and 0x0a to 0x0f are kept free for padding and session resumption. */
export const FRAME_TYPES = {
  open: 0x01,
  opened: 0x02,
  refused: 0x03,
  data: 0x04,
  credit: 0x05,
  fin: 0x06,
  reset: 0x07,
  goaway: 0x08,
} as const

export type StreamKind = 'tcp' | 'udp'
const KIND_NUMBERS: Readonly<Record<StreamKind, number>> = { tcp: 1, udp: 2 }

export type Frame =
  | { type: 'open'; stream: number; kind: StreamKind; destination: Destination }
  | { type: 'opened'; stream: number; bound: BoundAddress }
  | { type: 'refused'; stream: number; error: number; reference: string }
  | { type: 'data'; stream: number; payload: Uint8Array }
  | { type: 'credit'; stream: number; offset: number }
  | { type: 'fin'; stream: number }
  | { type: 'reset'; stream: number; error: number }
  | { type: 'goaway'; stream: number; error: number }

const UTF8 = new TextEncoder()
const ASCII = new TextDecoder('latin1')
const MAX_REFERENCE_BYTES = 32

function frameBytes(type: number, stream: number, bodyBytes: number): Buffer {
  const bytes = Buffer.allocUnsafe(HEADER_BYTES + bodyBytes)
  bytes[0] = type
  bytes.writeUInt32BE(stream, 1)
  return bytes
}

/** A frame in one or two pieces, so that a DATA payload need not be copied to be put behind its header. */
export interface FrameParts {
  readonly head: Uint8Array
  readonly payload?: Uint8Array
}

/** The header of a DATA frame, whose payload follows. */
export function encodeDataHead(stream: number): Uint8Array {
  return frameBytes(FRAME_TYPES.data, stream, 0)
}

/** Writes one frame. `goaway.stream` is the highest stream id that its sender will still serve. */
export function encodeFrame(frame: Frame): Buffer {
  switch (frame.type) {
    case 'open': {
      const address = encodeAddress(frame.destination.host, frame.destination.port)
      const bytes = frameBytes(FRAME_TYPES.open, frame.stream, 1 + address.length)
      bytes[HEADER_BYTES] = KIND_NUMBERS[frame.kind]
      bytes.set(address, HEADER_BYTES + 1)
      return bytes
    }
    case 'opened': {
      const address = encodeAddress(frame.bound.address, frame.bound.port)
      const bytes = frameBytes(FRAME_TYPES.opened, frame.stream, address.length)
      bytes.set(address, HEADER_BYTES)
      return bytes
    }
    case 'refused': {
      const reference = UTF8.encode(frame.reference).subarray(0, MAX_REFERENCE_BYTES)
      const bytes = frameBytes(FRAME_TYPES.refused, frame.stream, 2 + reference.length)
      bytes.writeUInt16BE(frame.error, HEADER_BYTES)
      bytes.set(reference, HEADER_BYTES + 2)
      return bytes
    }
    case 'data': {
      const bytes = frameBytes(FRAME_TYPES.data, frame.stream, frame.payload.length)
      bytes.set(frame.payload, HEADER_BYTES)
      return bytes
    }
    case 'credit': {
      const bytes = frameBytes(FRAME_TYPES.credit, frame.stream, 8)
      bytes.writeBigUInt64BE(BigInt(frame.offset), HEADER_BYTES)
      return bytes
    }
    case 'fin':
      return frameBytes(FRAME_TYPES.fin, frame.stream, 0)
    case 'reset':
    case 'goaway': {
      const bytes = frameBytes(FRAME_TYPES[frame.type], frame.stream, 2)
      bytes.writeUInt16BE(frame.error, HEADER_BYTES)
      return bytes
    }
  }
}

function malformed(what: string): GatewayError {
  return new GatewayError('frame-malformed', { side: 'client', detail: `tunnel frame: ${what}` })
}

function expectBody(body: Uint8Array, bytes: number, type: string): void {
  if (body.length !== bytes) throw malformed(`${type} has ${body.length} bytes of body, not ${bytes}`)
}

/**
 * Reads one whole message as a frame. The DATA payload is a view of `message`, not a copy.
 * Errors: `frame-malformed`, `frame-unknown`, `frame-too-large`, and `address-type-unsupported` in OPEN.
 */
export function decodeFrame(message: Uint8Array): Frame {
  if (message.length < HEADER_BYTES) throw malformed(`${message.length} bytes, a header has ${HEADER_BYTES}`)
  if (message.length > MAX_FRAME_BYTES) throw new GatewayError('frame-too-large', { side: 'client' })
  const view = new DataView(message.buffer, message.byteOffset, message.length)
  const type = view.getUint8(0)
  const stream = view.getUint32(1)
  const body = message.subarray(HEADER_BYTES)
  switch (type) {
    case FRAME_TYPES.data:
      if (body.length === 0) throw malformed('DATA is empty')
      return { type: 'data', stream, payload: body }
    case FRAME_TYPES.credit: {
      expectBody(body, 8, 'CREDIT')
      const offset = Number(view.getBigUint64(HEADER_BYTES))
      if (!Number.isSafeInteger(offset)) throw malformed('CREDIT is past 2^53 - 1')
      return { type: 'credit', stream, offset }
    }
    case FRAME_TYPES.open: {
      const kind = body[0]
      if (kind !== KIND_NUMBERS.tcp && kind !== KIND_NUMBERS.udp) throw malformed('OPEN has an unknown kind')
      const { host, port } = decodeAddress(body.subarray(1))
      return {
        type: 'open',
        stream,
        kind: kind === KIND_NUMBERS.tcp ? 'tcp' : 'udp',
        destination: { host, port },
      }
    }
    case FRAME_TYPES.opened: {
      const { host, port } = decodeAddress(body)
      return { type: 'opened', stream, bound: { address: host, port } }
    }
    case FRAME_TYPES.refused: {
      if (body.length < 2 || body.length > 2 + MAX_REFERENCE_BYTES)
        throw malformed('REFUSED has a wrong length')
      const reference = ASCII.decode(body.subarray(2))
      if (!/^[0-9a-z-]*$/.test(reference)) throw malformed('REFUSED has a reference with other characters')
      return { type: 'refused', stream, error: view.getUint16(HEADER_BYTES), reference }
    }
    case FRAME_TYPES.fin:
      expectBody(body, 0, 'FIN')
      return { type: 'fin', stream }
    case FRAME_TYPES.reset:
      expectBody(body, 2, 'RESET')
      return { type: 'reset', stream, error: view.getUint16(HEADER_BYTES) }
    case FRAME_TYPES.goaway:
      expectBody(body, 2, 'GOAWAY')
      return { type: 'goaway', stream, error: view.getUint16(HEADER_BYTES) }
    default:
      throw new GatewayError('frame-unknown', {
        side: 'client',
        detail: `tunnel frame: unknown type ${type}`,
      })
  }
}
