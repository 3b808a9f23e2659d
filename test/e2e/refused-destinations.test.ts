// A destination that cannot be had: each client reads why in its own protocol, through every listener and through
// the tunnel, and the connection to the proxy ends in order behind the answer.
import net from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { GatewayError } from '../../src/errors.ts'
import { sum } from '../support/metrics.ts'
import { startStack, type Stack } from '../support/stacks.ts'
import { ask, HTTP_WAYS, reach, WAYS, type Way } from '../support/through.ts'

let stack: Stack
let closedPort: number
beforeAll(async () => {
  stack = await startStack({
    egress: { allow: ['127.0.0.0/8'], deny: ['127.0.0.9', 'denied.test'] },
    resolve: async (name) => {
      if (name === 'denied-address.test') return ['127.0.0.9']
      if (name === 'mixed-address.test') return ['127.0.0.9', '10.0.0.1']
      throw new GatewayError(name === 'broken.test' ? 'name-lookup-failed' : 'name-not-found', {
        side: 'upstream',
      })
    },
  })
  closedPort = await freePort()
})
afterAll(() => stack[Symbol.asyncDispose]())

/** A port where nothing listens. */
async function freePort(): Promise<number> {
  const server = net.createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as net.AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

const CASES = [
  {
    what: 'an address that a rule denies',
    host: '127.0.0.9',
    socks5: 0x02,
    http: 403,
    code: 'destination-denied',
  },
  { what: 'a private address', host: '10.0.0.1', socks5: 0x02, http: 403, code: 'destination-denied' },
  {
    what: 'a name that a rule denies',
    host: 'denied.test',
    socks5: 0x02,
    http: 403,
    code: 'destination-denied',
  },
  {
    what: 'a name of a denied address',
    host: 'denied-address.test',
    socks5: 0x02,
    http: 403,
    code: 'destination-denied',
  },
  {
    what: 'a name of denied addresses only',
    host: 'mixed-address.test',
    socks5: 0x02,
    http: 403,
    code: 'destination-denied',
  },
  { what: 'a closed port', host: '127.0.0.1', socks5: 0x05, http: 502, code: 'connection-refused' },
  { what: 'an unknown name', host: 'unknown.test', socks5: 0x04, http: 502, code: 'name-not-found' },
  {
    what: 'a name that cannot be looked up',
    host: 'broken.test',
    socks5: 0x04,
    http: 502,
    code: 'name-lookup-failed',
  },
] as const

const isPossible = (way: Way, host: string): boolean => way.protocol !== 'socks4' || net.isIPv4(host)

describe('a refused destination', () => {
  it.each(
    WAYS.flatMap((way) =>
      CASES.filter(({ host }) => isPossible(way, host)).map((refusal) => ({ way, ...refusal })),
    ),
  )('$what: $way.name', async ({ way, host, socks5, http, code }) => {
    using client = await reach(stack, way.listener)
    const { reply, head } = await ask(client, way, host, closedPort)
    expect(reply).toBe({ http, socks5, socks4: 91, socks4a: 91 }[way.protocol])
    if (way.protocol === 'http') {
      expect(head).toContain(`\r\nsightline-error: ${code}\r\n`)
      expect(head).toMatch(/\r\nsightline-reference: [0-9a-f]{12}\r\n/)
    }
    expect(await client.ended()).toBe('end')
  })

  it.each(HTTP_WAYS.flatMap((way) => CASES.map((refusal) => ({ way, ...refusal }))))(
    '$what, absolute-form: $way.name',
    async ({ way, host, http, code }) => {
      using client = await reach(stack, way.listener)
      client.send(`GET http://${host}:${closedPort}/ HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
      expect(await client.ended()).toBe('end')
      expect(client.text).toMatch(
        new RegExp(`^HTTP/1\\.1 ${http} .*\\r\\nsightline-error: ${code}\\r\\n`, 's'),
      )
      expect(client.text).toMatch(
        new RegExp(`\\r\\n\\r\\nerror: .*code: ${code}; reference: [0-9a-f]{12}\\n$`),
      )
      expect(client.text).not.toContain(host)
    },
  )

  it.each(WAYS)('the gateway itself: $name', async (way) => {
    using client = await reach(stack, way.listener)
    const { reply } = await ask(client, way, '127.0.0.1', stack.ports.http)
    expect(reply).toBe({ http: 403, socks5: 0x02, socks4: 91, socks4a: 91 }[way.protocol])
  })

  it('is counted by its code, for each mode', async () => {
    const metrics = await stack.gatewayMetrics()
    for (const mode of ['http-proxy', 'https-proxy', 'socks-proxy', 'tunnel']) {
      for (const code of [
        'destination-denied',
        'connection-refused',
        'name-not-found',
        'name-lookup-failed',
      ]) {
        expect(sum(metrics, 'sightline_refusals_total', { mode, code }), `${mode} ${code}`).toBeGreaterThan(0)
      }
    }
    expect(sum(metrics, 'sightline_streams_total')).toBe(0)
  })
})
