// The direct outbound over real sockets: which addresses are judged, which is dialled, and what it says otherwise.
import { describe, expect, it } from 'vitest'
import { GatewayError } from '../../src/errors.ts'
import { DirectOutbound, type DirectOptions } from '../../src/outbound/direct.ts'
import type { DialRequest } from '../../src/outbound/outbound.ts'
import { startRawOrigin } from '../support/wire.ts'

const judged: string[] = []

function outbound(options: Partial<DirectOptions> = {}): DirectOutbound {
  judged.length = 0
  return new DirectOutbound({
    dialMs: 10_000,
    resolve: async () => ['127.0.0.1'],
    judge: (_, address) => void judged.push(address),
    ...options,
  })
}

function request(host: string, port: number, signal = new AbortController().signal): DialRequest {
  return { mode: 'http-proxy', identity: undefined, destination: { host, port }, signal }
}

async function codeOf(dialling: Promise<unknown>): Promise<string> {
  return dialling.then(
    () => 'dialled',
    (error: unknown) => (error instanceof GatewayError ? error.code : String(error)),
  )
}

describe('the direct outbound', () => {
  it('judges and dials a literal, with no look-up, in its one spelling', async () => {
    await using origin = await startRawOrigin()
    const direct = outbound({ resolve: () => Promise.reject(new Error('looked up')) })
    const { stream, bound } = await direct.dial(request('0x7f.1', origin.port))
    expect(judged).toEqual(['127.0.0.1'])
    const { socket } = await origin.wire()
    expect(bound).toEqual({ address: socket.remoteAddress, port: socket.remotePort })
    stream.destroy()
  })

  it('says whether a name server was asked: not for a literal, nor for what is known', async () => {
    await using origin = await startRawOrigin()
    const asked = async (host: string, options: Partial<DirectOptions>): Promise<boolean | undefined> => {
      const { stream, lookedUp } = await outbound(options).dial(request(host, origin.port))
      stream.destroy()
      return lookedUp
    }
    expect(await asked('a.test', {})).toBe(true)
    expect(await asked('a.test', { lookup: () => ['127.0.0.1'] })).toBe(false)
    expect(await asked('127.0.0.1', {})).toBe(false)
  })

  it('asks for a name in its one spelling, once', async () => {
    await using origin = await startRawOrigin()
    const asked: string[] = []
    const direct = outbound({
      resolve: async (name) => {
        asked.push(name)
        return ['127.0.0.1']
      },
    })
    const { stream } = await direct.dial(request('Origin.TEST.', origin.port))
    expect([asked, judged]).toEqual([['origin.test'], ['127.0.0.1']])
    stream.destroy()
  })

  it('goes on to the next address where one cannot be reached', async () => {
    await using origin = await startRawOrigin()
    const direct = outbound({ resolve: async () => ['127.255.0.9', '127.0.0.1'] })
    const { stream } = await direct.dial(request('a.test', origin.port))
    expect(judged).toEqual(['127.255.0.9', '127.0.0.1'])
    stream.destroy()
  })

  it('dials what is known in the turn in which it is asked', async () => {
    await using origin = await startRawOrigin()
    const direct = outbound({ lookup: () => ['127.0.0.1'] })
    const dialling = direct.dial(request('a.test', origin.port))
    expect(judged).toEqual(['127.0.0.1'])
    const { stream } = await dialling
    stream.destroy()
  })

  it('dials from its own address', async () => {
    await using origin = await startRawOrigin()
    const { stream, bound } = await outbound({ localAddress: '127.0.0.77' }).dial(
      request('a.test', origin.port),
    )
    expect(bound.address).toBe('127.0.0.77')
    stream.destroy()
  })

  it.each<[string, Partial<DirectOptions>, string]>([
    [
      'the look-up throws at once',
      {
        lookup: () => {
          throw new GatewayError('name-not-found')
        },
      },
      'name-not-found',
    ],
    [
      'the look-up fails',
      { resolve: () => Promise.reject(new GatewayError('name-lookup-failed')) },
      'name-lookup-failed',
    ],
    ['there is no address', { resolve: async () => [] }, 'name-not-found'],
    ['the look-up takes too long', { dialMs: 5, resolve: () => new Promise(() => {}) }, 'name-lookup-failed'],
    [
      'every address is refused',
      {
        judge: () => {
          throw new GatewayError('destination-denied')
        },
      },
      'destination-denied',
    ],
    ['its own address is of another family', { localAddress: '::1' }, 'network-unreachable'],
  ])('says why, where %s', async (_, options, code) => {
    expect(await codeOf(outbound(options).dial(request('a.test', 9)))).toBe(code)
  })

  it('says that the host is none', async () => {
    expect(await codeOf(outbound().dial(request('127.0.0.256', 9)))).toBe('bad-request')
  })

  it('stops when the client has gone, in the look-up and in the dial', async () => {
    const gone = new AbortController()
    const looking = outbound({ resolve: () => new Promise(() => {}) }).dial(request('a.test', 9, gone.signal))
    await using origin = await startRawOrigin()
    const dialling = outbound().dial(request('127.0.0.1', origin.port, gone.signal))
    gone.abort()
    expect([await codeOf(looking), await codeOf(dialling)]).toEqual(['stream-cancelled', 'stream-cancelled'])
  })

  it('leaves no listener on the signal, which outlives many dials', async () => {
    await using origin = await startRawOrigin()
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
    const { stream } = await outbound().dial(request('a.test', origin.port, signal))
    await codeOf(outbound({ resolve: async () => [] }).dial(request('a.test', origin.port, signal)))
    expect(listening).toBe(0)
    stream.destroy()
  })
})
