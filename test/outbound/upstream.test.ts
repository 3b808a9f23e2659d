// Upstreams of every kind, played byte by byte: what comes early, late, in pieces or not at all, and that nothing is left
// open.
import { describe, expect, it } from 'vitest'
import { GatewayError } from '../../src/errors.ts'
import { eventually } from '../support/eventually.ts'
import { failureOf, GRANTED_4, GRANTED_5, playSocks5, request, upstream } from '../support/upstream-peer.ts'
import { startRawOrigin, Wire, type RawOrigin } from '../support/wire.ts'

const KINDS = [
  { scheme: 'socks5h', answer: Buffer.concat([Buffer.from([5, 0]), GRANTED_5]) },
  { scheme: 'socks4a', answer: GRANTED_4 },
  { scheme: 'http', answer: Buffer.from('HTTP/1.1 200 OK\r\n\r\n') },
] as const

describe.each(KINDS)('an upstream by $scheme', ({ scheme, answer }) => {
  /** Sends the answer when it is due, with `behind` in the same segment as its last byte. */
  async function grant(proxy: RawOrigin, behind: Buffer): Promise<Wire> {
    if (scheme === 'socks5h') {
      const { wire } = await playSocks5(proxy)
      wire.send(Buffer.concat([GRANTED_5, behind]))
      return wire
    }
    const wire = await proxy.wire()
    await wire.untilBytes(9)
    wire.send(Buffer.concat([answer, behind]))
    return wire
  }

  it('keeps, in order, what comes right behind its answer, however late it is read', async () => {
    await using proxy = await startRawOrigin()
    const early = Buffer.alloc(300_000)
    for (let index = 0; index < early.length; index += 1) early[index] = (index * 7 + (index >> 8)) & 0xff
    const dialling = upstream(scheme, proxy.port).dial(request())
    const wire = await grant(proxy, early)
    const { stream } = await dialling
    // Nobody reads for some turns, and more comes meanwhile.
    wire.send('the end')
    for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve))
    const client = new Wire(stream as Wire['socket'])
    stream.resume()
    await client.untilText('the end')
    expect(client.received.subarray(0, early.length).equals(early)).toBe(true)
    expect(client.received).toHaveLength(early.length + 7)
    stream.destroy()
  })

  it('keeps either half open when the other has ended', async () => {
    await using proxy = await startRawOrigin()
    const dialling = upstream(scheme, proxy.port).dial(request())
    const wire = await grant(proxy, Buffer.alloc(0))
    const { stream } = await dialling
    const client = new Wire(stream as Wire['socket'])
    stream.resume()
    wire.take(wire.received.length)
    wire.socket.end('last words')
    expect(await client.ended()).toBe('end')
    expect(client.text).toBe('last words')
    stream.end('and mine')
    await wire.untilText('and mine')
    expect(await wire.ended()).toBe('end')
  })

  it('answers in pieces of one byte', async () => {
    await using proxy = await startRawOrigin()
    const dialling = upstream(scheme, proxy.port).dial(request())
    const wire = await proxy.wire()
    for (const byte of answer) {
      wire.socket.write(Buffer.from([byte]))
      await new Promise((resolve) => setImmediate(resolve))
      if (scheme === 'socks5h' && byte === 5) await wire.untilBytes(3)
    }
    const { stream } = await dialling
    wire.send('and more')
    const client = new Wire(stream as Wire['socket'])
    stream.resume()
    await client.untilText('and more')
    expect(client.text).toBe('and more')
    stream.destroy()
  })

  it.each([
    ['at once', (wire: Wire) => void wire.socket.end()],
    ['with a reset', (wire: Wire) => wire.reset()],
    ['after half an answer', (wire: Wire) => void wire.socket.end(answer.subarray(0, 1))],
  ])('that ends %s is unavailable', async (_, end) => {
    await using proxy = await startRawOrigin(end)
    expect((await failureOf(upstream(scheme, proxy.port).dial(request()))).code).toBe('upstream-unavailable')
    await (await proxy.wire()).ended()
  })

  it('that does not listen is unavailable, not refused', async () => {
    const proxy = await startRawOrigin()
    await proxy[Symbol.asyncDispose]()
    const failure = await failureOf(upstream(scheme, proxy.port).dial(request()))
    expect([failure.code, failure.side]).toEqual(['upstream-unavailable', 'upstream'])
  })

  it('that says nothing is left when the time is over', async () => {
    await using proxy = await startRawOrigin()
    const failure = await failureOf(upstream(scheme, proxy.port, { dialMs: 50 }).dial(request()))
    expect(failure.code).toBe(scheme === 'socks5h' ? 'upstream-unavailable' : 'dial-timeout')
    await (await proxy.wire()).ended()
  })

  it('is left when the client goes, wherever it stands', async () => {
    await using proxy = await startRawOrigin()
    const gone = new AbortController()
    const failing = failureOf(upstream(scheme, proxy.port).dial(request('site.test', 443, gone.signal)))
    const wire = await proxy.wire()
    await wire.untilBytes(3)
    gone.abort()
    expect((await failing).code).toBe('stream-cancelled')
    await wire.ended()
    const already = await failureOf(upstream(scheme, proxy.port).dial(request('site.test', 443, gone.signal)))
    expect(already.code).toBe('stream-cancelled')
  })

  it('leaves no listener on the signal', async () => {
    await using proxy = await startRawOrigin((wire) => void wire.socket.end())
    const { signal } = new AbortController()
    let listening = 0
    const add = signal.addEventListener.bind(signal)
    const remove = signal.removeEventListener.bind(signal)
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      listening += 1
      add(...args)
    }
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      listening -= 1
      remove(...args)
    }
    await failureOf(upstream(scheme, proxy.port).dial(request('site.test', 443, signal)))
    await eventually(() => expect(listening).toBe(0))
  })
})

