// What was sent held against what arrived. Pure. Rule: what a proxy has to take out or rewrite (hop-by-hop fields, RFC
// 9110 section 7.6.1) is no change.
import net from 'node:net'
import type { Measured } from './measure.ts'
import type { Header } from './probe-report.ts'

export interface HeaderChanges {
  readonly added: readonly Header[]
  readonly removed: readonly string[]
  readonly changed: ReadonlyArray<{ readonly name: string; readonly from: string; readonly to: string }>
}

const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/** Fields that proxies put there to say who is behind them. */
const ABOUT_THE_CLIENT = new Set([
  'client-ip',
  'cf-connecting-ip',
  'fastly-client-ip',
  'forwarded',
  'true-client-ip',
  'x-client-ip',
  'x-cluster-client-ip',
  'x-forwarded',
  'x-forwarded-for',
  'x-forwarded-user',
  'x-original-forwarded-for',
  'x-originating-ip',
  'x-proxyuser-ip',
  'x-real-ip',
  'x-remote-addr',
  'x-remote-ip',
])

/** The client's: of this machine, and as the probe sees it when asked beside the proxy. */
export function knownAddresses({ local, beside }: Pick<Measured, 'local' | 'beside'>): string[] {
  return [...new Set([local, ...(beside?.arrived.map(({ from }) => from.address) ?? [])])]
}

/** Names without regard to case; a field that stands more than once is one with all its values. */
export function headerChanges(sent: readonly Header[], arrived: readonly Header[]): HeaderChanges {
  const before = byName(sent)
  const after = byName(arrived)
  return {
    added: [...after].filter(([name]) => !before.has(name)),
    removed: [...before.keys()].filter((name) => !after.has(name)),
    changed: [...before].flatMap(([name, from]) => {
      const to = after.get(name)
      return to === undefined || to === from ? [] : [{ name, from, to }]
    }),
  }
}

/**
 * Whether a header tells the site who you are: it holds one of `known` (your addresses, your proxy user), or is one that
 * names the client and holds an address.
 */
export function namesTheClient([name, value]: Header, known: readonly string[]): boolean {
  if (known.some((word) => word !== '' && holdsWord(value, word))) return true
  return ABOUT_THE_CLIENT.has(name) && addressesIn(value).length > 0
}

function holdsWord(value: string, word: string): boolean {
  const words = value.toLowerCase().split(/[^a-z0-9.:_@-]+/)
  return words.includes(word.toLowerCase()) || addressesIn(value).includes(word)
}

function addressesIn(value: string): string[] {
  return value
    .split(/[\s,;="[\]]+/)
    .flatMap((word) => [word, word.replace(/:\d+$/, '')])
    .filter((word) => net.isIP(word) !== 0)
}

function byName(headers: readonly Header[]): Map<string, string> {
  const names = new Map<string, string>()
  for (const [written, value] of headers) {
    const name = written.toLowerCase()
    if (HOP_BY_HOP.has(name)) continue
    const before = names.get(name)
    names.set(name, before === undefined ? value : `${before}, ${value}`)
  }
  return names
}
