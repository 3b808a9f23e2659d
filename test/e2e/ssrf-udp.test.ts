// The SSRF table (test/support/ssrf-table.ts) by datagrams, at a gateway's own listener and through the tunnel: each row is
// dropped for its reason, and nothing is sent for it. The proof is twofold, as for TCP (ssrf.test.ts): every datagram of
// this process is seen, and a socket on the port that all rows ask for, on every address of this machine, gets none.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { watchDatagrams, type DialWatch } from '../support/dial-watch.ts'
import { sum } from '../support/metrics.ts'
import { SocksUdpClient, UdpPeer } from '../support/socks-udp-client.ts'
import {
  PUBLIC_ADDRESS,
  SSRF_EGRESS,
  ssrfBytes,
  ssrfResolve,
  SSRF_ROWS,
  type SsrfRow,
} from '../support/ssrf-table.ts'
import { startStack, type Stack } from '../support/stacks.ts'

/** As many datagrams as may wait; names come one at a time, for the sake of those whose answers change. */
const AT_ONCE = 32
const REASONS = {
  'destination-denied': ['destination-denied'],
  'bad-request': ['malformed'],
  // Public at one look-up and private at the next.
  'connection-refused': ['unreachable', 'destination-denied'],
} as const satisfies Record<SsrfRow['code'], readonly string[]>

let stack: Stack
let listener: UdpPeer
let watch: DialWatch

beforeAll(async () => {
  stack = await startStack({
    egress: SSRF_EGRESS,
    resolve: ssrfResolve(),
    limits: { udpDestinations: 65_536 },
  })
  listener = await UdpPeer.bind('::')
  watch = watchDatagrams(listener.port)
})
afterAll(async () => {
  watch[Symbol.dispose]()
  await listener[Symbol.asyncDispose]()
  await stack[Symbol.asyncDispose]()
})

/** The row as a name, and as bytes where it is an address. */
function datagramsOf(row: SsrfRow): Buffer[] {
  const port = Buffer.from([listener.port >> 8, listener.port & 0xff])
  const name = Buffer.from(row.host, 'latin1')
  const forms = [Buffer.concat([Buffer.from([0, 0, 0, 3, name.length]), name, port])]
  const bytes = ssrfBytes(row)
  if (bytes !== undefined)
    forms.push(Buffer.concat([Buffer.from([0, 0, 0, bytes.length === 4 ? 1 : 4]), Buffer.from(bytes), port]))
  return forms
}

const dropped = async (reasons: readonly string[]): Promise<number> => {
  const metrics = await stack.gatewayMetrics()
  const each = [...new Set(reasons)].map((reason) =>
    sum(metrics, 'sightline_datagrams_dropped_total', { reason }),
  )
  return each.reduce((one, other) => one + other, 0)
}

/** Resolves once so many have been dropped. */
async function untilDropped(reasons: readonly string[], count: number): Promise<void> {
  for (let turns = 0; (await dropped(reasons)) < count; turns += 1) {
    expect(turns, 'a row is not dropped for its reason').toBeLessThan(2_000)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

describe('the SSRF table', () => {
  it.each([
    ['SOCKS5 UDP ASSOCIATE', 'mixed'],
    ['SOCKS5 UDP ASSOCIATE through the tunnel', 'client'],
  ] as const)('is dropped, and nothing sent: %s', { timeout: 60_000 }, async (_name, way) => {
    watch.dialled.length = 0
    await using client = await SocksUdpClient.associate(stack.ports[way])
    let sent = 0
    const all = await dropped(Object.values(REASONS).flat())
    for (const code of ['destination-denied', 'bad-request', 'connection-refused'] as const) {
      const rows = SSRF_ROWS.filter((row) => row.code === code)
      const isName = ({ host }: SsrfRow): boolean => /[g-z]/i.test(host) && !/^0x/i.test(host)
      const before = await dropped(REASONS[code])
      let count = 0
      for (const [group, size] of [
        [rows.filter((row) => !isName(row)), AT_ONCE],
        [rows.filter(isName), 1],
      ] as const) {
        const datagrams = group.flatMap(datagramsOf)
        for (let at = 0; at < datagrams.length; at += size) {
          const batch = datagrams.slice(at, at + size)
          for (const bytes of batch) await client.sendRaw(bytes)
          count += batch.length
          await untilDropped(REASONS[code], before + count)
        }
      }
      sent += count
    }
    expect(sent).toBeGreaterThan(800)
    // No row for another reason than its own.
    expect((await dropped(Object.values(REASONS).flat())) - all).toBe(sent)
    expect([...new Set(watch.dialled)]).toEqual([`${PUBLIC_ADDRESS} ${listener.port}`])
    expect(listener.received).toEqual([])
    expect(await dropped(['queue-full', 'no-credit', 'name-not-resolved', 'too-many-destinations'])).toBe(0)
  })

  it('would have been seen by the socket and by the watch', async () => {
    watch.dialled.length = 0
    await using peer = await UdpPeer.bind()
    await peer.send('x', { address: '127.0.0.1', port: listener.port })
    await listener.receive()
    expect(watch.dialled).toEqual([`127.0.0.1 ${listener.port}`])
  })
})
