// What the meter makes of a stream's bytes: readable or not, by its first flight; and one count of who read what.
import { describe, expect, it } from 'vitest'
import { ExposureMeter, linkIsEncrypted } from '../../src/gateway/exposure-meter.ts'
import type { Direction, Observer } from '../../src/gateway/observer.ts'
import { MODES } from '../../src/protocol/request.ts'
import { Log } from '../../src/telemetry/log.ts'

const FACTS = { mode: 'http-proxy', linkEncrypted: false, namedByClient: true, credential: false } as const
const HELLO = Buffer.from('16030100050100000100', 'hex')

/** Feeds a meter; gives what it told, bytes summed up by direction and readability. */
function metered(
  look: boolean,
  chunks: ReadonlyArray<readonly [Direction, Buffer | string]>,
  end = true,
): Record<string, unknown> {
  const told: Record<string, unknown> = {}
  const reads: string[] = []
  const silent = new Log('silent', { write: () => {} }).observer
  const observer: Observer = {
    ...silent,
    relayed: (_mode, direction, readable, bytes) => {
      const key = `${direction} ${readable}`
      told[key] = Number(told[key] ?? 0) + bytes
    },
    streamRead: ({ firstBytes }) => {
      reads.push(firstBytes)
      told['read'] = reads.join(' and ')
    },
  }
  const meter = new ExposureMeter(observer, FACTS, look)
  for (const [direction, chunk] of chunks) meter.moved(direction, Buffer.from(chunk as string))
  if (end) meter.end()
  return told
}

describe('the exposure meter', () => {
  it.each([
    [
      'HTTP is readable, all of it',
      [
        ['up', 'GET / HTTP/1.1\r\n\r\n'],
        ['down', 'HTTP/1.1 200 OK\r\n\r\n'],
        ['down', 'body'],
      ],
      { 'up yes': 18, 'down yes': 23, read: 'http' },
    ],
    [
      'TLS is readable in its first flight only',
      [
        ['up', HELLO],
        ['down', 'records'],
        ['up', 'more'],
      ],
      { 'up yes': 10, 'down no': 7, 'up no': 4, read: 'tls' },
    ],
    [
      'SSH too, whoever speaks first',
      [
        ['down', 'SSH-2.0-OpenSSH_9\r\n'],
        ['up', 'SSH-2.0-x\r\n'],
      ],
      { 'down yes': 19, 'up no': 11, read: 'ssh' },
    ],
    [
      'what says nothing known is unknown',
      [
        ['up', '\0\x01\x02\x03\x04\x05\x06\x07\x08\x09'.repeat(10)],
        ['down', 'xyz'],
      ],
      { 'up unknown': 100, 'down unknown': 3, read: 'other' },
    ],
    ['a stream without a byte is counted as one', [], { read: 'none' }],
  ] as ReadonlyArray<
    readonly [string, ReadonlyArray<readonly [Direction, Buffer | string]>, Record<string, unknown>]
  >)('%s', (_name, chunks, told) => {
    expect(metered(true, chunks)).toEqual(told)
  })

  it('counts bytes that came in one by one the same', () => {
    const request = 'GET / HTTP/1.1\r\n\r\n'
    const chunks = [...request].map((letter) => ['up', letter] as const)
    expect(metered(true, chunks)).toEqual({ 'up yes': request.length, read: 'http' })
  })

  it('with exposure off counts bytes and says nothing of them', () => {
    expect(
      metered(false, [
        ['up', 'GET / HTTP/1.1\r\n\r\n'],
        ['down', HELLO],
      ]),
    ).toEqual({ 'up unknown': 18, 'down unknown': 10 })
  })

  it('knows which links are sealed', () => {
    expect(MODES.filter(linkIsEncrypted)).toEqual(['https-proxy', 'tunnel'])
  })
})
