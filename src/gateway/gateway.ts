// Composes one process from a config: outbounds, egress rules, inbounds. The creator disposes: `drain` lets open
// streams finish, `destroy` ends everything at once.
import { randomBytes } from 'node:crypto'
import { parsePortRange } from '../config/address.ts'
import type { Config, InboundConfig } from '../config/schema.ts'
import { GatewayError, toGatewayError, type ErrorCode } from '../errors.ts'
import type { InboundContext } from '../inbound/context.ts'
import { Inbound, modeOf } from '../inbound/inbound.ts'
import type { SettingsFacts } from '../inbound/settings-facts.ts'
import type { Outbound } from '../outbound/outbound.ts'
import { TunnelOutbound, type TunnelState } from '../outbound/tunnel.ts'
import { UpstreamOutbound } from '../outbound/upstream.ts'
import { parseEgressRules } from '../policy/egress.ts'
import { allowsLoopback } from '../policy/egress-upstream.ts'
import type { AssociationRequest } from '../protocol/association.ts'
import type { AskedRequest, BoundAddress, Mode, ProxyRequest } from '../protocol/request.ts'
import { IdleSweep } from '../transport/deadline.ts'
import { DnsResolver } from '../transport/dns-resolver.ts'
import { namesFrom, type Names, type Resolve } from '../transport/resolve.ts'
import { Associations, serveAssociation, type AssociationHost } from './association.ts'
import { serveRequest, streamFacts, type ConnectionHost } from './connection.ts'
import { Admission } from './admission.ts'
import { readServerCredentials } from './credentials.ts'
import { IdentityLimits } from './limits.ts'
import { EgressGuard } from './egress-guard.ts'
import type { LabHooks } from './lab-hooks.ts'
import type { Observer } from './observer.ts'
import { Outbounds } from './outbounds.ts'
import { UsersFiles } from './users-files.ts'
import { SignIns } from './users-sign-in.ts'

export interface GatewayOptions {
  readonly config: Config
  readonly observer: Observer
  readonly resolve?: Resolve
  /** Told of each tunnel's state, for a person to read; counts and logs go to the observer. */
  readonly onTunnelState?: (state: TunnelState) => void
  /** Addresses of this process that are not inbounds (admin, console): never to be reached through it. */
  readonly otherListeners?: readonly BoundAddress[]
  /** The lab's hooks. `serve`, `connect` and `up` set none of them. */
  readonly lab?: LabHooks
}

const REFERENCE_BYTES = 6

export class Gateway {
  #options: GatewayOptions
  #config: Config
  #observer: Observer
  #egress: EgressGuard
  #names: Names
  #sweep = new IdleSweep()
  #outbounds: Outbounds | undefined
  #inbounds: Inbound[] = []
  #users = UsersFiles.read([])
  #signIns = new SignIns()
  #admission: Admission
  #identities: IdentityLimits
  #requests = 0
  #associations = new Associations()
  #idle: Array<() => void> = []
  #draining = false

