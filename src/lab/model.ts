// The words and shapes of a measurement, as `lab run --json` writes them (DESIGN section 7). Pure.
import type { Information, Observer } from '../policy/exposure.ts'

export const LAB_MODES = ['direct', 'http-proxy', 'socks-proxy', 'tunnel'] as const
export type LabMode = (typeof LAB_MODES)[number]
export type Scheme = 'http' | 'https'
export type Variant = 'socks5' | 'socks5h' | null

/**
 * clear: readable at that vantage. sealed: there, encrypted, and found by decrypting. inferable: not there, but a
 * named procedure recovers it. absent: not there, nor in what was decrypted.
 */
export type CellValue = 'clear' | 'sealed' | 'inferable' | 'absent' | 'not-measured'

export interface Evidence {
  /** `bytes`: found in what was captured. `endpoint`: an address that the kernel reports. `procedure`: was run. */
  readonly kind: 'bytes' | 'endpoint' | 'procedure'
  readonly capture: string
  /** From 1 within the capture; null where the bytes have no place of their own (handshake messages). */
  readonly frame: number | null
  /** Place within the frame, in bytes. */
  readonly offset: number | null
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

export interface LabRun {
  readonly mode: LabMode
  readonly variant: Variant
  readonly scheme: Scheme
  readonly cells: readonly Cell[]
  readonly coverage: readonly never[]
  readonly controls: { readonly negative: 'passed' | 'failed'; readonly positive: 'passed' | 'failed' }
  /** What a control found wrong, and where cells differ from the truth table; empty where all is well. */
  readonly findings: readonly string[]
}

export interface LabResult {
  readonly version: 1
  readonly seed: string
  readonly runs: readonly LabRun[]
  readonly agreesWithTruthTable: boolean
}

/** `socks-proxy (socks5h), https` */
export function runName(run: Pick<LabRun, 'mode' | 'variant' | 'scheme'>): string {
  return `${run.mode}${run.variant === null ? '' : ` (${run.variant})`}, ${run.scheme}`
}
