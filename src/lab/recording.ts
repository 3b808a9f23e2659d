// All that one run left behind: what passed on each link, who was seen where, and every party's keys. Pure data, so that
// a test can change a recording and see what becomes of it.
import type { Canaries } from './canary.ts'
import type { Endpoint } from './capture.ts'
import type { CoverageTraffic, Scenario } from './model.ts'
import type { PageLoads } from './page-loads.ts'
import type { Parties } from './parties.ts'
import type { Written } from './records.ts'
import type { Ports } from './stand-ins.ts'
import type { Recorded } from './wires.ts'

/** What else left the client while the mode was on, recorded by itself; `word` stands in it and in nothing else. */
export interface OtherTraffic {
  readonly traffic: Extract<CoverageTraffic, 'udp' | 'untold-application'>
  readonly word: string
  readonly recorded: Recorded
}

export interface Recording extends Recorded {
  readonly scenario: Scenario
  readonly canaries: Canaries
  readonly parties: Parties
  /** The name that leads to `parties.destination`. */
  readonly siteName: string
  readonly other: readonly OtherTraffic[]
  /** Pages that were loaded while the link was watched; undefined where the link seals nothing. */
  readonly pageLoads: PageLoads | undefined
  /** Requests that the gateway had to refuse: what it answered is in it. */
  readonly refusals: Recorded
  /** All that the gateway wrote while this was recorded. */
  readonly written: Written
  /** Who connected to the site, as the site's kernel reports it. */
  readonly siteClients: readonly Endpoint[]
  /** Where ports stand for parties: whose they are; undefined where each party has an address of its own. */
  readonly standsFor: Ports | undefined
  /** NSS key log lines of each party, '' where it had no TLS. */
  readonly keylogs: {
    readonly application: string
    readonly tunnelClient: string
    readonly gateway: string
    readonly site: string
  }
  /** What went wrong while it was recorded. */
  readonly problems: readonly string[]
}
