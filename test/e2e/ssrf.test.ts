// The SSRF table (test/support/ssrf-table.ts) through every protocol of TCP: each row is refused with its code, and
// nothing is dialled for it. The proof is twofold: every dial of this process is seen, and a listener on the port that
// all rows ask for, on every address of this machine, sees no connection.
import net from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ERROR_ANSWERS } from '../../src/errors.ts'
import { watchDials, type DialWatch } from '../support/dial-watch.ts'
import { sum } from '../support/metrics.ts'
import {
  PUBLIC_ADDRESS,
  SSRF_EGRESS,
  ssrfBytes,
  ssrfResolve,
  SSRF_ROWS,
  type SsrfRow,
} from '../support/ssrf-table.ts'
import { startStack, type ListenerName, type Stack } from '../support/stacks.ts'
import { connectHead, reach } from '../support/through.ts'
import type { Wire } from '../support/wire.ts'

const AT_ONCE = 32

let stack: Stack
let listener: net.Server
let port: number
let seenByListener = 0
/** Every dial that does not go to a listener of the stack itself. */
let watch: DialWatch

beforeAll(async () => {
  stack = await startStack({ egress: SSRF_EGRESS, resolve: ssrfResolve() })
  listener = net.createServer((socket) => {
    seenByListener += 1
    socket.destroy()
  })
  await new Promise<void>((resolve) => listener.listen({ host: '::', port: 0 }, resolve))
  port = (listener.address() as net.AddressInfo).port
  watch = watchDials(Object.values(stack.ports))
})
afterAll(async () => {
  watch[Symbol.dispose]()
  await new Promise((resolve) => listener.close(resolve))
  await stack[Symbol.asyncDispose]()
})

interface SsrfWay {
  readonly name: string
  readonly listener: ListenerName
  /** The whole request; undefined where the protocol cannot carry the row. */
  readonly encode: (row: SsrfRow) => Buffer | undefined
  /** Reads the answer: the code it must be of. */
  readonly expected: (code: SsrfRow['code']) => RegExp
}

const portBytes = (): Buffer => Buffer.from([port >> 8, port & 0xff])
const bracketed = (host: string): string => (host.includes(':') ? `[${host}]` : host)
const SOCKS5_GREETING = Buffer.from([5, 1, 0])

const http = (code: SsrfRow['code']): RegExp => {
  const status = ERROR_ANSWERS[code].http
  return new RegExp(`^HTTP/1\\.1 ${status} .*\\r\\nsightline-error: ${code}\\r\\n`, 's')
}
const socks4 = (): RegExp => /^\x00\x5b.{6}$/s
const socks5 = (code: SsrfRow['code']): RegExp => {
  const reply = `\\x0${ERROR_ANSWERS[code].socks5}`
  return new RegExp(`^\\x05\\x00\\x05${reply}\\x00.{7,}$`, 's')
}

function connect({ host }: SsrfRow): Buffer {
  return Buffer.from(connectHead(host, port), 'latin1')
}

function absoluteForm({ host }: SsrfRow): Buffer {
  const authority = `${bracketed(host)}:${port}`
  return Buffer.from(`GET http://${authority}/secret HTTP/1.1\r\nHost: ${authority}\r\n\r\n`, 'latin1')
}

function socks4a({ host }: SsrfRow): Buffer {
  return Buffer.concat([
    Buffer.from([4, 1]),
    portBytes(),
    Buffer.from([0, 0, 0, 1, 0]),
    Buffer.from(`${host}\0`, 'latin1'),
  ])
}

/** 0.0.0.x says "a name follows" in SOCKS4a. */
function socks4Bytes(row: SsrfRow): Buffer | undefined {
  const bytes = ssrfBytes(row)
  if (bytes?.length !== 4 || bytes.slice(0, 3).every((byte) => byte === 0)) return undefined
  return Buffer.concat([Buffer.from([4, 1]), portBytes(), Buffer.from(bytes), Buffer.from([0])])
}

function socks5Name({ host }: SsrfRow): Buffer {
  const name = Buffer.from(host, 'latin1')
  return Buffer.concat([SOCKS5_GREETING, Buffer.from([5, 1, 0, 3, name.length]), name, portBytes()])
}