  private constructor(options: GatewayOptions) {
    this.#options = options
    this.#config = options.config
    this.#observer = options.observer
    this.#egress = new EgressGuard({
      policies: parseEgressRules(options.config.egress),
      observer: options.observer,
      newReference,
      ownListeners: () => [
        ...this.#inbounds.map((inbound) => inbound.address),
        ...(options.otherListeners ?? []),
      ],
    })
    this.#names = this.#newNames(options.config)
    const nowMs = (): number => performance.now()
    this.#admission = new Admission(options.config.limits, nowMs)
    this.#identities = new IdentityLimits(options.config.limits, { nowMs, epochMs: Date.now })
  }

  /** Starts every inbound and outbound, or none. Errors: `address-in-use`, `file-unusable`, `pki-invalid` … */
  static async start(options: GatewayOptions): Promise<Gateway> {
    const gateway = new Gateway(options)
    try {
      gateway.#outbounds = gateway.#openOutbounds()
      gateway.#composeInbounds()
      for (const inbound of gateway.#inbounds) await inbound.listen()
      await gateway.#outbounds.start()
      return gateway
    } catch (thrown) {
      gateway.destroy()
      throw thrown
    }
  }

  /** The bound address of each inbound, in the order of the config. */
  get addresses(): ReadonlyArray<{
    readonly config: InboundConfig
    readonly mode: Mode
    readonly address: BoundAddress
  }> {
    return this.#inbounds.map((inbound) => ({
      config: inbound.config,
      mode: this.#modeOf(inbound.config),
      address: inbound.address,
    }))
  }

  get draining(): boolean {
    return this.#draining
  }

  /**
   * Reads certificates, revocation lists, users, egress rules and DNS settings again, and forgets what names meant. A new config that is not good changes
   * nothing. Listeners and outbounds stay as they are: changing those needs a restart.
   */
  reload(config: Config): void {
    try {
      const policy = parseEgressRules(config.egress)
      const users = UsersFiles.read(usersFilesOf(config))
      const credentials = this.#inbounds.map(({ config: { tls } }) => tls && this.#serverCredentials(tls))
      const names = this.#newNames(config)
      const reloadOutbounds = this.#outbounds?.prepareReload(config)
      this.#egress.policies = policy
      this.#watchUsers(users)
      this.#names = names
      this.#inbounds.forEach((inbound, index) => {
        const fresh = credentials[index]
        if (fresh !== undefined) inbound.reload(fresh)
      })
      reloadOutbounds?.()
      this.#observer.reloaded('ok')
    } catch (thrown) {
      const error = toGatewayError(thrown, 'self', 'config-invalid')
      this.#observer.reloaded(error.code)
      throw error
    }
  }

  /** Takes nothing new, lets open requests finish for `timeoutMs`, then ends. True where all had finished. */
  async drain(timeoutMs: number): Promise<boolean> {
    this.#draining = true
    for (const inbound of this.#inbounds) inbound.drain()
    let timer: NodeJS.Timeout | undefined
    const timeout = new Promise<void>((resolve) => (timer = setTimeout(resolve, timeoutMs)))
    if (this.#requests > 0)
      await Promise.race([new Promise<void>((resolve) => this.#idle.push(resolve)), timeout])
    clearTimeout(timer)
    const finished = this.#requests === 0
    if (finished) for (const inbound of this.#inbounds) inbound.endIdle()
    this.destroy()
    return finished
  }

  /** Ends everything at once. */
  destroy(): void {
    this.#draining = true
    for (const inbound of this.#inbounds) inbound.destroy()
    this.#outbounds?.destroy()
    this.#names.destroy()
    this.#users.close()
  }

  #newNames({ dns }: Config): Names {
    const { resolve } = this.#options
    return resolve === undefined ? new DnsResolver(dns) : namesFrom(resolve)
  }

  #openOutbounds(): Outbounds {
    const { config, lab, onTunnelState } = this.#options
    return new Outbounds({
      config,
      lab,
      egress: this.#egress,
      names: () => this.#names,
      stateChanged: (state) => {
        this.#observer.tunnelState(state.state, 'error' in state ? state.error.code : undefined)
        onTunnelState?.(state)
      },
    })
  }

  #composeInbounds(): void {
    const { config, lab } = this.#options
    this.#watchUsers(UsersFiles.read(usersFilesOf(config)))
    for (const inbound of config.inbounds) {
      const credentials = inbound.tls && this.#serverCredentials(inbound.tls)
      this.#inbounds.push(
        new Inbound(inbound, this.#modeOf(inbound), credentials, {
          context: this.#context(inbound),
          entered: (mode) => this.#entered(mode),
          enteredFrom: (source) => this.#admission.enterFrom(source),
          left: (mode, source) => {
            this.#admission.leave(source)
            this.#observer.connectionClosed(mode)
          },
          sessionEntered: (identity) => this.#identities.enterSession(identity),
          sessionOpened: () => this.#observer.sessionOpened(),
          sessionLeft: (identity) => this.#identities.leaveSession(identity),
          sessionClosed: (code) => this.#observer.sessionClosed(code),
          newSessionId: () => randomBytes(16).toString('hex'),
          onKeylog: lab?.onServerKeylog,
        }),
      )
    }
  }

  #serverCredentials(
    tls: NonNullable<InboundConfig['tls']>,
  ): ReturnType<typeof readServerCredentials> | undefined {
    const isTunnel = this.#options.lab?.tunnelWithoutTls === true && tls.clientAuthority !== undefined
    return isTunnel ? undefined : readServerCredentials(tls)
  }

  #modeOf(inbound: InboundConfig): Mode {
    return modeOf(inbound, this.#outbounds?.find(inbound.outbound) instanceof TunnelOutbound)
  }

  #context(inbound: InboundConfig): InboundContext {
    const usersFile = inbound.auth?.users
    return {
      serve: (request) => this.#serve(request, inbound.outbound),
      again: (request) => this.#again(request, inbound.outbound),
      associate: (request) => this.#associate(request, inbound.outbound),
      udpPorts: inbound.udp && parsePortRange(inbound.udp.ports),
      limits: this.#config.limits,
      requiresPassword: usersFile !== undefined,
      authenticate: async (name, password, address) => {
        const users = usersFile === undefined ? undefined : this.#users.get(usersFile)
        return users && this.#signIns.authenticate(users, { name, password, address })
      },
      settings: () => this.#settingsOf(inbound),
      newReference,
      refused: (mode, code, reference) => this.#observer.refused({ mode, code, reference }),
    }
  }

  /** Only listeners that lead the same way: no client is to be sent by another outbound than the one it asked. */
  #settingsOf(config: InboundConfig): SettingsFacts {
    const same = this.#inbounds.filter((inbound) => inbound.config.outbound === config.outbound)
    const own = same.find((inbound) => inbound.config === config)
    if (own?.facts === undefined) throw new GatewayError('internal-error')
    return {
      own: own.facts,
      listeners: same.flatMap(({ facts }) => facts ?? []),
      toTunnel: this.#outbounds?.find(config.outbound) instanceof TunnelOutbound,
      servesLoopback: allowsLoopback(this.#egress.policies),
      ownsName: (name) => own.ownsName(name),
    }
  }

  #entered(mode: Mode): ErrorCode | undefined {
    const full = this.#admission.enter()
    if (full === undefined) this.#observer.connectionOpened(mode)
    return full
  }

  /** Takes the place of the users files that were read before. */
  #watchUsers(users: UsersFiles): void {
    this.#users.close()
    this.#users = users
    users.watch((outcome) => this.#observer.reloaded(outcome))
  }

  async #serve(request: ProxyRequest, outboundName: string): Promise<void> {
    const outbound = this.#outbounds?.find(outboundName)
    if (outbound === undefined) throw new GatewayError('internal-error')
    const stay = this.#identities.stay(request.identity)
    const host: ConnectionHost = {
      observer: this.#observer,
      limits: this.#config.limits,
      sweep: this.#sweep,
      exposure: this.#config.exposure !== 'off',
      stay,
      newReference,
      authorize: () => {
        this.#authorize(request, outbound)
        stay.enter()
      },
    }
    this.#requests += 1
    try {
      await serveRequest(request, outbound, host)
    } finally {
      stay.leave()
      this.#requests -= 1
      if (this.#requests === 0) for (const idle of this.#idle.splice(0)) idle()
    }
  }

  async #associate(request: AssociationRequest, outboundName: string): Promise<void> {
    const outbound = this.#outbounds?.find(outboundName)
    if (outbound === undefined) throw new GatewayError('internal-error')
    // What egress mode `report` has told of this association: each rule once, not each datagram.
    const told = new Set<string>()
    const stay = this.#identities.stay(request.identity)
    const host: AssociationHost = {
      observer: this.#observer,
      limits: this.#config.limits,
      sweep: this.#sweep,
      exposure: this.#config.exposure !== 'off',
      stay,
      newReference,
      associations: this.#associations,
      authorize: () => {
        if (this.#draining) throw new GatewayError('shutting-down')
        stay.enter()
      },
      judge: (destination, address) => {
        const asked = { mode: request.mode, identity: request.identity, signal: request.signal, destination }
        if (address === undefined) this.#egress.name(asked, false, told)
        else this.#egress.address(asked, address, this.#associations.relays, told)
      },
    }
    this.#requests += 1
    try {
      await serveAssociation(request, outbound, host)
    } finally {
      stay.leave()
      this.#requests -= 1
      if (this.#requests === 0) for (const idle of this.#idle.splice(0)) idle()
    }
  }

  /** Another request on a connection that stands: judged and counted as if it were the first. */
  #again(request: AskedRequest, outboundName: string): void {
    const outbound = this.#outbounds?.find(outboundName)
    if (outbound === undefined) throw new GatewayError('internal-error')
    this.#authorize(request, outbound)
    if (this.#config.exposure === 'off' || request.mode === 'tunnel-client') return
    this.#observer.streamRead({ ...streamFacts(request), firstBytes: 'http' })
  }

  /**
   * The egress rules are the law of whoever dials: a tunnel's are judged at its gateway. An upstream proxy is asked for
   * what this gateway's users may reach, so they are judged here, by name where it is the upstream that looks it up.
   */
  #authorize(request: AskedRequest, outbound: Outbound): void {
    if (this.#draining) throw new GatewayError('shutting-down')
    if (outbound instanceof TunnelOutbound) return
    this.#egress.name(request, outbound instanceof UpstreamOutbound && outbound.handsNamesOn)
  }
}

function newReference(): string {
  return randomBytes(REFERENCE_BYTES).toString('hex')
}

function usersFilesOf({ inbounds }: Config): string[] {
  return inbounds.flatMap((inbound) => inbound.auth?.users ?? [])
}
