// What each observer has in front of it in a recording, as pieces with marks: the frames as they passed, and what its
// own keys open. Pure. Rules: the vantages and keys are those that the cells are made from (assess.ts), and nothing is
// marked sealed but the payload of encrypted TLS records.
import type { Observer } from '../../policy/exposure.ts'
import type { Recording } from '../recording.ts'
import { vantagesOf } from '../vantages.ts'
import { CANARY_FIELDS, type CanaryField } from '../canary.ts'
import { type CapturedConnection, type Frame } from '../capture.ts'
import { CONTENT_TYPE, RECORD_HEADER_BYTES, tlsRecords } from '../dissect/tls-records.ts'
import { attempt, type Layer } from '../layer.ts'
import { peelConnection } from '../layers.ts'
import { frameAt } from '../pcapng/frames.ts'
import { headerBytes } from '../pcapng/headers.ts'
import { searchCapture } from '../search.ts'
import type { Mark, Piece } from './wire.ts'

/** What of a piece is shown; the capture has all of it. */
const MAX_PIECE_BYTES = 4096
const HEAD_END = Buffer.from('\r\n\r\n')

export interface Seen {
  readonly observer: Observer
  readonly pieces: readonly Piece[]
}

/** Every observer of the recording's mode, each with its pieces in the order of time. */
export function observe(recording: Recording, startedAtMs: number): Seen[] {
  const words = CANARY_FIELDS.map((field) => ({ field, word: recording.canaries[field] }))
  return vantagesOf(recording).map(({ observer, captures, ownKeylogs }) => ({
    observer,
    pieces: captures
      .flatMap(({ name, connections }) =>
        connections.flatMap((connection, index) =>
          piecesOf({ connection, id: `${name}/${index}`, capture: name, words, startedAtMs }, ownKeylogs),
        ),
      )
      .toSorted((a, b) => a.atMs - b.atMs),
  }))
}

interface Subject {
  readonly connection: CapturedConnection
  readonly id: string
  readonly capture: string
  readonly words: ReadonlyArray<{ readonly field: CanaryField; readonly word: string }>
  readonly startedAtMs: number
}

function piecesOf(subject: Subject, keylogs: readonly string[]): Piece[] {
  const { connection } = subject
  const { layers } = peelConnection(connection, keylogs)
  const marks = new Map<number, Mark[]>(connection.frames.map(({ number }) => [number, []]))
  for (const layer of layers.filter(isAsPassed)) {
    for (const mark of marksOf(layer, subject)) {
      const place = layer.place(mark.offset, mark.length)
      if (place === undefined) continue
      for (const part of partsInFrames(connection.frames, layer.direction, place))
        marks.get(part.frame)?.push({ ...mark, offset: part.offset, length: part.length })
    }
  }
  return [
    ...connection.frames.map((frame) => passedPiece(frame, subject, marks.get(frame.number) ?? [])),
    ...layers.filter((layer) => !isAsPassed(layer)).flatMap((layer) => openedPiece(layer, layers, subject)),
  ]
}

/** Nothing was decrypted to come here: the layer's bytes are those that passed, one for one. */
function isAsPassed({ path }: Layer): boolean {
  return !path.includes('> tls') && !path.includes('> mux')
}

function passedPiece(
  frame: Frame,
  { id, capture, startedAtMs, connection }: Subject,
  marks: readonly Mark[],
): Piece {
  const before = headerBytes(connection.transport, connection.from.address)
  return {
    id: `${id}/${frame.number}`,
    capture,
    direction: frame.direction,
    layer: 'tcp',
    frame: frame.number,
    atMs: frame.atMs - startedAtMs,
    before,
    ...shown(frame.bytes, marks),
  }
}

