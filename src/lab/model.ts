// The words and shapes of a measurement, as `lab run --json` writes them (DESIGN section 7). Pure.
import type { Information, Observer } from '../policy/exposure.ts'

export const LAB_MODES = ['direct', 'http-proxy', 'socks-proxy', 'https-proxy', 'tunnel'] as const
export type LabMode = (typeof LAB_MODES)[number]
export type Scheme = 'http' | 'https'
/**
 * How a mode is used. socks5: the client looks the name up; socks5h: the proxy does. tls12: the client speaks TLS 1.2
 * to the site. udp: datagrams in place of a stream. null: none of these.
 */
export type Variant = 'socks5' | 'socks5h' | 'tls12' | 'udp' | null

/** What there is to measure of one mode. */
export interface Scenario {
  readonly mode: LabMode
  readonly variant: Variant
  readonly scheme: Scheme
}

/**
 * clear: readable at that vantage. sealed: there, encrypted, and found by decrypting. inferable: not there, but a
 * named procedure recovers it. absent: not there, nor in what was decrypted.
 */
export type CellValue = 'clear' | 'sealed' | 'inferable' | 'absent' | 'not-measured'

export interface Evidence {
  /** `bytes`: found in what was captured. `endpoint`: an address that the kernel reports. `procedure`: was run. */
  readonly kind: 'bytes' | 'endpoint' | 'procedure'
  readonly capture: string
  /** Packet of the capture file, from 1; null where the bytes have no place of their own (handshake messages). */
  readonly frame: number | null
  /** Place within the packet, in bytes from its Ethernet header on. */
  readonly offset: number | null
  /** In bytes of that direction's stream: what goes on in a later packet goes on behind that packet's headers. */
  readonly length: number
  readonly encoding: string
  readonly field: string
  readonly excerpt: string
  /** What had to be taken off to read it, from the outside in. */
  readonly layer: string
}

export interface Cell {
  readonly observer: Observer
  readonly information: Information
  readonly value: CellValue
  readonly reason?: string
  readonly evidence: readonly Evidence[]
}

/**
 * Traffic of the client's machine while a mode is on. application: what was told of the mode. client-dns: its look-ups
 * by the client's own resolver. udp: its datagrams. untold-application: one that was not told.
 */
export const COVERAGE_TRAFFIC = ['application', 'client-dns', 'udp', 'untold-application'] as const
export type CoverageTraffic = (typeof COVERAGE_TRAFFIC)[number]

/** A procedure that was run on a capture, and how often it was right where chance would be right in `chance` of all. */
export interface Procedure {
  readonly name: 'page-of-20'
  readonly right: number
  readonly of: number
  readonly chance: number
}

/** Whether that traffic left the client beside the mode. */
export interface Coverage {
  readonly traffic: CoverageTraffic
  readonly outside: boolean
  /** How it was found to leave outside; empty where nothing did. */
  readonly evidence: readonly Evidence[]
}

/** What a gateway writes and says: its log, at each level by itself, and what it answers. */
export const RECORD_SOURCES = [
  'log-debug',
  'log-info',
  'log-warn',
  'log-error',
  'metrics',
  'admin',
  'error-answers',
] as const
export type RecordSource = (typeof RECORD_SOURCES)[number]

/** What the gateway did record of a run, beside what its operator could see: `found` is expected to be empty. */
export interface RecordAudit {
  readonly searched: ReadonlyArray<{ readonly source: RecordSource; readonly bytes: number }>
  readonly found: ReadonlyArray<{
    readonly source: RecordSource
    readonly information: Information
    /** Name of the canary, or `client-address` and the like. */
    readonly field: string
    readonly encoding: string
    readonly excerpt: string
  }>
}

export interface LabRun extends Scenario {
  readonly cells: readonly Cell[]
  readonly coverage: readonly Coverage[]
  readonly recorded: RecordAudit
  /** What was worked out from the sealed link alone; empty where nothing was tried. */
  readonly procedures: readonly Procedure[]
  readonly controls: { readonly negative: 'passed' | 'failed'; readonly positive: 'passed' | 'failed' }
  /** What a control found wrong, and where cells differ from the truth table; empty where all is well. */
  readonly findings: readonly string[]
}

export interface LabResult {
  readonly version: 1
  readonly seed: string
  readonly runs: readonly LabRun[]
  /** What stands for something else in this measurement; empty where each party has an address of its own. */
  readonly standIns: readonly string[]
  readonly agreesWithTruthTable: boolean
}

/** `socks-proxy (socks5h), https` */
export function runName(run: Scenario): string {
  return `${run.mode}${run.variant === null ? '' : ` (${run.variant})`}, ${run.scheme}`
}
