// The upstream outbound against upstreams that are written by hand, byte by byte: what it asks, what it makes of each
// answer, what comes early or in pieces, and that nothing is left open.
import { describe, expect, it } from 'vitest'
import { GatewayError } from '../../src/errors.ts'
import type { DialRequest } from '../../src/outbound/outbound.ts'
import { UpstreamOutbound, type UpstreamOptions } from '../../src/outbound/upstream.ts'
import type { UpstreamServer } from '../../src/outbound/upstream-ask.ts'
import { eventually } from '../support/eventually.ts'
import { startRawOrigin, Wire, type RawOrigin } from '../support/wire.ts'

const GRANTED_5 = Buffer.from([5, 0, 0, 1, 0, 0, 0, 0, 0, 0])
const GRANTED_4 = Buffer.from([0, 90, 0, 0, 0, 0, 0, 0])
const PASSWORD = 'pä:ss wörd'

function upstream(
  scheme: UpstreamServer['scheme'],
  port: number,
  options: Partial<UpstreamOptions> & { credentials?: UpstreamServer['credentials'] } = {},
): UpstreamOutbound {
  const { credentials, ...rest } = options
  return new UpstreamOutbound({
    server: { scheme, host: '127.0.0.1', port, credentials },
    dialMs: 10_000,
    lookup: () => Promise.reject(new Error('looked up')),
    resolve: () => Promise.reject(new Error('looked up')),
    admit: () => {},
    judge: () => {},
    judgeAnswer: () => {},
    ...rest,
  })
}

function request(host = 'site.test', port = 443, signal = new AbortController().signal): DialRequest {
  return { mode: 'http-proxy', identity: undefined, destination: { host, port }, signal }
}

async function failureOf(dialling: Promise<unknown>): Promise<GatewayError> {
  const outcome = await dialling.then(
    () => 'dialled',
    (error: unknown) => error,
  )
  if (outcome instanceof GatewayError) return outcome
  throw new Error(`no GatewayError: ${String(outcome)}`)
}

/** Plays the SOCKS5 greeting; gives what was asked when the request is whole. */
async function playSocks5(origin: RawOrigin, index = 0): Promise<{ wire: Wire; asked: Buffer }> {
  const wire = await origin.wire(index)
  await wire.untilBytes(3)
  wire.take(3)
  wire.send(Buffer.from([5, 0]))
  await wire.untilBytes(10)
  return { wire, asked: wire.received }
}