function openedPiece(layer: Layer, all: readonly Layer[], subject: Subject): Piece[] {
  const marks = marksOf(layer, subject)
  // Certificates and Finished are of interest for the name in them alone.
  if (layer.path.endsWith('handshake') && !marks.some(({ kind }) => kind === 'word')) return []
  // The frames of a WebSocket that carries streams are shown as those streams; what is left is the upgrade.
  const carries = all.some(({ path }) => path.startsWith(`${layer.path} > mux`))
  const bytes = carries ? headOf(layer.bytes) : layer.bytes
  const place = layer.place(0, 1)
  const at = place && frameAt(subject.connection, layer.direction, place.offset)
  const frame = subject.connection.frames.find(({ number }) => number === at?.frame)
  return [
    {
      id: `${subject.id}/${layer.path}/${layer.direction}`,
      capture: subject.capture,
      direction: layer.direction,
      layer: layer.path,
      frame: null,
      before: 0,
      atMs: (frame ?? subject.connection.frames[0])?.atMs ?? subject.startedAtMs,
      ...shown(bytes, marks),
    },
  ].map((piece) => ({ ...piece, atMs: piece.atMs - subject.startedAtMs }))
}

function headOf(bytes: Uint8Array): Uint8Array {
  const end = Buffer.from(bytes).indexOf(HEAD_END)
  return end === -1 ? bytes : bytes.subarray(0, end + HEAD_END.length)
}

function shown(bytes: Uint8Array, marks: readonly Mark[]): Pick<Piece, 'bytes' | 'length' | 'marks'> {
  const cut = Math.min(bytes.length, MAX_PIECE_BYTES)
  return {
    bytes: Buffer.from(bytes.subarray(0, cut)).toString('base64'),
    length: bytes.length,
    marks: marks
      .filter(({ offset }) => offset < cut)
      .map((mark) => ({ ...mark, length: Math.min(mark.length, cut - mark.offset) }))
      .toSorted((a, b) => a.offset - b.offset),
  }
}

function marksOf(layer: Layer, { words }: Subject): Mark[] {
  return [
    ...sealedRanges(layer.bytes).map((range): Mark => ({
      ...range,
      kind: 'sealed',
      name: 'tls',
      encoding: '',
    })),
    ...layer.fields
      .filter(({ length }) => length > 0)
      .map(({ name, offset, length }): Mark => ({ offset, length, kind: 'field', name, encoding: '' })),
    ...words.flatMap(({ field, word }) =>
      searchCapture(layer.bytes, word).map(({ offset, length, encoding }): Mark => ({
        offset,
        length,
        kind: 'word',
        name: field,
        encoding,
      })),
    ),
  ]
}

/**
 * Payloads of encrypted TLS records in a stream that begins with a handshake record; else none. In TLS 1.3 these are
 * the records of type application data (RFC 8446 section 5.2); in TLS 1.2 also what follows ChangeCipherSpec.
 */
export function sealedRanges(bytes: Uint8Array): Array<{ readonly offset: number; readonly length: number }> {
  if (bytes[0] !== CONTENT_TYPE.handshake || bytes[1] !== 3) return []
  const ranges: Array<{ offset: number; length: number }> = []
  let end = 0
  let changed = false
  attempt(() => {
    for (const record of tlsRecords(bytes)) {
      const sealed = record.type === CONTENT_TYPE.applicationData || (changed && !isHello(record.fragment))
      changed ||= record.type === CONTENT_TYPE.changeCipherSpec
      if (sealed) ranges.push({ offset: record.offset + RECORD_HEADER_BYTES, length: record.fragment.length })
      end = record.end
    }
    return undefined
  })
  // A record that is still on its way.
  const rest = bytes.length - end - RECORD_HEADER_BYTES
  if (rest > 0 && bytes[end] === CONTENT_TYPE.applicationData)
    ranges.push({ offset: end + RECORD_HEADER_BYTES, length: rest })
  return ranges
}

/** The second ClientHello of a HelloRetryRequest comes in clear after a ChangeCipherSpec. */
function isHello(fragment: Uint8Array): boolean {
  return fragment[0] === 1 && fragment[1] === 0
}

/** Where a stretch of one direction's stream lies in its frames. */
function* partsInFrames(
  frames: readonly Frame[],
  direction: Frame['direction'],
  { offset, length }: { readonly offset: number; readonly length: number },
): Generator<{ readonly frame: number; readonly offset: number; readonly length: number }> {
  for (const frame of frames) {
    if (frame.direction !== direction) continue
    const start = Math.max(offset, frame.streamOffset)
    const end = Math.min(offset + length, frame.streamOffset + frame.bytes.length)
    if (start < end) yield { frame: frame.number, offset: start - frame.streamOffset, length: end - start }
  }
}
