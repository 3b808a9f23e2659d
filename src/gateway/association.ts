// The life of one association, the datagram's counterpart of connection.ts:
//     authorize(request) -> open(way) -> confirm(client) -> relay(datagrams)
// and the judgement of each destination along the way. Rule: it is confirmed or refused exactly once, it ends with
// the connection that asked for it, and what was opened for it is always closed.
import { GatewayError, toGatewayError, type ErrorCode } from '../errors.ts'
import type { Outbound, UdpEvents, UdpOutbound } from '../outbound/outbound.ts'
import type {
  AssociationClient,
  AssociationEvents,
  AssociationRequest,
  DatagramDrop,
} from '../protocol/association.ts'
import type { BoundAddress, Destination } from '../protocol/request.ts'
import type { IdleSweep, Watched } from '../transport/deadline.ts'
import { EgressRefusal, refuse, streamFacts, type ConnectionHost } from './connection.ts'
import { DatagramMeter } from './datagram-meter.ts'
import type { Places, Soon } from './places.ts'

/** What is open in this process. */
export class Associations {
  #open = 0
  #places: Places | undefined

  /** `places`: where other workers count too. */
  constructor(places?: Places) {
    this.#places = places
  }

  /** Takes a place, or gives false where there are `most` already. */
  enter(most: number): Soon<boolean> {
    if (this.#places !== undefined) return this.#places.enterAssociation()
    if (this.#open >= most) return false
    this.#open += 1
    return true
  }

  leave(): void {
    if (this.#places === undefined) this.#open -= 1
    else this.#places.leaveAssociation()
  }

  /** Where clients send their datagrams: no destination for anybody. */
  readonly relays = new Set<BoundAddress>()
}

export interface AssociationHost extends Pick<
  ConnectionHost,
  'observer' | 'limits' | 'exposure' | 'newReference' | 'stay'
> {
  readonly sweep: Pick<IdleSweep, 'nowMs' | 'watch' | 'unwatch'>
  readonly associations: Associations
  /** Throws where nothing new is taken. */
  authorize(): Promise<void> | undefined
  /** Throws `destination-denied` where the egress rules refuse the name, or the address of a name. */
  readonly judge: (destination: Destination, address?: string) => void
  /** Throws `destination-denied` where they refuse a name for what its addresses are together. */
  readonly judgeAnswer: (destination: Destination, addresses: readonly string[]) => void
}

/** Serves one association to its end. Never rejects. */
export async function serveAssociation(
  request: AssociationRequest,
  outbound: Outbound,
  host: AssociationHost,
): Promise<void> {
  const { associations, observer, limits } = host
  const { mode, identity, signal } = request
  const startedMs = performance.now()
  const association = new Association(request, host)
  let entered = false
  try {
    const authorized = host.authorize()
    if (authorized !== undefined) await authorized
    if (outbound.openUdp === undefined) throw new GatewayError('command-unsupported', { side: 'client' })
    const place = associations.enter(limits.udpAssociations)
    entered = typeof place === 'boolean' ? place : await place
    if (!entered) throw new GatewayError('too-many-associations', { side: 'client' })
    const { judge, judgeAnswer } = host
    const asked = { mode, identity, signal, maxDestinations: limits.udpDestinations, judge, judgeAnswer }
    association.upstream = await outbound.openUdp(asked, association.fromUpstream)
    if (signal.aborted) throw new GatewayError('stream-cancelled', { side: 'client' })
    association.client = await request.confirm(association.fromClient)
  } catch (thrown) {
    if (entered) associations.leave()
    association.upstream?.close()
    return refuse(request, toGatewayError(thrown, 'self'), host)
  }
  const { relay } = association.client
  if (relay !== undefined) associations.relays.add(relay)
  observer.streamOpened(mode, identity)
  host.stay.opened()
  const outcome = await association.run()
  if (relay !== undefined) associations.relays.delete(relay)
  associations.leave()
  observer.streamClosed({ mode, identity, outcome, durationMs: performance.now() - startedMs })
}

class Association implements Watched {
  upstream: UdpOutbound | undefined
  client: AssociationClient | undefined
  readonly idleMs: number
  lastActivityMs = 0
  #request: AssociationRequest
  #host: AssociationHost
  #ended = Promise.withResolvers<{ readonly outcome: ErrorCode | 'ok'; readonly error?: GatewayError }>()
  #meter: DatagramMeter
  #toldRules = new Set<string>()

  constructor(request: AssociationRequest, host: AssociationHost) {
    this.#request = request
    this.#host = host
    this.idleMs = host.limits.udpIdleMs
    const { mode, identity, sentCredential, signal } = request
    const facts = (destination: string) =>
      streamFacts({ mode, identity, sentCredential, signal, destination: { host: destination, port: 0 } })
    this.#meter = new DatagramMeter(host.observer, mode, facts, host.exposure && mode !== 'tunnel-client')
  }

  /** Resolves with how it ended, when everything is closed. */
  async run(): Promise<ErrorCode | 'ok'> {
    const { sweep, stay } = this.#host
    const over = (): void => this.#end(toGatewayError(stay.over?.reason, 'self'))
    stay.over?.addEventListener('abort', over)
    if (stay.over?.aborted === true) over()
    this.lastActivityMs = sweep.nowMs
    sweep.watch(this)
    const { outcome, error } = await this.#ended.promise
    sweep.unwatch(this)
    this.upstream?.close()
    this.client?.close(error)
    return outcome
  }

  expired(): void {
    this.#end(new GatewayError('idle-timeout'))
  }

  readonly fromClient: AssociationEvents = {
    message: (destination, payload) => {
      this.lastActivityMs = this.#host.sweep.nowMs
      if (!this.#host.stay.spendDatagram('up', payload.length)) return this.#dropped('rate-limited')
      this.upstream?.send(destination, payload)
    },
    dropped: (reason) => this.#dropped(reason),
    closed: (outcome) => this.#ended.resolve({ outcome }),
  }

  readonly fromUpstream: UdpEvents = {
    sent: ({ host, port }, payload) => this.#meter.sent(host, port, payload),
    message: (from, payload) => {
      this.lastActivityMs = this.#host.sweep.nowMs
      if (!this.#host.stay.spendDatagram('down', payload.length)) return this.#dropped('rate-limited')
      this.#meter.received(from.port, payload)
      this.client?.send(from, payload)
    },
    dropped: (reason, failure) => this.#dropped(reason, failure),
    closed: (failure) => this.#end(failure),
  }

  #end(error: GatewayError): void {
    this.#ended.resolve({ outcome: error.code, error })
  }

  /** Every drop is counted; a rule that refuses is told once, so that no client can fill the log. */
  #dropped(reason: DatagramDrop, failure?: GatewayError): void {
    const { observer, newReference } = this.#host
    const { mode, identity } = this.#request
    observer.datagramDropped(mode, reason)
    if (failure?.code !== 'destination-denied') return
    const denial = failure.cause instanceof EgressRefusal ? failure.cause : undefined
    const rule = denial?.rule ?? ''
    if (this.#toldRules.has(rule)) return
    this.#toldRules.add(rule)
    const reference = failure.reference ?? newReference()
    observer.refused({
      mode,
      code: failure.code,
      reference,
      identity,
      rule: denial?.rule,
      reason: denial?.reason,
    })
  }
}