function socks5Bytes(row: SsrfRow): Buffer | undefined {
  const bytes = ssrfBytes(row)
  if (bytes === undefined) return undefined
  return Buffer.concat([
    SOCKS5_GREETING,
    Buffer.from([5, 1, 0, bytes.length === 4 ? 1 : 4]),
    Buffer.from(bytes),
    portBytes(),
  ])
}

const SSRF_WAYS: readonly SsrfWay[] = [
  { name: 'CONNECT', listener: 'http', encode: connect, expected: http },
  { name: 'CONNECT on TLS', listener: 'https', encode: connect, expected: http },
  { name: 'absolute-form', listener: 'http', encode: absoluteForm, expected: http },
  { name: 'SOCKS4', listener: 'socks', encode: socks4Bytes, expected: socks4 },
  { name: 'SOCKS4a', listener: 'socks', encode: socks4a, expected: socks4 },
  { name: 'SOCKS5 by name', listener: 'socks', encode: socks5Name, expected: socks5 },
  { name: 'SOCKS5 by address', listener: 'socks', encode: socks5Bytes, expected: socks5 },
  { name: 'CONNECT through the tunnel', listener: 'client', encode: connect, expected: http },
  { name: 'absolute-form through the tunnel', listener: 'client', encode: absoluteForm, expected: http },
  { name: 'SOCKS5 through the tunnel', listener: 'client', encode: socks5Bytes, expected: socks5 },
]

/** What came of one row; undefined where it is as it must be. */
async function offence(way: SsrfWay, row: SsrfRow): Promise<string | undefined> {
  const request = way.encode(row)
  if (request === undefined) return undefined
  using wire: Wire = await reach(stack, way.listener)
  wire.send(request)
  await wire.ended()
  const codes: ReadonlyArray<SsrfRow['code']> =
    row.dials === undefined ? [row.code] : [row.code, 'destination-denied']
  if (codes.some((code) => way.expected(code).test(wire.text))) return undefined
  return `${row.what} (${row.host}): ${JSON.stringify(wire.text.slice(0, 120))}`
}

describe('the SSRF table', () => {
  it('has every denied range and hundreds of spellings', () => {
    expect(SSRF_ROWS.length).toBeGreaterThan(500)
    expect(new Set(SSRF_ROWS.map(({ code }) => code))).toEqual(
      new Set(['destination-denied', 'connection-refused', 'bad-request']),
    )
  })

  it.each(SSRF_WAYS)('is refused, and nothing dialled: $name', { timeout: 60_000 }, async (way) => {
    watch.dialled.length = 0
    const offences: string[] = []
    for (let at = 0; at < SSRF_ROWS.length; at += AT_ONCE) {
      const found = await Promise.all(SSRF_ROWS.slice(at, at + AT_ONCE).map((row) => offence(way, row)))
      offences.push(...found.filter((text) => text !== undefined))
    }
    expect(offences).toEqual([])
    const publicOnly = SSRF_ROWS.some((row) => row.dials !== undefined && way.encode(row) !== undefined)
      ? [`${PUBLIC_ADDRESS} ${port}`]
      : []
    expect([...new Set(watch.dialled)]).toEqual(publicOnly)
    expect(seenByListener).toBe(0)
  })

  it('would have been seen by the listener and by the watch', async () => {
    watch.dialled.length = 0
    for (const host of ['127.0.0.1', '::1']) {
      await new Promise<void>((resolve) =>
        net
          .connect({ host, port })
          .on('close', () => resolve())
          .resume(),
      )
    }
    expect(watch.dialled).toEqual([`127.0.0.1 ${port}`, `::1 ${port}`])
    expect(seenByListener).toBe(2)
  })

  it('left no stream behind', async () => {
    const metrics = await stack.gatewayMetrics()
    expect(sum(metrics, 'sightline_streams_total')).toBe(0)
    expect(sum(metrics, 'sightline_refusals_total', { code: 'destination-denied' })).toBeGreaterThan(3_000)
  })
})
