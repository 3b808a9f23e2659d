// What every test of a real client stands on: a stack, origins with and without TLS, and the gateway's own counters
// before and after. Rule: a transfer counts as proved only where the gateway has counted its stream and its bytes in
// the mode that it was meant to go by, and in no other.
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { expect } from 'vitest'
import { eventually } from '../../support/eventually.ts'
import { samples, sum } from '../../support/metrics.ts'
import { bytesHash, startOrigin, type Origin } from '../../support/origin.ts'
import { startStack, type ListenerName, type Stack, type StackOptions } from '../../support/stacks.ts'

/** What each client fetches, so that no head could be taken for it. */
const SIZE = 200_000

export type Listener = Exclude<ListenerName, 'tunnel' | 'mixed'>

/** The mode under which the gateway counts what comes through a listener. */
const MODE: Readonly<Record<Listener, string>> = {
  http: 'http-proxy',
  socks: 'socks-proxy',
  https: 'https-proxy',
  client: 'tunnel',
}

export interface ClientStack extends AsyncDisposable {
  readonly stack: Stack
  readonly origin: Origin
  readonly secureOrigin: Origin
  /** `SIZE` known bytes, over http and over https. */
  readonly url: string
  readonly secureUrl: string
  readonly caFile: string
}

/** Starts a stack with two origins. */
export async function startClientStack(options?: StackOptions): Promise<ClientStack> {
  const stack = await startStack(options)
  const origin = await startOrigin()
  const tls = {
    cert: await readFile(stack.pki.file('origin.crt')),
    key: await readFile(stack.pki.file('origin.key')),
  }
  const secureOrigin = await startOrigin({ tls })
  return {
    stack,
    origin,
    secureOrigin,
    url: `http://localhost:${origin.port}/bytes/${SIZE}`,
    secureUrl: `https://localhost:${secureOrigin.port}/bytes/${SIZE}`,
    caFile: stack.pki.file('ca.crt'),
    [Symbol.asyncDispose]: async () => {
      await origin.close()
      await secureOrigin.close()
      await stack[Symbol.asyncDispose]()
    },
  }
}

export interface Proof {
  /** Streams that the gateway must have counted, at least. */
  readonly streams?: number
  /** Bytes that it must have counted towards the client, at least. */
  readonly downBytes?: number
  /** `any` for browsers, which break off what they opened in advance, and ask for sites of their own. */
  readonly outcome?: 'ok' | 'any'
  readonly refusals?: 'none' | 'any'
}

/**
 * Runs a client and holds the gateway's counters against it: in the listener's mode streams have ended well and bytes
 * were relayed, and nothing came by any other mode.
 */
export async function counted<T>(
  stack: Stack,
  listener: Listener,
  client: () => Promise<T>,
  { streams = 1, downBytes = SIZE, outcome = 'ok', refusals = 'none' }: Proof = {},
): Promise<T> {
  const before = await stack.gatewayMetrics()
  const result = await client()
  const mode = { mode: MODE[listener] }
  await eventually(async () => {
    const now = await stack.gatewayMetrics()
    const more = (name: string, labels: Record<string, string>): number =>
      sum(now, name, labels) - sum(before, name, labels)
    expect(sum(now, 'sightline_streams', mode)).toBe(0)
    const ended = outcome === 'ok' ? { ...mode, outcome } : mode
    expect(more('sightline_streams_total', ended)).toBeGreaterThanOrEqual(streams)
    expect(more('sightline_relayed_bytes_total', { ...mode, direction: 'down' })).toBeGreaterThanOrEqual(
      downBytes,
    )
    expect(more('sightline_relayed_bytes_total', { ...mode, direction: 'up' })).toBeGreaterThan(0)
    const elsewhere = (text: string): number[] =>
      samples(text, 'sightline_streams_total')
        .filter(({ labels }) => labels['mode'] !== mode.mode)
        .map(({ value }) => value)
    expect(elsewhere(now)).toEqual(elsewhere(before))
    if (refusals === 'none') {
      expect(sum(now, 'sightline_refusals_total')).toBe(sum(before, 'sightline_refusals_total'))
    }
  })
  return result
}

/** Fails unless these are the bytes that `/bytes/SIZE` sends. */
export function expectWhole(bytes: Buffer): void {
  expect(bytes.length).toBe(SIZE)
  expect(createHash('sha256').update(bytes).digest('hex')).toBe(bytesHash(SIZE))
}
