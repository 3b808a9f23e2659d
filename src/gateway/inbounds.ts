// The inbounds of a config, and what a reload makes of them. Rules: an inbound whose settings are the same stays; one
// whose settings changed hands its listening socket to the one that takes its place, so that no connection is refused
// in between; and who is connected already goes on under the settings that it came with, but for who vouches for clients:
// the authority and the list that are in force at its place judge it too.
import { isDeepStrictEqual } from 'node:util'
import { parseListenAddress } from '../config/address.ts'
import type { Config, InboundConfig } from '../config/schema.ts'
import { INBOUND_LIMITS } from '../inbound/context.ts'
import { Inbound, modeOf, type InboundHost } from '../inbound/inbound.ts'
import type { ClientTrust } from '../pki/judge.ts'
import type { Mode } from '../protocol/request.ts'
import type { ServerCredentials } from '../transport/tls-server.ts'
import { listenerEnds } from './certificate-ends.ts'
import { canReadRevocationList, readClientTrust, readServerCertificate } from './credentials.ts'
import type { Watched } from './file-watch.ts'

/** A list that is being written is whole again by then; after it nobody can be said to be good. */
const UNREADABLE_MS = 10_000

export interface InboundsOptions {
  /** What an inbound is told of the rest. */
  readonly host: (inbound: InboundConfig, config: Config) => InboundHost
  readonly modeOf: (inbound: InboundConfig, config: Config) => Mode
  /** Errors: `file-unusable`, `pki-invalid`. */
  readonly credentials: (inbound: InboundConfig) => ServerCredentials | undefined
  /** The same trust with the latest revocation lists that are known. */
  readonly latest: (trust: ClientTrust) => ClientTrust
}

/** A reload that has been read and may be put in force, or not. */
export interface Prepared {
  commit(): void
  /** Closes what was opened for it. */
  abandon(): void
}

/** Another config that may be put in force, or not. */
export interface PreparedReload {
  commit(): Promise<void>
  abandon(): void
}

interface Entry {
  readonly inbound: Inbound
  readonly mode: Mode
  /** All that makes another inbound of it where it changes. */
  readonly settings: unknown
  /** Took its listener. */
  heir?: Entry
}

export class Inbounds {
  #options: InboundsOptions
  #entries: readonly Entry[] = []
  #retired = new Set<Entry>()

  constructor(options: InboundsOptions) {
    this.#options = options
  }

  /** In the order of the config. */
  get current(): ReadonlyArray<{ readonly inbound: Inbound; readonly mode: Mode }> {
    return this.#entries
  }