describe('an upstream', () => {
  it('that waits for the destination is told apart from one that is slow itself', async () => {
    await using proxy = await startRawOrigin()
    const failing = failureOf(upstream('socks5h', proxy.port, { dialMs: 300 }).dial(request()))
    await playSocks5(proxy)
    expect((await failing).code).toBe('dial-timeout')
  })

  it('is looked up by its own name, once for each dial, and not judged', async () => {
    await using proxy = await startRawOrigin((wire) => void wire.socket.end())
    const names: string[] = []
    const outbound = upstream('http', proxy.port, {
      server: { scheme: 'http', host: 'Proxy.test', port: proxy.port },
      lookup: async (name) => {
        names.push(name)
        return ['127.0.0.1']
      },
      judge: () => {
        throw new GatewayError('destination-denied')
      },
    })
    expect((await failureOf(outbound.dial(request()))).code).toBe('upstream-unavailable')
    expect(names).toEqual(['proxy.test'])
  })

  it('whose name is not known is unavailable', async () => {
    const outbound = upstream('socks5h', 9, {
      server: { scheme: 'socks5h', host: 'proxy.test', port: 9 },
      lookup: () => Promise.reject(new GatewayError('name-not-found')),
    })
    expect((await failureOf(outbound.dial(request()))).code).toBe('upstream-unavailable')
  })

  it('is shown new credentials after a reload', async () => {
    await using proxy = await startRawOrigin()
    const outbound = upstream('http', proxy.port, { credentials: { name: 'ann', password: 'old' } })
    outbound.reload({ scheme: 'http', host: 'other', port: 1, credentials: { name: 'ann', password: 'new' } })
    const dialling = outbound.dial(request())
    const wire = await proxy.wire()
    await wire.untilText('\r\n\r\n')
    expect(wire.text).toContain(Buffer.from('ann:new').toString('base64'))
    wire.send('HTTP/1.1 200 OK\r\n\r\n')
    const { stream } = await dialling
    stream.destroy()
  })
})
