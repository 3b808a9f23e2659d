// Reads one direction of a captured WebSocket connection (RFC 6455): finds the end of the HTTP upgrade, then
// unmasks the frames and joins fragments. Rule: a frame that the capture cut short is left out; frames that
// RFC 6455 forbids are `bad-request`, for then this is no WebSocket and nothing read from it would be proof.
import { malformed } from './byte-reader.ts'
import type { Field, Span } from './field.ts'
import { dissectHttpRequest, dissectHttpResponse, headerValue, type HttpHead } from './http-head.ts'

export interface WebSocketMessage {
  readonly kind: 'text' | 'binary' | 'ping' | 'pong' | 'close'
  /** Unmasked, fragments joined. */
  readonly payload: Uint8Array
  /** From `payload` to the stream, where the bytes may stand masked. */
  readonly spans: readonly Span[]
  readonly masked: boolean
  /** First byte of the first frame's header, and bytes to the end of the last frame. */
  readonly offset: number
  readonly length: number
}

export interface WebSocketDissection {
  readonly head: HttpHead
  readonly fields: readonly Field[]
  /** In the order in which they ended: a ping between two fragments comes first. */
  readonly messages: readonly WebSocketMessage[]
  /** First byte that no whole frame holds. */
  readonly rest: number
}

interface Frame {
  readonly final: boolean
  readonly opcode: number
  readonly masked: boolean
  readonly payload: Uint8Array
  readonly payloadOffset: number
  readonly offset: number
  readonly end: number
}

const KINDS: Readonly<Record<number, WebSocketMessage['kind']>> = {
  1: 'text',
  2: 'binary',
  8: 'close',
  9: 'ping',
  10: 'pong',
}
const CONTINUATION = 0
const FIRST_CONTROL = 8
const MAX_CONTROL_BYTES = 125
const MASK_BYTES = 4

/**
 * `side` says whose stream it is: a client's frames are masked, a server's are not (section 5.1). Undefined
 * until the upgrade's head is whole. Throws `bad-request` where the stream is not an accepted upgrade.
 */
export function dissectWebSocket(
  bytes: Uint8Array,
  side: 'client' | 'server',
  start = 0,
): WebSocketDissection | undefined {
  const head = side === 'client' ? dissectHttpRequest(bytes, start) : dissectHttpResponse(bytes, start)
  if (head === undefined) {
    if (Buffer.from(bytes.subarray(start)).includes('\r\n\r\n')) throw malformed('the stream is not HTTP')
    return undefined
  }
  const accepted = head.kind === 'request' || head.statusCode === 101
  if (!accepted || headerValue(head, 'upgrade')?.toLowerCase() !== 'websocket') {
    throw malformed('the HTTP head is not an upgrade to WebSocket')
  }
  const { messages, rest } = readMessages(bytes, head.end, side === 'client')
  return { head, fields: head.fields, messages, rest }
}

function readMessages(
  bytes: Uint8Array,
  start: number,
  masked: boolean,
): { messages: WebSocketMessage[]; rest: number } {
  const messages: WebSocketMessage[] = []
  let fragments: Frame[] = []
  let at = start
  for (;;) {
    const frame = readFrame(bytes, at, masked)
    if (frame === undefined) return { messages, rest: at }
    at = frame.end
    if (frame.opcode >= FIRST_CONTROL) {
      messages.push(joinFrames([frame]))
      continue
    }
    if ((frame.opcode === CONTINUATION) !== fragments.length > 0) {
      throw malformed(`the WebSocket frame at offset ${frame.offset} does not continue what stands before it`)
    }
    fragments.push(frame)
    if (!frame.final) continue
    messages.push(joinFrames(fragments))
    fragments = []
  }
}

/** Section 5.2. */
function readFrame(bytes: Uint8Array, offset: number, mustMask: boolean): Frame | undefined {
  const [first, second] = bytes.subarray(offset, offset + 2)
  if (first === undefined || second === undefined) return undefined
  const opcode = first & 0x0f
  const final = (first & 0x80) !== 0
  const masked = (second & 0x80) !== 0
  if ((first & 0x70) !== 0) throw malformed(`the WebSocket frame at offset ${offset} uses an extension`)
  if (opcode !== CONTINUATION && KINDS[opcode] === undefined)
    throw malformed(`WebSocket opcode ${opcode} is not known`)
  if (masked !== mustMask) throw malformed(`the WebSocket frame at offset ${offset} has the wrong masking`)

  const short = second & 0x7f
  const lengthBytes = short === 127 ? 8 : short === 126 ? 2 : 0
  if (opcode >= FIRST_CONTROL && (!final || short > MAX_CONTROL_BYTES)) {
    throw malformed(`the WebSocket control frame at offset ${offset} is fragmented or too long`)
  }
  const extended = bytes.subarray(offset + 2, offset + 2 + lengthBytes)
  if (extended.length < lengthBytes) return undefined
  const length = lengthBytes === 0 ? short : extended.reduce((sum, byte) => sum * 0x100 + byte, 0)
  if (length > Number.MAX_SAFE_INTEGER) throw malformed(`the WebSocket frame at offset ${offset} is too long`)

  const maskOffset = offset + 2 + lengthBytes
  const payloadOffset = maskOffset + (masked ? MASK_BYTES : 0)
  const end = payloadOffset + length
  if (end > bytes.length) return undefined
  const mask = bytes.subarray(maskOffset, payloadOffset)
  const sent = bytes.subarray(payloadOffset, end)
  const payload = masked ? sent.map((byte, at) => byte ^ (mask[at % MASK_BYTES] ?? 0)) : sent
  return { final, opcode, masked, payload, payloadOffset, offset, end }
}

function joinFrames(frames: readonly Frame[]): WebSocketMessage {
  const first = frames[0]
  const last = frames.at(-1)
  const kind = first === undefined ? undefined : KINDS[first.opcode]
  if (first === undefined || last === undefined || kind === undefined)
    throw malformed('a WebSocket message is empty')
  const spans: Span[] = []
  let at = 0
  for (const frame of frames) {
    if (frame.payload.length === 0) continue
    spans.push({ at, offset: frame.payloadOffset, length: frame.payload.length })
    at += frame.payload.length
  }
  const payload = Buffer.concat(frames.map((frame) => frame.payload))
  const { masked, offset } = first
  return { kind, payload, spans, masked, offset, length: last.end - offset }
}
