// The life of one request: the file to open first. An inbound has done the handshake; what follows reads
//     authorize(request) -> dial(route) -> confirm(upstream) -> relay(client, upstream)
// Rule: a request is confirmed or refused exactly once, and what was dialled is always disposed of.
import type { Limits } from '../config/schema.ts'
import { GatewayError, toGatewayError } from '../errors.ts'
import type { Outbound } from '../outbound/outbound.ts'
import { normalizeHost } from '../policy/egress.ts'
import type { StreamFacts } from '../policy/exposure.ts'
import type { AskedRequest, BoundAddress, ProxyRequest } from '../protocol/request.ts'
import { abort } from '../transport/abort.ts'
import type { IdleSweep } from '../transport/deadline.ts'
import { ExposureMeter, linkIsEncrypted } from './exposure-meter.ts'
import type { Observer } from './observer.ts'
import type { Stay } from './limits.ts'
import { relay } from './relay.ts'

export interface ConnectionHost {
  readonly observer: Observer
  readonly limits: Limits
  readonly sweep: IdleSweep
  readonly exposure: boolean
  /** The request's part in the limits of its identity. */
  readonly stay: Stay
  newReference(): string
  /**
   * Throws `destination-denied` where the egress rules refuse the name, `bad-request` where it is none, and the codes
   * of limits.ts where its identity has no room left.
   */
  authorize(request: ProxyRequest): Promise<void> | undefined
}

/** Serves one request from its authorization to its last byte. Never rejects. */
export async function serveRequest(
  request: ProxyRequest,
  outbound: Outbound,
  host: ConnectionHost,
): Promise<void> {
  const { observer, stay } = host
  const { mode, identity } = request
  const startedMs = performance.now()
  let upstream
  try {
    const authorized = host.authorize(request)
    if (authorized !== undefined) await authorized
    upstream = await outbound.dial(request)
    if (request.signal.aborted) {
      abort(upstream.stream)
      throw new GatewayError('stream-cancelled', { side: 'client' })
    }
  } catch (thrown) {
    return refuse(request, toGatewayError(thrown, 'upstream'), host)
  }
  observer.dialled(mode, performance.now() - startedMs)

  const client = request.confirm(shownAddress(upstream.bound))
  observer.streamOpened(mode, identity)
  stay.opened()
  const look = host.exposure && mode !== 'tunnel-client'
  const meter = new ExposureMeter(
    observer,
    { ...streamFacts(request), lookedUp: upstream.lookedUp === true },
    look,
  )
  const brokenOff = await relay(client, upstream.stream, {
    sweep: host.sweep,
    idleMs: host.limits.idleMs,
    moved: (direction, chunk) => {
      meter.moved(direction, chunk)
      const restMs = stay.spend(direction, chunk.length)
      if (restMs > 0) observer.shaped(mode, direction, restMs)
      return restMs
    },
    over: stay.over,
  })
  meter.end()
  observer.streamClosed({
    mode,
    identity,
    outcome: brokenOff?.code ?? 'ok',
    durationMs: performance.now() - startedMs,
  })
}

/** Counts, logs and answers a refusal, all three with one reference. */
export function refuse(
  request: Pick<ProxyRequest, 'mode' | 'identity' | 'refuse'>,
  error: GatewayError,
  host: Pick<ConnectionHost, 'observer' | 'newReference'>,
): void {
  const reference = error.reference ?? host.newReference()
  const denial = error.cause instanceof EgressRefusal ? error.cause : undefined
  host.observer.refused({
    mode: request.mode,
    code: error.code,
    reference,
    identity: request.identity,
    rule: denial?.rule,
    reason: denial?.reason,
  })
  request.refuse(error, reference)
}

/** What a stream's observers can be told from, before its first bytes. */
export function streamFacts(request: AskedRequest): Omit<StreamFacts, 'firstBytes'> {
  const { mode, destination, sentCredential } = request
  const namedByClient = normalizeHost(destination.host).kind === 'name'
  return { mode, linkEncrypted: linkIsEncrypted(mode), namedByClient, credential: sentCredential }
}

/** Why the egress rules refused; travels as the cause of `destination-denied`, and only ever to the log. */
export class EgressRefusal extends Error {
  readonly rule: string
  readonly reason: string

  constructor(rule: string, reason: string) {
    super(`${rule}: ${reason}`)
    this.rule = rule
    this.reason = reason
  }
}

/** SOCKS4 and OPENED have room for an IP address only; an upstream that is none of ours to show is all zeros. */
function shownAddress(bound: BoundAddress): BoundAddress {
  return bound.address === '' ? { address: '0.0.0.0', port: 0 } : bound
}
