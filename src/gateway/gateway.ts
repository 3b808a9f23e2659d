// Composes one process from a config: outbounds, egress rules, inbounds; and puts another config in its place, whole or
// not at all. The creator disposes: `drain` lets open streams finish, `destroy` ends everything at once.
import { randomBytes } from 'node:crypto'
import { parsePortRange } from '../config/address.ts'
import type { Config, InboundConfig } from '../config/schema.ts'
import { GatewayError, toGatewayError, type ErrorCode } from '../errors.ts'
import type { InboundContext } from '../inbound/context.ts'
import type { InboundHost } from '../inbound/inbound.ts'
import type { SettingsFacts } from '../inbound/settings-facts.ts'
import { TunnelOutbound, type TunnelState, type TunnelTraffic } from '../outbound/tunnel.ts'
import { parseEgressRules } from '../policy/egress.ts'
import { allowsLoopback } from '../policy/egress-upstream.ts'
import type { BoundAddress, Mode } from '../protocol/request.ts'
import { DnsResolver } from '../transport/dns-resolver.ts'
import { namesFrom, SYSTEM_CLOCK, type Names, type Resolve } from '../transport/resolve.ts'
import { ageMs } from '../transport/source.ts'
import { Admission } from './admission.ts'
import { AfterRush, collectGarbage } from './after-rush.ts'
import { filesOf, usersFilesOf, type Read } from './config-files.ts'
import { readServerCredentials } from './credentials.ts'
import { EndReport } from './end-report.ts'
import { EgressGuard } from './egress-guard.ts'
import { FileWatch, lookAtAll, type Watched, type WatchedPart } from './file-watch.ts'
import { inboundMode, Inbounds, type PreparedReload } from './inbounds.ts'
import type { LabHooks } from './lab-hooks.ts'
import { Ledger, type LedgerOptions } from './ledger.ts'
import { IdentityLimits } from './limits.ts'
import type { GatewayState, Observer } from './observer.ts'
import { Outbounds } from './outbounds.ts'
import type { Among, Places, Soon } from './places.ts'
import { newReference, ticketKeys } from './references.ts'
import { Requests } from './requests.ts'
import { UsersFiles } from './users-files.ts'
import { Shared } from './shared.ts'
import type { Users } from './users.ts'
import { joinDelays, SignIns } from './users-sign-in.ts'

export interface GatewayOptions {
  readonly config: Config
  readonly observer: Observer
  readonly resolve?: Resolve
  /** Told of each tunnel's state, for a person to read; counts and logs go to the observer. */
  readonly onTunnelState?: (state: TunnelState) => void
  /** Told why files that had changed were not taken, for a person to read; counts and logs go to the observer. */
  readonly onFilesRefused?: (error: GatewayError) => void
  /** Addresses of this process that are not inbounds (admin, console): never to be reached through it. */
  readonly otherListeners?: () => readonly BoundAddress[]
  /** Where this is one of several workers. */
  readonly among?: Among | undefined
  /** The lab's hooks. `serve`, `connect` and `up` set none of them. */
  readonly lab?: LabHooks
}

export class Gateway {
  #options: GatewayOptions
  #observer: Observer
  #egress: EgressGuard
  #names: Names
  #outbounds: Outbounds
  #inbounds: Inbounds
  #shared: Shared
  #users = UsersFiles.read([])
  #signIns = new SignIns(undefined, () =>
    joinDelays(this.#options.among?.places.signIns, this.#shared.signIns),
  )
  #files: FileWatch
  #ends: EndReport
  #admission: Admission
  #ledger: Ledger
  #places: Admission | Places
  #identities: IdentityLimits
  #requests: Requests
  #afterRush = new AfterRush(SYSTEM_CLOCK, collectGarbage)
  #reloading: Promise<unknown> = Promise.resolve()
  #state: GatewayState = 'serving'

