// Request smuggling: whatever the client's framing, an origin reads what it gets in one way only, as at most the two
// requests that were asked for, and a kept connection carries nothing over from one to the next.
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { SMUGGLING_VECTORS } from '../support/smuggling-vectors.ts'
import { startStack, type Stack } from '../support/stacks.ts'
import { reach } from '../support/through.ts'
import { startRawOrigin, type Wire } from '../support/wire.ts'

let stack: Stack
// A body that never comes whole ends by these, not by the client's FIN, which would take the request back.
beforeAll(
  async () =>
    void (stack = await startStack({ limits: { idleMs: 500, handshakeMs: 1_000, keepAliveMs: 500 } })),
)
vi.setConfig({ maxConcurrency: SMUGGLING_VECTORS.length })
afterAll(() => stack[Symbol.asyncDispose]())

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/

interface StrictRequest {
  readonly target: string
  readonly complete: boolean
}

/** Reads requests as RFC 9112 has them and in no other way. Throws at whatever another parser might read otherwise. */
function strictRequests(bytes: Buffer): StrictRequest[] {
  const requests: StrictRequest[] = []
  let rest = bytes.toString('latin1')
  while (rest !== '') {
    const end = rest.indexOf('\r\n\r\n')
    if (end === -1) throw new Error(`a head that does not end: ${JSON.stringify(rest.slice(0, 80))}`)
    const [line = '', ...fields] = rest.slice(0, end).split('\r\n')
    const target = /^[A-Z]+ (\/[\x21-\x7e]*) HTTP\/1\.1$/.exec(line)?.[1]
    if (target === undefined) throw new Error(`not a request line: ${JSON.stringify(line)}`)
    const lengths: string[] = []
    const codings: string[] = []
    for (const field of fields) {
      const colon = field.indexOf(':')
      const [name, value] = [field.slice(0, colon), field.slice(colon + 1).trim()]
      if (!TOKEN.test(name) || !FIELD_VALUE.test(value))
        throw new Error(`not a field: ${JSON.stringify(field)}`)
      if (name.toLowerCase() === 'content-length') lengths.push(value)
      if (name.toLowerCase() === 'transfer-encoding') codings.push(value)
    }
    if (fields.filter((field) => /^host:/i.test(field)).length !== 1) throw new Error('not one Host')
    if (lengths.length + codings.length > 1) throw new Error('more than one framing')
    rest = rest.slice(end + 4)
    const body = codings.length > 0 ? chunkedBytes(rest, codings[0]) : plainBytes(rest, lengths[0])
    requests.push({ target, complete: body !== undefined })
    if (body === undefined) return requests
    rest = rest.slice(body)
  }
  return requests
}

function plainBytes(rest: string, length = '0'): number | undefined {
  if (!/^\d{1,15}$/.test(length)) throw new Error(`not a length: ${length}`)
  return Number(length) <= rest.length ? Number(length) : undefined
}

function chunkedBytes(rest: string, coding: string | undefined): number | undefined {
  if (coding !== 'chunked') throw new Error(`a coding other than chunked: ${coding}`)
  let at = 0
  for (;;) {
    if (!rest.includes('\r\n', at)) return undefined
    const size = /^([0-9a-fA-F]{1,8})\r\n/.exec(rest.slice(at))?.[1]
    if (size === undefined) throw new Error(`not a chunk size: ${JSON.stringify(rest.slice(at, at + 20))}`)
    at += size.length + 2
    if (Number.parseInt(size, 16) === 0) break
    const end = at + Number.parseInt(size, 16)
    if (rest.length < end + 2) return undefined
    if (rest.slice(end, end + 2) !== '\r\n') throw new Error('no CRLF after a chunk')
    at = end + 2
  }
  for (;;) {
    const end = rest.indexOf('\r\n', at)
    if (end === -1) return undefined
    const trailer = rest.slice(at, end)
    at = end + 2
    if (trailer === '') return at
    if (/^(content-length|transfer-encoding|host|[^:]*[^\w!#$%&'*+.^`|~-][^:]*):/i.test(trailer))
      throw new Error(`a trailer: ${trailer}`)
  }
}

/** Answers every whole request with its target. */
async function answerAll(wire: Wire): Promise<void> {
  for (let answered = 0; ; answered += 1) {
    await wire.until((received) => whole(received) > answered)
    const { target = '' } = strictRequests(wire.received)[answered] ?? {}
    wire.send(`HTTP/1.1 200 OK\r\nContent-Length: ${target.length}\r\n\r\n${target}`)
  }
}

function whole(received: Buffer): number {
  if (!received.includes('\r\n\r\n')) return 0
  try {
    return strictRequests(received).filter(({ complete }) => complete).length
  } catch {
    return 0
  }
}

describe('request smuggling', () => {
  it('has vectors enough, each with a name of its own', () => {
    expect(SMUGGLING_VECTORS.length).toBeGreaterThanOrEqual(60)
    expect(new Set(SMUGGLING_VECTORS.map(({ name }) => name)).size).toBe(SMUGGLING_VECTORS.length)
  })

  it.concurrent.each(SMUGGLING_VECTORS)('$name', async ({ bytes }) => {
    await using origin = await startRawOrigin((wire) => void answerAll(wire).catch(() => {}))
    using client = await reach(stack, 'http')
    const after = 'GET http://{o}/after HTTP/1.1\r\nHost: {o}\r\nConnection: close\r\n\r\n'
    client.send(Buffer.from((bytes + after).replaceAll('{o}', `127.0.0.1:${origin.port}`), 'latin1'))
    await client.ended()
    const asked = origin.wires.flatMap((wire) => strictRequests(wire.received).map(({ target }) => target))
    expect(['', '/first', '/after', '/first /after']).toContain(asked.join(' '))
    // What the client reads as the answer to its second request must be that.
    const answers = client.text
      .split(/(?=HTTP\/1\.1 \d{3} )/)
      .filter((answer) => answer.startsWith('HTTP/1.1 200'))
    for (const answer of answers) expect(answer).toMatch(/\r\n\r\n\/(first|after)$/)
    if (answers.length === 2)
      expect(answers.map((answer) => answer.split('\r\n\r\n')[1])).toEqual(['/first', '/after'])
  })
})
