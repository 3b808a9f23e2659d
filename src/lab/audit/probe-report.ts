// What a probe has to tell of one audit: what arrived, as it arrived, and what it answered. Rules: bounded, in audits and
// in what is kept of each; of bodies a hash is kept.
import { createHash } from 'node:crypto'
import { z } from 'zod'

const header = z.tuple([z.string(), z.string()])
const endpoint = z.object({ address: z.string(), port: z.number() })

const ARRIVED = z.object({
  scheme: z.enum(['http', 'https']),
  method: z.string(),
  target: z.string(),
  httpVersion: z.string(),
  /** In order, names as they came. */
  headers: z.array(header),
  bodyBytes: z.number(),
  bodyHash: z.string(),
  /** Who the probe's kernel says has connected. */
  from: endpoint,
  /** Of the connection's ClientHello; on http null. */
  hello: z.object({ random: z.string(), ja4: z.string(), serverName: z.string().nullable() }).nullable(),
  answer: z.object({ headers: z.array(header), bodyHash: z.string() }),
})

export const REPORT = z.object({
  arrived: z.array(ARRIVED),
  datagrams: z.array(z.object({ hash: z.string(), from: endpoint })),
  /** Look-ups of names of this audit, and who asked: a resolver, or who does without one. */
  lookUps: z.array(z.object({ name: z.string(), from: endpoint })),
})

export type Arrived = z.infer<typeof ARRIVED>
export type ProbeReport = z.infer<typeof REPORT>
export type Header = readonly [name: string, value: string]

const MAX_AUDITS = 64
const MAX_ENTRIES = 32

/** SHA-256, in lower-case hex. */
export function hashOf(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** What a probe keeps: of the newest audits, of each the first entries. */
export class Ledger {
  #audits = new Map<string, ProbeReport>()

  note<Kind extends keyof ProbeReport>(id: string, kind: Kind, entry: ProbeReport[Kind][number]): void {
    let report = this.#audits.get(id)
    if (report === undefined) {
      const [oldest] = this.#audits.keys()
      if (this.#audits.size >= MAX_AUDITS && oldest !== undefined) this.#audits.delete(oldest)
      report = { arrived: [], datagrams: [], lookUps: [] }
      this.#audits.set(id, report)
    }
    const entries: Array<ProbeReport[Kind][number]> = report[kind]
    if (entries.length < MAX_ENTRIES) entries.push(entry)
  }

  of(id: string): ProbeReport {
    return this.#audits.get(id) ?? { arrived: [], datagrams: [], lookUps: [] }
  }
}
