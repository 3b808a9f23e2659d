// Builds DNS messages byte by byte for the dissector's tests: a naive encoder, which compresses nothing by itself, so that
// each test says exactly what is in one.
import { u16, vector16, vector8 } from './hello-builder.ts'

export interface MessageParts {
  readonly id?: number
  readonly flags?: number
  readonly questions?: readonly Uint8Array[]
  readonly answers?: readonly Uint8Array[]
  readonly authority?: readonly Uint8Array[]
  readonly additional?: readonly Uint8Array[]
}

export function message(parts: MessageParts): Buffer {
  const { id = 0x1234, flags = 0x0100, questions = [], answers = [], authority = [], additional = [] } = parts
  const sections = [questions, answers, authority, additional]
  return Buffer.concat([u16(id, flags, ...sections.map(({ length }) => length)), ...sections.flat()])
}

/** Labels in clear, without compression; '' is the root. */
export function name(text: string): Buffer {
  const labels = text === '' ? [] : text.split('.')
  return Buffer.concat([...labels.map((label) => vector8(Buffer.from(label, 'latin1'))), Buffer.from([0])])
}

export function pointer(offset: number): Buffer {
  return u16(0xc000 | offset)
}

/** A label, or more, with a pointer behind. */
export function labelsThen(text: string, offset: number): Buffer {
  return Buffer.concat([name(text).subarray(0, -1), pointer(offset)])
}

export function question(owner: Uint8Array, type = 1, number = 1): Buffer {
  return Buffer.concat([owner, u16(type, number)])
}

export function record(owner: Uint8Array, type: number, data: Uint8Array, ttlSeconds = 60): Buffer {
  return Buffer.concat([owner, u16(type, 1), u16(0, ttlSeconds), vector16(data)])
}

/** EDNS with these options (RFC 6891 section 6.1.2). */
export function opt(...options: ReadonlyArray<readonly [code: number, data: Uint8Array]>): Buffer {
  return record(
    name(''),
    41,
    Buffer.concat(options.map(([code, data]) => Buffer.concat([u16(code), vector16(data)]))),
  )
}
