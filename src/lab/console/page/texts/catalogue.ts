// The shape of a catalogue of texts. Rule: numbers go through functions, so that each language forms its own plural.
import type { CanaryField } from '../../../canary.ts'
import type { CellValue, CoverageTraffic, Evidence, LabMode, RecordSource, Scheme } from '../../../model.ts'
import type { Information, Observer } from '../../../../policy/exposure.ts'
import type { Measured, OrderProblem } from '../../wire.ts'

export const SECTIONS = ['watch', 'matrix', 'cost', 'gateway', 'lessons'] as const
export type Section = (typeof SECTIONS)[number]
export type Party = Observer | 'client'
export type Theme = 'auto' | 'light' | 'dark'
type Shown = Exclude<CellValue, 'not-measured'>

export interface Catalogue {
  /** In itself. */
  readonly language: string
  /** Shown where no native speaker has reviewed it yet; '' where one has. */
  readonly notReviewed: string
  readonly title: string
  readonly tagline: string
  readonly skip: string
  readonly sections: Readonly<Record<Section, string>>
  readonly sectionsLabel: string
  readonly languageLabel: string
  readonly themes: Readonly<Record<Theme, string>>
  readonly offline: string
  readonly modes: Readonly<Record<LabMode, string>>
  readonly parties: Readonly<Record<Party, string>>
  readonly partyIs: Readonly<Record<Party, string>>
  readonly information: Readonly<Record<Information, string>>
  readonly values: Readonly<Record<CellValue, string>>
  readonly valueIs: Readonly<Record<CellValue, string>>
  readonly form: {
    readonly heading: string
    readonly left: string
    readonly right: string
    readonly variant: string
    readonly variants: Readonly<Record<'socks5' | 'socks5h', string>>
    readonly scheme: string
    readonly schemes: Readonly<Record<Scheme, string>>
    readonly address: string
    readonly message: string
    readonly cookie: string
    readonly password: string
    readonly send: string
    readonly sending: string
    readonly again: string
    readonly stop: string
  }
  /** The lab's pages by the first label of their names. */
  readonly pages: Readonly<Record<string, string>>
  readonly sample: { readonly message: string; readonly cookie: string; readonly password: string }
  readonly problems: Readonly<Record<OrderProblem['problem'] | 'busy' | 'failed', string>>
  readonly line: {
    readonly label: string
    readonly open: string
    readonly sealed: string
    readonly nothing: string
    readonly noGateway: string
    readonly asked: string
    readonly notAsked: string
  }
  readonly pane: {
    readonly sees: (mode: string, party: string) => string
    readonly knows: string
    readonly waiting: string
    readonly noParty: string
    readonly verdict: Readonly<Record<CellValue, string>>
    readonly red: string
  }
  readonly know: Readonly<Record<Information, Readonly<Record<Shown, string>>>>
  readonly bytes: {
    readonly heading: string
    readonly text: string
    readonly hex: string
    readonly show: string
    readonly up: string
    readonly down: string
    readonly passed: string
    readonly opened: string
    readonly sealed: (bytes: number) => string
    readonly binary: (bytes: number) => string
    readonly size: (bytes: number) => string
    readonly cut: (bytes: number) => string
    readonly more: string
    readonly none: string
  }
  readonly words: Readonly<Record<CanaryField, string>>
  readonly matrix: {
    readonly waiting: string
    readonly legend: string
    readonly observer: string
    readonly information: string
    readonly way: string
    readonly changed: string
    /** Said of an observer for whom the second way changes nothing. */
    readonly unchanged: Readonly<Record<Observer, string>>
    /** For how many of all pieces of information the second way makes a difference. */
    readonly changes: (changed: number, all: number) => string
    readonly together: string
    readonly joined: (names: readonly string[]) => string
    readonly oneKnows: (names: readonly string[]) => string
    readonly togetherKnow: string
    readonly nobodyKnows: string
  }
  readonly coverage: {
    readonly heading: string
    readonly unknown: string
    readonly inside: string
    readonly outside: string
    readonly traffic: Readonly<Record<CoverageTraffic, string>>
    /** What no single measurement says. */
    readonly facts: readonly string[]
  }
  /** What the gateway did write down, beside what its operator could read. */
  readonly recorded: {
    readonly heading: string
    readonly noGateway: string
    readonly searched: (bytes: number) => string
    readonly nothing: string
    readonly found: (times: number) => string
    readonly sources: Readonly<Record<RecordSource, string>>
    /** Why nothing found does not mean that nothing could be. */
    readonly but: string
    /** What a find means. */
    readonly kept: string
  }
  readonly evidence: {
    readonly close: string
    readonly none: string
    readonly files: string
    readonly withKeys: string
    readonly capture: string
    readonly frame: string
    readonly offset: string
    readonly length: string
    readonly encoding: string
    readonly field: string
    readonly layer: string
    readonly kinds: Readonly<Record<Evidence['kind'], string>>
  }
  readonly cost: {
    readonly heading: string
    readonly says: string
    readonly measure: string
    readonly measuring: string
    readonly failed: string
    readonly latency: string
    readonly speed: string
    readonly hides: string
    readonly hidden: (information: readonly string[]) => string
    /** What no row of the table says. */
    readonly operator: string
    /** When, where and how the bench's figures came to be. */
    readonly bench: (when: Date, machine: Measured['machine']) => string
    /** A figure with its lowest and highest. */
    readonly range: (figure: string, low: string, high: string) => string
    readonly ms: (value: number) => string
    readonly mbs: (value: number) => string
  }
  readonly gateway: {
    readonly heading: string
    readonly says: string
    readonly none: string
    readonly addresses: string
    readonly settings: string
    readonly tries: string
    readonly health: string
    readonly ready: string
    readonly notReady: string
    readonly uptime: string
    readonly seconds: (value: number) => string
    readonly connections: string
    readonly streams: string
    readonly sessions: string
    readonly tunnel: string
    readonly up: string
    readonly down: string
    readonly bytes: string
    readonly memory: string
    readonly number: (value: number) => string
    readonly size: (bytes: number) => string
    readonly readable: string
    readonly readableBy: Readonly<Record<'yes' | 'no' | 'unknown', string>>
    readonly exposed: string
    readonly errors: string
    readonly nothing: string
    readonly certificates: string
    readonly roles: Readonly<Record<string, string>>
    readonly days: (value: number) => string
    readonly unreadable: string
  }
  readonly lessons: {
    readonly heading: string
    readonly says: string
    readonly minutes: (value: number) => string
    readonly list: ReadonlyArray<{
      readonly title: string
      readonly about: string
      readonly minutes: number
      readonly file: string
    }>
    readonly own: string
    readonly ownSays: string
  }
}
