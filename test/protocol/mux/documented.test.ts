// docs/protocol.md against the code: its tables of frame types and error numbers, its sizes and its examples. Whoever
// changes one must change the other.
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { ERROR_ANSWERS } from '../../../src/errors.ts'
import { decodeDatagram, firstWindow } from '../../../src/protocol/mux/datagram.ts'
import {
  decodeFrame,
  FRAME_TYPES,
  HEADER_BYTES,
  INITIAL_WINDOW_BYTES,
  MAX_FRAME_BYTES,
  MAX_PAYLOAD_BYTES,
  SESSION_HEADER,
  SUBPROTOCOL,
  TUNNEL_PATH,
} from '../../../src/protocol/mux/frame.ts'
import { DEFAULT_PAYLOAD_BYTES } from '../../../src/protocol/mux/session.ts'
import { bytesOf } from './vectors.ts'

const PAGE = readFileSync(path.join(import.meta.dirname, '../../../docs/protocol.md'), 'utf8')

/** The cells of each row of the table whose head starts with `first`. */
function table(first: string): string[][] {
  const lines = PAGE.split('\n')
  const start = lines.findIndex((line) => line.startsWith(`| ${first} |`))
  const end = lines.findIndex((line, index) => index > start && !line.startsWith('|'))
  const rows = lines.slice(start + 2, end === -1 ? undefined : end)
  return rows.map((row) =>
    row
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim()),
  )
}

const spaced = (count: number): string => String(count).replaceAll(/\B(?=(\d{3})+$)/g, ' ')

describe('docs/protocol.md', () => {
  it('has each error number, its code and its text, in order, and no other', () => {
    const rows = table('number').map(([number, code, text]) => [
      Number(number),
      code?.replaceAll('`', ''),
      text,
    ])
    const known = Object.entries(ERROR_ANSWERS)
      .map(([code, { mux, text }]) => [mux, code, text] as const)
      .toSorted(([one], [other]) => one - other)
    expect(rows).toEqual(known)
  })

  it('has each frame type', () => {
    const rows = table('type').map(([type, name]) => [name?.toLowerCase(), Number(type)])
    expect(Object.fromEntries(rows)).toEqual(FRAME_TYPES)
  })

  it('names no error code that there is not', () => {
    const codes = [...PAGE.matchAll(/`([a-z]+(?:-[a-z]+)+)`/g)].map(([, code = '']) => code)
    const others = new Set(['sightline-error', 'sightline-reference', SESSION_HEADER])
    expect(codes.length).toBeGreaterThan(80)
    expect(codes.filter((code) => !Object.hasOwn(ERROR_ANSWERS, code) && !others.has(code))).toEqual([])
  })

  it('has the sizes that the code has', () => {
    const windows = [firstWindow('tcp'), firstWindow('udp'), INITIAL_WINDOW_BYTES]
    for (const size of [MAX_FRAME_BYTES, MAX_PAYLOAD_BYTES, ...windows, DEFAULT_PAYLOAD_BYTES]) {
      expect(PAGE).toContain(`${spaced(size)} bytes`)
    }
    expect(HEADER_BYTES).toBe(5)
    expect(PAGE).toContain('Every frame starts with five bytes')
    for (const word of [SUBPROTOCOL, TUNNEL_PATH, SESSION_HEADER]) expect(PAGE).toContain(word)
  })

  it('has examples that are frames', () => {
    const examples = [...PAGE.matchAll(/^ {4}(0[1-8](?: [0-9a-f]{2,})+)(?: {2,}|$)/gm)].map(([, hex = '']) =>
      decodeFrame(bytesOf(hex)),
    )
    expect(examples.map(({ type }) => type)).toEqual([
      'open',
      'open',
      'opened',
      'refused',
      'data',
      'data',
      'credit',
      'reset',
      'goaway',
    ])
    expect(examples[0]).toMatchObject({ destination: { host: 'site.example', port: 443 } })
    expect(examples[1]).toMatchObject({ kind: 'udp' })
    const datagram = examples[5]?.type === 'data' ? decodeDatagram(examples[5].payload) : undefined
    expect(datagram).toEqual({ peer: { host: '192.0.2.53', port: 53 }, payload: Buffer.from('beef', 'hex') })
  })
})
