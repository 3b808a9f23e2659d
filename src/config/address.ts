// Listen addresses and CIDRs as a person writes them in a config file. Pure.
import ipaddr from 'ipaddr.js'

/** Reads `127.0.0.1:3128`, `[::1]:3128`, `localhost:0`, `*:3128`; undefined where it is none of these. */
export function parseListenAddress(text: string): { host: string; port: number } | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text)
  if (match === null) return undefined
  const [, bracketed, bare, digits] = match
  const port = Number(digits)
  if (port > 65535) return undefined
  if (bracketed !== undefined) return ipaddr.IPv6.isValid(bracketed) ? { host: bracketed, port } : undefined
  if (bare === '*') return { host: '::', port }
  if (bare === 'localhost') return { host: '127.0.0.1', port }
  if (bare === undefined || !ipaddr.IPv4.isValidFourPartDecimal(bare)) return undefined
  return { host: bare, port }
}

/** True for an address that only this machine can reach. */
export function isLoopback(host: string): boolean {
  if (!ipaddr.isValid(host)) return false
  return ipaddr.process(host).range() === 'loopback'
}

export type Cidr = readonly [ipaddr.IPv4 | ipaddr.IPv6, number]

/** Reads `10.0.0.0/8`, `::1/128` or a single address; undefined where it is none of these. */
export function parseCidr(text: string): Cidr | undefined {
  if (ipaddr.isValidCIDR(text)) return ipaddr.parseCIDR(text)
  if (!ipaddr.IPv4.isValidFourPartDecimal(text) && !ipaddr.IPv6.isValid(text)) return undefined
  const address = ipaddr.parse(text)
  return [address, address.kind() === 'ipv4' ? 32 : 128]
}

/** True where `address` (an IP literal; IPv4 mapped into IPv6 counts as IPv4) is in one of the ranges. */
export function inCidrs(address: string, cidrs: readonly Cidr[]): boolean {
  const bare = address.includes('%') ? address.slice(0, address.indexOf('%')) : address
  if (!ipaddr.isValid(bare)) return false
  const parsed = ipaddr.process(bare)
  return cidrs.some(([base, bits]) => parsed.kind() === base.kind() && parsed.match(base, bits))
}

/** Ports from `first` to `last`, both included. */
export interface PortRange {
  readonly first: number
  readonly last: number
}

/** Reads `40000-40999` or a single port; undefined where it is neither, holds port 0 or runs backwards. */
export function parsePortRange(text: string): PortRange | undefined {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text)
  if (match === null) return undefined
  const first = Number(match[1])
  const last = Number(match[2] ?? match[1])
  return first >= 1 && first <= last && last <= 65_535 ? { first, last } : undefined
}
