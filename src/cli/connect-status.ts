// What a tunnel client says of its tunnel: a line for each change, JSON for a program, and on a terminal one more line at
// the bottom with what it carries. Rule: gateways are named, destinations never.
import { ERROR_ANSWERS, type ErrorCode, type GatewayError } from '../errors.ts'
import type { TunnelState, TunnelTraffic } from '../outbound/tunnel.ts'
import type { ServiceIo } from './io.ts'
import type { Colour } from './bottom-line.ts'

/** Codes that speak of a destination elsewhere: here it is the gateway. */
const OF_THE_GATEWAY: Partial<Record<ErrorCode, string>> = {
  'connection-refused': 'nothing listens there, or the gateway does not run',
  'connection-reset': 'the connection to the gateway was reset',
  'dial-timeout': 'the gateway did not answer in time',
  'host-unreachable': "the gateway's machine is unreachable",
  'name-lookup-failed': "the gateway's name could not be looked up",
  'name-not-found': "the gateway's name does not exist",
  'network-unreachable': 'this machine has no way to the gateway',
  'tunnel-dead': 'the gateway stopped answering',
}

export function describeError(error: GatewayError): string {
  const text = error.message === ERROR_ANSWERS[error.code].text ? OF_THE_GATEWAY[error.code] : undefined
  const reference = error.reference === undefined ? '' : `, reference ${error.reference}`
  return `${error.code} (${text ?? error.message}${reference})`
}

/** Says what becomes of the tunnel, once for each change. */
export function tellState(state: TunnelState, json: boolean, io: ServiceIo): void {
  if (state.state === 'connecting') return
  if (json) {
    const facts =
      state.state === 'up'
        ? { gateway: state.gateway, ...state.facts }
        : { code: state.error.code, reference: state.error.reference }
    return io.out(JSON.stringify({ event: 'tunnel', state: state.state, ...facts }))
  }
  if (state.state === 'up') {
    const { protocol, cipher, group } = state.facts
    return io.out(`tunnel up: ${state.gateway}, ${protocol}, ${cipher}, key exchange ${group}`)
  }
  const again =
    state.state === 'down' ? 'trying again' : 'waiting for a new certificate, which is read by itself'
  io.err(`tunnel ${state.state}: ${describeError(state.error)}; ${again}`)
}

/** Bytes that moved between two looks. */
export interface Rates {
  readonly receivedPerSecond: number
  readonly sentPerSecond: number
}

/** How fast bytes move, from one look to the next. */
export class RateMeter {
  #last: { readonly traffic: TunnelTraffic; readonly atMs: number } | undefined

  look(traffic: TunnelTraffic, atMs: number): Rates {
    const last = this.#last
    this.#last = { traffic, atMs }
    const seconds = last === undefined ? 0 : (atMs - last.atMs) / 1_000
    if (last === undefined || seconds <= 0) return { receivedPerSecond: 0, sentPerSecond: 0 }
    return {
      receivedPerSecond: Math.max(0, traffic.receivedBytes - last.traffic.receivedBytes) / seconds,
      sentPerSecond: Math.max(0, traffic.sentBytes - last.traffic.sentBytes) / seconds,
    }
  }
}

/** The line at the bottom. What does not fit into `columns` is left out, the least telling part first. */
export function statusLine(
  state: TunnelState,
  traffic: TunnelTraffic,
  rates: Rates,
  columns: number,
): { readonly text: string; readonly colour: Colour } {
  if (state.state === 'connecting') return { text: 'connecting', colour: 'yellow' }
  if (state.state !== 'up') {
    const then = state.state === 'down' ? 'trying again' : 'waiting for a new certificate'
    const colour = state.state === 'down' ? 'yellow' : 'red'
    return { text: `${state.state}  ${state.error.code}, ${then}`, colour }
  }
  const { protocol, cipher, group } = state.facts
  const streams = plural(traffic.streams, 'stream')
  const moved = `in ${rate(rates.receivedPerSecond)}, out ${rate(rates.sentPerSecond)}`
  const forms = [
    [
      state.gateway,
      `${protocol} ${group} ${cipher}`,
      `${streams} on ${plural(traffic.connections, 'connection')}`,
    ],
    [state.gateway, `${protocol} ${group}`, streams],
    [state.gateway, streams],
    [streams],
  ].map((parts) => ['up', ...parts, moved].join('  '))
  return { text: forms.find((form) => form.length < columns) ?? 'up', colour: 'green' }
}

function plural(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`
}

const UNITS = ['B/s', 'kB/s', 'MB/s', 'GB/s'] as const

function rate(bytesPerSecond: number): string {
  let value = bytesPerSecond
  let unit = 0
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1_000
    unit += 1
  }
  return `${unit === 0 || value >= 99.5 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`
}