  /**
   * Reads all that `config` says of inbounds, and listens where nothing listens yet. Errors: `file-unusable`,
   * `pki-invalid`, `address-in-use`, `listen-failed`; nothing is changed then.
   */
  async prepare(config: Config): Promise<Prepared> {
    const places = config.inbounds.map((inbound) => ({
      settings: this.#settingsOf(inbound, config),
      inbound,
    }))
    const old = new Map<number, Entry>()
    const unclaimed = new Set(this.#entries)
    const claim = (fits: (entry: Entry, place: (typeof places)[number]) => boolean): void =>
      places.forEach((place, index) => {
        if (old.has(index)) return
        const found = [...unclaimed].find((entry) => fits(entry, place))
        if (found === undefined) return
        old.set(index, found)
        unclaimed.delete(found)
      })
    claim((entry, { settings }) => isDeepStrictEqual(entry.settings, settings))
    claim((entry, { inbound }) => standsAt(entry.inbound, inbound))

    const fresh: Inbound[] = []
    const steps: Array<() => void> = []
    const abandon = (): void => fresh.forEach((inbound) => inbound.destroy())
    try {
      const entries: Entry[] = []
      for (const [index, { inbound: wanted, settings }] of places.entries()) {
        const credentials = this.#credentialsOf(wanted)
        const known = old.get(index)
        if (known !== undefined && isDeepStrictEqual(known.settings, settings)) {
          if (credentials !== undefined) steps.push(() => known.inbound.reload(credentials))
          entries.push(known)
          continue
        }
        const mode = this.#options.modeOf(wanted, config)
        const inbound = new Inbound(wanted, mode, credentials, this.#options.host(wanted, config))
        fresh.push(inbound)
        const heir: Entry = { inbound, mode, settings }
        entries.push(heir)
        if (known === undefined) continue
        steps.push(() => {
          inbound.takeListener(known.inbound)
          known.heir = heir
        })
        unclaimed.add(known)
      }
      for (const [index, { inbound }] of entries.entries()) if (!old.has(index)) await inbound.listen()
      return {
        commit: () => {
          for (const step of steps) step()
          this.#entries = entries
          for (const entry of unclaimed) this.#retire(entry)
          for (const entry of this.#retired) this.#readAgain(entry)
        },
        abandon,
      }
    } catch (thrown) {
      abandon()
      throw thrown
    }
  }

  /** What TLS reads again by itself, of those that are no more too: their connections end with their certificates. */
  get watched(): Watched[] {
    return [...this.#entries, ...this.#retired].flatMap((entry) => watchedOf(entry, this.#options.latest))
  }

  /** What clients are judged by now. */
  get trusts(): ClientTrust[] {
    return this.#all().flatMap(({ credentials }) => credentials?.clientTrust ?? [])
  }

  /** Later revocation lists than before are known: they hold from now on, for who is here too. */
  judgeAgain(): void {
    for (const inbound of this.#all()) {
      const trust = inbound.credentials?.clientTrust
      if (trust !== undefined) inbound.reload({ clientTrust: this.#options.latest(trust) })
    }
  }

  /** Goes on accepting, and lets no HTTP connection be kept for another request. */
  leave(): void {
    for (const inbound of this.#all()) inbound.leave()
  }

  /** Stops accepting, and tells tunnel clients to go elsewhere. Open connections go on. */
  drain(): void {
    for (const inbound of this.#all()) inbound.drain()
  }

  /** Ends the connections that are left when no request is. */
  endIdle(): void {
    for (const inbound of this.#all()) inbound.endIdle()
  }

  /** Ends everything at once. */
  destroy(): void {
    for (const inbound of this.#all()) inbound.destroy()
  }

  #all(): Inbound[] {
    return [...this.#entries, ...this.#retired].map(({ inbound }) => inbound)
  }

  #retire(entry: Entry): void {
    this.#retired.add(entry)
    entry.inbound.retire(() => this.#retired.delete(entry))
  }

  /** What lives on of an inbound that is no more ends with its certificate, as everywhere. */
  #readAgain(entry: Entry): void {
    const { inbound } = entry
    const judge = judgeOf(entry)
    if (judge !== entry) return inbound.reload({ clientTrust: judge.inbound.credentials?.clientTrust })
    try {
      const credentials = this.#credentialsOf(inbound.config)
      if (credentials !== undefined) inbound.reload(credentials)
    } catch {
      // Its files may be gone with it: then it goes on with what it has.
    }
  }

  #credentialsOf(inbound: InboundConfig): ServerCredentials | undefined {
    const credentials = this.#options.credentials(inbound)
    if (credentials?.clientTrust === undefined) return credentials
    return { ...credentials, clientTrust: this.#options.latest(credentials.clientTrust) }
  }

  #settingsOf(inbound: InboundConfig, config: Config): unknown {
    const limits = INBOUND_LIMITS.map((name) => config.limits[name])
    return { inbound, limits, mode: this.#options.modeOf(inbound, config) }
  }
}

/** Any free port is the same place only for the same kind of listener. */
function standsAt(inbound: Inbound, { listen, type }: InboundConfig): boolean {
  const where = parseListenAddress(listen)
  if (where?.port === 0) return inbound.config.listen === listen && inbound.config.type === type
  return where?.host === inbound.address.address && where.port === inbound.address.port
}

/** Whose authority and list hold for its clients: of the last that took its listener and asks for certificates too. */
function judgeOf(entry: Entry): Entry {
  let judge = entry
  for (let { heir } = entry; heir !== undefined; { heir } = heir)
    if (asksForCertificate(entry) && asksForCertificate(heir)) judge = heir
  return judge
}

function asksForCertificate({ inbound }: Entry): boolean {
  return inbound.config.tls?.clientAuthority !== undefined
}

/** A key comes before its certificate, and a list must not wait for either: they are read apart. */
function watchedOf(entry: Entry, latest: InboundsOptions['latest']): Watched[] {
  const { inbound } = entry
  const { tls } = inbound.config
  if (tls === undefined || inbound.credentials === undefined) return []
  const certificate: Watched = {
    part: 'certificate',
    files: [tls.certificate, tls.key],
    read: () => inbound.reload(readServerCertificate(tls)),
    ends: () => (inbound.credentials === undefined ? [] : listenerEnds(inbound.credentials)),
  }
  const { tls: trusted = tls } = judgeOf(entry).inbound.config
  if (trusted.clientAuthority === undefined) return [certificate]
  let distrust: NodeJS.Timeout | undefined
  const close = (): void => {
    clearTimeout(distrust)
    distrust = undefined
  }
  const authority: Watched = {
    part: 'client-authority',
    files: [
      trusted.clientAuthority,
      ...(trusted.revocationList === undefined ? [] : [trusted.revocationList]),
    ],
    read: () => {
      const { clientTrust, ...more } = readClientTrust(trusted)
      inbound.reload({ ...more, ...(clientTrust && { clientTrust: latest(clientTrust) }) })
      close()
    },
    failed: () => {
      if (!canReadRevocationList(trusted))
        distrust ??= setTimeout(() => inbound.distrust(), UNREADABLE_MS).unref()
    },
    close,
  }
  return [certificate, authority]
}

export function inboundMode(inbound: InboundConfig, { outbounds }: Config): Mode {
  return modeOf(inbound, outbounds[inbound.outbound]?.type === 'tunnel')
}
