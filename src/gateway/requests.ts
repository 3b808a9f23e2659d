// From a request to the outbound that serves it, with the limits of who asks, the rules for where, and the count of
// what is under way. Rules: the config in force is asked at each request, so that a reload holds from the next one on;
// and a request whose outbound a reload took away is refused with `shutting-down`.
import type { Config, InboundConfig } from '../config/schema.ts'
import { GatewayError } from '../errors.ts'
import type { Outbound } from '../outbound/outbound.ts'
import { TunnelOutbound } from '../outbound/tunnel.ts'
import { UpstreamOutbound } from '../outbound/upstream.ts'
import type { AssociationRequest } from '../protocol/association.ts'
import type { AskedRequest, ProxyRequest } from '../protocol/request.ts'
import { IdleSweep } from '../transport/deadline.ts'
import type { AfterRush } from './after-rush.ts'
import { Associations, serveAssociation, type AssociationHost } from './association.ts'
import { refuse, serveRequest, streamFacts, type ConnectionHost } from './connection.ts'
import type { EgressGuard } from './egress-guard.ts'
import { InFlight } from './in-flight.ts'
import type { IdentityLimits } from './limits.ts'
import type { Observer } from './observer.ts'
import type { Outbounds } from './outbounds.ts'
import type { Places } from './places.ts'

export interface RequestsOptions {
  readonly config: Config
  readonly observer: Observer
  readonly egress: EgressGuard
  readonly outbounds: Outbounds
  readonly identities: IdentityLimits
  readonly newReference: () => string
  readonly afterRush: AfterRush
  readonly places: Places | undefined
}

export class Requests {
  /** In force; a reload puts another here. */
  config: Config
  /** Set at the very end: nothing is served any more. */
  ended = false
  readonly inFlight = new InFlight()
  #options: RequestsOptions
  #sweep = new IdleSweep()
  #associations: Associations

  constructor(options: RequestsOptions) {
    this.#options = options
    this.config = options.config
    this.#associations = new Associations(options.places)
  }

  async serve(request: ProxyRequest, inbound: InboundConfig): Promise<void> {
    const held = this.#options.outbounds.hold(inbound.outbound)
    if (held === undefined) return this.#refuseWithout(request)
    const { outbound } = held
    const host: ConnectionHost = {
      ...this.#host(request, inbound),
      authorize: () => {
        this.#authorize(request, outbound)
        host.stay.enter()
        return host.stay.place
      },
    }
    this.#options.afterRush.entered()
    await this.inFlight.during(() => serveRequest(request, outbound, host))
    this.#options.afterRush.left()
    host.stay.leave()
    held.release()
  }

  async associate(request: AssociationRequest, inbound: InboundConfig): Promise<void> {
    const { egress, outbounds } = this.#options
    const held = outbounds.hold(inbound.outbound)
    if (held === undefined) return this.#refuseWithout(request)
    // What egress mode `report` has told of this association: each rule once, not each datagram.
    const told = new Set<string>()
    const { mode, identity } = request
    const host: AssociationHost = {
      ...this.#host(request, inbound),
      associations: this.#associations,
      authorize: () => {
        this.#refuseAtTheEnd()
        host.stay.enter()
        return host.stay.place
      },
      judge: (destination, address) => {
        const asked = { mode, identity, destination }
        if (address === undefined) egress.name(asked, false, told)
        else egress.address(asked, address, this.#associations.relays, told)
      },
      judgeAnswer: (destination, addresses) =>
        egress.answer({ mode, identity, destination }, addresses, told),
    }
    await this.inFlight.during(() => serveAssociation(request, held.outbound, host))
    host.stay.leave()
    held.release()
  }

  /** Another request on a connection that stands: judged and counted as if it were the first. */
  again(request: AskedRequest, inbound: InboundConfig): void {
    const outbound = this.#options.outbounds.find(inbound.outbound)
    if (outbound === undefined) throw new GatewayError('shutting-down')
    this.#authorize(request, outbound)
    if (this.config.exposure === 'off' || request.mode === 'tunnel-client') return
    this.#options.observer.streamRead({ ...streamFacts(request), firstBytes: 'http' })
  }

  #host(
    { identity }: Pick<ProxyRequest, 'identity'>,
    { auth }: InboundConfig,
  ): Omit<ConnectionHost, 'authorize'> {
    const { observer, identities, newReference } = this.#options
    return {
      observer,
      limits: this.config.limits,
      sweep: this.#sweep,
      exposure: this.config.exposure !== 'off',
      stay: identities.stay(identity, auth?.users),
      newReference,
    }
  }

  #refuseWithout(request: Pick<ProxyRequest, 'mode' | 'identity' | 'refuse'>): void {
    refuse(request, new GatewayError('shutting-down'), this.#options)
  }

  /**
   * The egress rules are the law of whoever dials: a tunnel's are judged at its gateway. An upstream proxy is asked for
   * what this gateway's users may reach, so they are judged here, by name where it is the upstream that looks it up.
   */
  #authorize(request: AskedRequest, outbound: Outbound): void {
    this.#refuseAtTheEnd()
    if (outbound instanceof TunnelOutbound) return
    this.#options.egress.name(request, outbound instanceof UpstreamOutbound && outbound.handsNamesOn)
  }

  #refuseAtTheEnd(): void {
    if (this.ended) throw new GatewayError('shutting-down')
  }
}
