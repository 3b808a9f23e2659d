// SOCKS upstreams that are played byte by byte: what they are asked, and what is made of each answer.
import { describe, expect, it } from 'vitest'
import { GatewayError } from '../../src/errors.ts'
import type { DialRequest } from '../../src/outbound/outbound.ts'
import {
  failureOf,
  GRANTED_4,
  GRANTED_5,
  PASSWORD,
  playSocks5,
  request,
  upstream,
} from '../support/upstream-peer.ts'
import { startRawOrigin } from '../support/wire.ts'

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
    [84, 'upstream-unavailable'],
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