describe('a SOCKS upstream', () => {
  it('is asked for the name, in its one spelling, by socks5h', async () => {
    await using proxy = await startRawOrigin()
    const dialling = upstream('socks5h', proxy.port).dial(request('Site.TEST.', 443))
    const { wire, asked } = await playSocks5(proxy)
    expect(asked).toEqual(
      Buffer.concat([Buffer.from([5, 1, 0, 3, 9]), Buffer.from('site.test'), Buffer.from([1, 187])]),
    )
    wire.send(GRANTED_5)
    const { stream, bound } = await dialling
    expect(bound).toEqual({ address: '', port: 0 })
    stream.destroy()
  })

  it.each([
    ['IPv4, in any spelling', '0x7f.2', Buffer.from([5, 1, 0, 1, 127, 0, 0, 2, 1, 187])],
    [
      'IPv6',
      '[2001:db8::1]',
      Buffer.from([5, 1, 0, 4, 0x20, 1, 13, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 187]),
    ],
  ])('is asked for an address as one: %s', async (_, host, bytes) => {
    await using proxy = await startRawOrigin()
    const judged: string[] = []
    const judge = (__: DialRequest, address: string): void => void judged.push(address)
    const dialling = upstream('socks5h', proxy.port, { judge }).dial(request(host))
    const { wire, asked } = await playSocks5(proxy)
    expect(asked).toEqual(bytes)
    expect(judged).toHaveLength(1)
    wire.send(GRANTED_5)
    const { stream } = await dialling
    stream.destroy()
  })

  it('is asked for an address that was looked up and judged here, by socks5, and for the next where one fails', async () => {
    await using proxy = await startRawOrigin()
    const judge = (__: DialRequest, address: string): void => {
      if (address === '127.0.0.1') throw new GatewayError('destination-denied', { side: 'client' })
    }
    const resolve = async (): Promise<string[]> => ['127.0.0.1', '192.0.2.1', '192.0.2.2']
    const dialling = upstream('socks5', proxy.port, { judge, resolve }).dial(request())
    const first = await playSocks5(proxy)
    expect([...first.asked.subarray(4, 8)]).toEqual([192, 0, 2, 1])
    first.wire.send(Buffer.from([5, 5, 0, 1, 0, 0, 0, 0, 0, 0]))
    const second = await playSocks5(proxy, 1)
    expect([...second.asked.subarray(4, 8)]).toEqual([192, 0, 2, 2])
    second.wire.send(GRANTED_5)
    const { stream } = await dialling
    stream.destroy()
  })

  it('is not connected to where every address is refused', async () => {
    await using proxy = await startRawOrigin()
    const judge = (): void => {
      throw new GatewayError('destination-denied', { side: 'client' })
    }
    const asked = [
      upstream('socks5', proxy.port, { judge, resolve: async () => ['127.0.0.1'] }).dial(request()),
      upstream('socks5', proxy.port, { judgeAnswer: judge, resolve: async () => ['192.0.2.1'] }).dial(
        request(),
      ),
      upstream('socks5h', proxy.port, { judge }).dial(request('127.0.0.1')),
      upstream('http', proxy.port, { judge }).dial(request('::ffff:127.0.0.1')),
      upstream('socks5h', proxy.port, { judge }).dial(request('LOCALHOST.')),
      upstream('http', proxy.port, { judge }).dial(request('a.localhost')),
    ]
    const failures = await Promise.all(asked.map(failureOf))
    expect(failures.map(({ code }) => code)).toEqual(asked.map(() => 'destination-denied'))
    expect(proxy.wires).toHaveLength(0)
  })

  it('is shown a name and password, percent-free and in UTF-8', async () => {
    await using proxy = await startRawOrigin()
    const credentials = { name: 'ann', password: PASSWORD }
    const dialling = upstream('socks5h', proxy.port, { credentials }).dial(request())
    const wire = await proxy.wire()
    await wire.untilBytes(4)
    expect([...wire.take(4)]).toEqual([5, 2, 0, 2])
    wire.send(Buffer.from([5, 2]))
    const secret = Buffer.from(PASSWORD)
    const expected = Buffer.concat([
      Buffer.from([1, 3]),
      Buffer.from('ann'),
      Buffer.from([secret.length]),
      secret,
    ])
    await wire.untilBytes(expected.length)
    expect(wire.take(expected.length)).toEqual(expected)
    wire.send(Buffer.from([1, 0]))
    await wire.untilBytes(10)
    wire.send(GRANTED_5)
    const { stream } = await dialling
    stream.destroy()
  })

  it('is asked for the name by socks4a, with the user id', async () => {
    await using proxy = await startRawOrigin()
    const credentials = { name: 'ann', password: '' }
    const dialling = upstream('socks4a', proxy.port, { credentials }).dial(request())
    const wire = await proxy.wire()
    const expected = Buffer.concat([Buffer.from([4, 1, 1, 187, 0, 0, 0, 1]), Buffer.from('ann\0site.test\0')])
    await wire.untilBytes(expected.length)
    expect(wire.received).toEqual(expected)
    wire.send(GRANTED_4)
    const { stream } = await dialling
    stream.destroy()
  })

  it('cannot be asked for an IPv6 address by socks4a', async () => {
    await using proxy = await startRawOrigin()
    const failure = await failureOf(upstream('socks4a', proxy.port).dial(request('2001:db8::1')))
    expect(failure.code).toBe('network-unreachable')
    const wire = await proxy.wire()
    await wire.ended()
    expect(wire.received).toHaveLength(0)
  })

  it.each([
    [1, 'dial-failed'],
    [2, 'destination-denied'],
    [3, 'network-unreachable'],
    [4, 'host-unreachable'],
    [5, 'connection-refused'],
    [6, 'dial-timeout'],
    [7, 'upstream-unavailable'],
    [8, 'network-unreachable'],
    [0xf4, 'dial-failed'],
  ])('that replies %i means %s', async (reply, code) => {
    await using proxy = await startRawOrigin()
    const failing = failureOf(upstream('socks5h', proxy.port).dial(request()))
    const { wire } = await playSocks5(proxy)
    wire.send(Buffer.from([5, reply, 0, 1, 0, 0, 0, 0, 0, 0]))
    expect((await failing).code).toBe(code)
    await wire.ended()
  })

  it.each([
    [91, 'dial-failed'],
    [92, 'upstream-auth-failed'],
    [93, 'upstream-auth-failed'],
  ])('that replies %i of SOCKS4 means %s', async (reply, code) => {
    await using proxy = await startRawOrigin()
    const failing = failureOf(upstream('socks4a', proxy.port).dial(request()))
    const wire = await proxy.wire()
    await wire.untilBytes(9)
    wire.send(Buffer.from([0, reply, 0, 0, 0, 0, 0, 0]))
    expect((await failing).code).toBe(code)
    await wire.ended()
  })

  it.each([
    ['takes no password', [5, 0xff], 'upstream-auth-failed'],
    ['finds it wrong', [5, 2, 1, 1], 'upstream-auth-failed'],
    ['speaks HTTP', [...Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')], 'upstream-unavailable'],
    ['wants a method that was not offered', [5, 1], 'upstream-unavailable'],
  ])('that %s: %j', async (_, bytes, code) => {
    await using proxy = await startRawOrigin((wire) => wire.send(Buffer.from(bytes)))
    const credentials = { name: 'ann', password: PASSWORD }
    const failure = await failureOf(upstream('socks5h', proxy.port, { credentials }).dial(request()))
    expect(failure.code).toBe(code)
    const told = JSON.stringify(failure, Object.getOwnPropertyNames(failure)) + String(failure.stack)
    expect(told).not.toContain(PASSWORD)
    expect(failure.cause).toBeUndefined()
    await (await proxy.wire()).ended()
  })
})

describe('an HTTP upstream', () => {
  it('is asked by CONNECT, with nothing beside what it needs', async () => {
    await using proxy = await startRawOrigin()
    const credentials = { name: 'ann', password: PASSWORD }
    const dialling = upstream('http', proxy.port, { credentials }).dial(request('Site.test', 8080))
    const wire = await proxy.wire()
    await wire.untilText('\r\n\r\n')
    const basic = Buffer.from(`ann:${PASSWORD}`).toString('base64')
    expect(wire.text).toBe(
      `CONNECT site.test:8080 HTTP/1.1\r\nHost: site.test:8080\r\nProxy-Authorization: Basic ${basic}\r\n\r\n`,
    )
    wire.send('HTTP/1.1 200 OK\r\n\r\n')
    const { stream } = await dialling
    stream.destroy()
  })

  it.each([
    ['401 Unauthorized', '', 'upstream-auth-failed'],
    ['403 Forbidden', '', 'destination-denied'],
    ['407 Proxy Authentication Required', 'proxy-authenticate: Basic realm="x"\r\n', 'upstream-auth-failed'],
    ['429 Too Many Requests', '', 'upstream-unavailable'],
    ['500 Unable to connect', '', 'dial-failed'],
    ['501 Not Implemented', '', 'upstream-unavailable'],
    ['502 Bad Gateway', '', 'dial-failed'],
    ['502 Bad Gateway', 'sightline-error: connection-refused\r\n', 'connection-refused'],
    ['502 Bad Gateway', 'sightline-error: upstream-unavailable\r\n', 'upstream-unavailable'],
    ['407 Proxy', 'sightline-error: destination-denied\r\n', 'upstream-auth-failed'],
    ['429 Too many', 'sightline-error: too-many-from-source\r\n', 'upstream-unavailable'],
    ['503 Service Unavailable', '', 'upstream-unavailable'],
    ['503 Service Unavailable', 'X-Squid-Error: ERR_CONNECT_FAIL 111\r\n', 'connection-refused'],
    ['503 Service Unavailable', 'X-Squid-Error: ERR_DNS_FAIL 0\r\n', 'name-not-found'],
    ['504 Gateway Timeout', '', 'dial-timeout'],
    ['302 Found', 'location: http://portal.test/\r\n', 'upstream-unavailable'],
    ['100 Continue', '', 'upstream-unavailable'],
    ['101 Switching Protocols', 'upgrade: x\r\nconnection: upgrade\r\n', 'upstream-unavailable'],
  ])('that answers %s with "%s" means %s', async (status, fields, code) => {
    await using proxy = await startRawOrigin()
    const failing = failureOf(upstream('http', proxy.port).dial(request()))
    const wire = await proxy.wire()
    await wire.untilText('\r\n\r\n')
    wire.send(`HTTP/1.1 ${status}\r\n${fields}content-length: 3\r\n\r\nno\n`)
    expect((await failing).code).toBe(code)
    await wire.ended()
  })

  it.each([
    ['no HTTP', 'SSH-2.0-OpenSSH\r\n'],
    ['a head without end', `HTTP/1.1 200 OK\r\nx: ${'y'.repeat(100_000)}`],
  ])('that answers with %s is none', async (_, text) => {
    await using proxy = await startRawOrigin((wire) => wire.send(text))
    expect((await failureOf(upstream('http', proxy.port).dial(request()))).code).toBe('upstream-unavailable')
    await (await proxy.wire()).ended()
  })

  it.each(['content-length: 4', 'transfer-encoding: chunked'])(
    'may say %s in its 200: no body follows',
    async (field) => {
      await using proxy = await startRawOrigin()
      const dialling = upstream('http', proxy.port).dial(request())
      const wire = await proxy.wire()
      await wire.untilText('\r\n\r\n')
      wire.send(`HTTP/1.1 200 OK\r\n${field}\r\n\r\nearly`)
      const { stream } = await dialling
      const client = new Wire(stream as Wire['socket'])
      stream.resume()
      await client.untilText('early')
      stream.destroy()
    },
  )
})

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
