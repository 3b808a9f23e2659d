// What must leave the client's machine outside each mode while the mode is on, and why: the real difference between a
// proxy and a VPN.
import type { CoverageTraffic } from '../model.ts'

export interface CoverageExpectation {
  readonly outside: boolean
  readonly reason: string
}

type Row = Readonly<Record<CoverageTraffic, CoverageExpectation>>

const outside = (reason: string): CoverageExpectation => ({ outside: true, reason })
const inside = (reason: string): CoverageExpectation => ({ outside: false, reason })

const UNTOLD = outside('an application that was not told of the mode does not use it')
const TOLD = inside('the application was told of the mode, and uses it')
const NO_MODE = outside('there is no mode to go through')
const GATEWAY_ASKS = inside('the application hands the name on, and the gateway looks it up')
const NO_DATAGRAMS = outside('an HTTP proxy carries streams only, so datagrams go their own way')

const HTTP: Row = {
  application: TOLD,
  'client-dns': GATEWAY_ASKS,
  udp: NO_DATAGRAMS,
  'untold-application': UNTOLD,
}

const SOCKS: Row = {
  application: TOLD,
  'client-dns': GATEWAY_ASKS,
  udp: inside('a SOCKS5 association carries datagrams, for an application that asks for one'),
  'untold-application': UNTOLD,
}

export const COVERAGE = {
  direct: { application: NO_MODE, 'client-dns': NO_MODE, udp: NO_MODE, 'untold-application': NO_MODE },
  'http-proxy': HTTP,
  'https-proxy': HTTP,
  'socks-proxy': SOCKS,
  socks5: {
    ...SOCKS,
    'client-dns': outside('the application looks the name up by itself, and sends the address'),
  },
  tunnel: SOCKS,
} as const