  private constructor(options: GatewayOptions) {
    const { config, observer, lab, onTunnelState, otherListeners } = options
    this.#options = options
    this.#observer = observer
    this.#egress = new EgressGuard({
      policies: parseEgressRules(config.egress),
      observer,
      newReference,
      ownListeners: () => [
        ...this.#inbounds.current.map(({ inbound }) => inbound.address),
        ...(otherListeners?.() ?? []),
      ],
    })
    this.#files = new FileWatch((part, error) => this.#reread(part, error))
    this.#ends = new EndReport(observer, () => this.#files.parts.flatMap((part) => part.ends?.() ?? []))
    this.#names = this.#newNames(config)
    const places = options.among?.places
    const nowMs = (): number => performance.now()
    this.#admission = new Admission(config.limits, nowMs)
    this.#places = places ?? this.#admission
    this.#shared = new Shared({
      observer,
      trusts: () => this.#inbounds.trusts,
      listsChanged: () => {
        this.#inbounds.judgeAgain()
        this.#ends.look()
      },
      counter: () => this.#identities,
    })
    const openStore = options.among?.openUsage
    const counted: LedgerOptions['counted'] = (use) => this.#shared.counted(use)
    this.#ledger = new Ledger({ observer, epochMs: Date.now, counted, openStore })
    const clocks = { nowMs, epochMs: Date.now }
    this.#identities = new IdentityLimits(config.limits, clocks, this.#shared.others, this.#ledger, places)
    this.#outbounds = new Outbounds({
      lab,
      egress: this.#egress,
      names: () => this.#names,
      stateChanged: (state) => {
        observer.tunnelState(state.state, 'error' in state ? state.error.code : undefined)
        onTunnelState?.(state)
      },
    })
    this.#requests = new Requests({
      config,
      observer,
      egress: this.#egress,
      outbounds: this.#outbounds,
      identities: this.#identities,
      newReference,
      afterRush: this.#afterRush,
      places,
    })
    this.#inbounds = new Inbounds({
      modeOf: inboundMode,
      credentials: ({ tls }) => tls && this.#serverCredentials(tls),
      latest: (trust) => this.#shared.latest(trust),
      host: (inbound, { limits }) => this.#inboundHost(inbound, limits),
    })
  }

  /** Starts every inbound and outbound, or none. Errors: `address-in-use`, `file-unusable`, `pki-invalid` … */
  static async start(options: GatewayOptions): Promise<Gateway> {
    const gateway = new Gateway(options)
    try {
      await (await gateway.prepare(options.config)).commit()
      options.observer.stateChanged('serving')
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
    return this.#inbounds.current.map(({ inbound, mode }) => ({
      config: inbound.config,
      mode,
      address: inbound.address,
    }))
  }

  get tunnelTraffic(): TunnelTraffic {
    return this.#outbounds.tunnelTraffic
  }

  /** True from the moment that it is to stop: who routes to it should route elsewhere. */
  get draining(): boolean {
    return this.#state !== 'serving'
  }

  /** It serves, wants more, and has what its config says it needs for that. */
  get ready(): boolean {
    return !this.draining && this.#shared.isReady
  }

  /**
   * Puts another config in force, all of it, without ending a connection: listeners are opened and closed, and certificates,
   * lists and users read again. Where something is wrong with it nothing is changed. Errors: as at the start.
   */
  reload(config: Config): Promise<void> {
    const reloaded = this.#reloading.then(async () => {
      try {
        await (await this.prepare(config)).commit()
        this.#observer.reloaded('ok')
      } catch (thrown) {
        const error = toGatewayError(thrown, 'self', 'config-invalid')
        this.#observer.reloaded(error.code)
        throw error
      }
    })
    this.#reloading = reloaded.catch(() => {})
    return reloaded
  }

  /**
   * Says that it is leaving and serves on for `delayMs`; then takes nothing new, lets open requests finish for `timeoutMs`, and
   * ends. True where all had finished.
   */
  async drain(timeoutMs: number, delayMs = 0): Promise<boolean> {
    if (delayMs > 0) {
      this.#enter('leaving')
      this.#inbounds.leave()
      await new Promise<void>((resolve) => setTimeout(resolve, delayMs))
    }
    this.#inbounds.drain()
    this.#enter('draining')
    const finished = await this.#requests.inFlight.over(timeoutMs)
    if (finished) this.#inbounds.endIdle()
    this.#ledger.write()
    await this.#shared.flush()
    this.destroy()
    return finished
  }

  /** Ends everything at once. */
  destroy(): void {
    this.#requests.ended = true
    this.#state = 'draining'
    this.#inbounds.destroy()
    this.#outbounds.destroy()
    this.#names.destroy()
    this.#files.close()
    this.#ends.close()
    this.#shared.close()
    this.#ledger.close()
    this.#afterRush.destroy()
  }

  #enter(state: GatewayState): void {
    this.#state = state
    this.#observer.stateChanged(state)
  }

  /** All of `reload` that can fail, for whoever has others to ask before it is put in force. Not while another is under way. */
  async prepare(config: Config): Promise<PreparedReload> {
    const policies = parseEgressRules(config.egress)
    const looks = lookAtAll(filesOf(config))
    const users = UsersFiles.read(usersFilesOf(config))
    const prepared = [this.#outbounds.prepare(config)]
    try {
      // Before a listener of a start: nobody is let in by a list that another replica has a later one of.
      prepared.push(await this.#shared.prepare(config))
      prepared.push(this.#ledger.prepare(config.usage))
      prepared.push(await this.#inbounds.prepare(config))
      if (this.#state === 'draining') throw new GatewayError('shutting-down')
    } catch (thrown) {
      for (const part of prepared) part.abandon()
      throw thrown
    }
    return {
      commit: () => this.#commit(config, { policies, looks, users, prepared }),
      abandon: () => prepared.forEach((part) => part.abandon()),
    }
  }

  async #commit(config: Config, { policies, looks, users, prepared }: Read): Promise<void> {
    this.#names = this.#newNames(config)
    this.#requests.config = config
    this.#egress.policies = policies
    this.#replaceUsers(users)
    this.#admission.reload(config.limits)
    for (const part of prepared) part.commit()
    this.#identities.reload(config.limits)
    if (config.state !== undefined) this.#inbounds.judgeAgain()
    const parts = [...this.#watchedUsers(), ...this.#inbounds.watched, ...this.#outbounds.watched]
    this.#files.watch(parts, config.watchFiles ? looks : undefined)
    this.#ends.look()
    await this.#outbounds.start()
  }

  #newNames({ dns }: Config): Names {
    const { resolve } = this.#options
    return resolve === undefined ? new DnsResolver(dns) : namesFrom(resolve)
  }

  #inboundHost(inbound: InboundConfig, limits: Config['limits']): InboundHost {
    const { among } = this.#options
    return {
      context: this.#context(inbound, limits),
      entered: (mode, source) => this.#entered(mode, source),
      enteredFrom: (source) => this.#places.enterFrom(source),
      leftSource: (source) => this.#places.leaveFrom(source),
      left: (mode, source) => {
        this.#places.leave(source)
        this.#afterRush.left()
        this.#observer.connectionClosed(mode)
      },
      sessionEntered: (identity) => this.#identities.enterSession(identity),
      sessionOpened: (identity) => this.#observer.sessionOpened(identity),
      sessionLeft: (identity) => this.#identities.leaveSession(identity),
      sessionClosed: (code) => this.#observer.sessionClosed(code),
      ticketKeys: (config) => among && ticketKeys(among.ticketSecret, config),
      newSessionId: () => randomBytes(16).toString('hex'),
      onKeylog: this.#options.lab?.onServerKeylog,
      tlsVersion: this.#options.lab?.tunnelInTls12 === true ? 'TLSv1.2' : undefined,
    }
  }

  #serverCredentials(
    tls: NonNullable<InboundConfig['tls']>,
  ): ReturnType<typeof readServerCredentials> | undefined {
    const isTunnel = this.#options.lab?.tunnelWithoutTls === true && tls.clientAuthority !== undefined
    return isTunnel ? undefined : readServerCredentials(tls)
  }

  #context(inbound: InboundConfig, limits: Config['limits']): InboundContext {
    const usersFile = inbound.auth?.users
    return {
      serve: (request) => this.#requests.serve(request, inbound),
      again: (request) => this.#requests.again(request, inbound),
      associate: (request) => this.#requests.associate(request, inbound),
      udpPorts: inbound.udp && parsePortRange(inbound.udp.ports),
      limits,
      requiresPassword: usersFile !== undefined,
      authenticate: async (name, password, address) => {
        const users = usersFile === undefined ? undefined : this.#users.get(usersFile)
        if (usersFile === undefined || users === undefined) return undefined
        const identity = await this.#signIns.authenticate(users, { name, password, address })
        // The check takes its time, in which the user may have been removed.
        return this.#users.fileNow(usersFile, name, users) === undefined ? undefined : identity
      },
      settings: () => this.#settingsOf(inbound),
      newReference,
      handshaken: (mode, connection) => {
        const durationMs = ageMs(connection)
        if (durationMs !== undefined) this.#observer.handshaken(mode, durationMs)
      },
      underWay: (over) => void this.#requests.inFlight.during(() => over),
      refused: (mode, code, reference) => this.#observer.refused({ mode, code, reference }),
    }
  }

  /** Only listeners that lead the same way: no client is to be sent by another outbound than the one it asked. */
  #settingsOf(config: InboundConfig): SettingsFacts {
    const same = this.#inbounds.current
      .map(({ inbound }) => inbound)
      .filter((inbound) => inbound.config.outbound === config.outbound)
    const own = same.find((inbound) => inbound.config === config)
    if (own?.facts === undefined) throw new GatewayError('internal-error')
    return {
      own: own.facts,
      listeners: same.flatMap(({ facts }) => facts ?? []),
      toTunnel: this.#outbounds.find(config.outbound) instanceof TunnelOutbound,
      servesLoopback: allowsLoopback(this.#egress.policies),
      ownsName: (name) => own.ownsName(name),
    }
  }

  #entered(mode: Mode, source: string | undefined): Soon<ErrorCode | undefined> {
    const full = this.#places.enter(source)
    if (full instanceof Promise) return full.then((code) => this.#told(mode, code))
    return this.#told(mode, full)
  }

  #told(mode: Mode, full: ErrorCode | undefined): ErrorCode | undefined {
    if (full !== undefined) return full
    this.#afterRush.entered()
    this.#requests.inFlight.arrived()
    this.#observer.connectionOpened(mode)
    return undefined
  }

  /** Who is not known any more loses what is open. */
  #replaceUsers(users: UsersFiles): void {
    const before = this.#users
    this.#users = users
    for (const file of before.files) this.#judgeUsers(file, before.get(file))
  }

  #judgeUsers(file: string, before: Users | undefined): void {
    if (before === undefined) return
    this.#identities.judgeUsers(file, (name) => this.#users.fileNow(file, name, before))
  }

  #watchedUsers(): Watched[] {
    return this.#users.files.map((file) => ({
      part: 'users',
      files: [file],
      read: () => {
        const before = this.#users.get(file)
        this.#users.readAgain(file)
        this.#judgeUsers(file, before)
      },
    }))
  }

  #reread(part: WatchedPart, error: GatewayError | undefined): void {
    this.#observer.filesReloaded(part, error?.code ?? 'ok')
    if (error !== undefined) this.#options.onFilesRefused?.(error)
    this.#ends.look()
  }
}
