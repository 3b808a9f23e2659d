// Who moved how much on each day, over all replicas, for `sightline usage --shared`. Rules: each process puts its own sums,
// whole, so that what is put twice counts once; a row is sealed with the replicas' secret, for its place alone, so that the
// store holds no name and no count that it could read or make up; and it goes with the days that are kept.
import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto'
import { GatewayError } from '../errors.ts'
import type { StateLink } from './link.ts'
import type { UseOfDay } from './usage-store.ts'
import { keyOf, type Identity } from '../protocol/request.ts'

export interface SharedUsageOptions {
  readonly link: Pick<StateLink, 'ask'>
  readonly prefix: string
  readonly secret: string
}

/** Rows of this process that are held to be put again: some 30 MB. */
const ROWS_MAX = 100_000
const BATCH = 100
const DAY_S = 86_400
const NONCE_BYTES = 12
const TAG_BYTES = 16
/** Sealed, as text: a name has 255 characters at most. */
const ROW_CHARS_MAX = 4_096
const SCAN_COUNT = '1000'
/** Of one day: more is a store that makes up rows without end. */
const SCANS_MAX = 10_000

interface Row {
  use: UseOfDay
  told: boolean
}

export class SharedUsage {
  #options: SharedUsageOptions
  #key: Buffer
  #rows = new Map<string, Row>()
  /** Names this process in the store; another one after each start. */
  #process = randomBytes(9).toString('base64url')

  constructor(options: SharedUsageOptions) {
    this.#options = options
    this.#key = Buffer.from(hkdfSync('sha256', options.secret, '', 'sightline usage', 32))
  }

  /** Moved here since the last time. */
  add(use: UseOfDay): void {
    const { identity, day } = use
    const key = `${day} ${keyOf(identity)}`
    const before = this.#rows.get(key)?.use
    if (before === undefined && this.#rows.size >= ROWS_MAX) return
    const { up, down, streams } = before ?? { up: 0, down: 0, streams: 0 }
    const sum = { identity, day, up: up + use.up, down: down + use.down, streams: streams + use.streams }
    this.#rows.set(key, { use: sum, told: false })
  }

  /** The store may have forgotten it. */
  tellAgain(): void {
    for (const row of this.#rows.values()) row.told = false
  }

  /** Puts what it does not have, for so many days. Errors: as `ask` of the link. */
  async sync(today: number, keepDays: number): Promise<void> {
    const rows = [...this.#rows]
      .filter(([, { told }]) => !told)
      .toSorted(([, one], [, other]) => one.use.day - other.use.day)
    for (let at = 0; at < rows.length; at += BATCH) {
      const batch = rows.slice(at, at + BATCH)
      for (const day of new Set(batch.map(([, { use }]) => use.day)))
        await this.#put(
          day,
          batch.flatMap(([, row]) => (row.use.day === day ? row : [])),
          keepDays,
        )
    }
    // What moved before midnight is added after it.
    for (const [key, { use, told }] of this.#rows) if (told && use.day < today - 1) this.#rows.delete(key)
  }

  /**
   * Of one day, all replicas together; `unreadable` counts rows that nobody with this secret has sealed. Errors: as `ask` of
   * the link; `state-invalid`.
   */
  async read(day: number): Promise<{ readonly uses: readonly UseOfDay[]; readonly unreadable: number }> {
    const { link } = this.#options
    const sums = new Map<string, UseOfDay>()
    const seen = new Set<string>()
    let cursor = '0'
    let scans = 0
    let unreadable = 0
    do {
      const answer = await link.ask(['HSCAN', this.#dayKey(day), cursor, 'COUNT', SCAN_COUNT])
      const [next, flat] = Array.isArray(answer) ? (answer as unknown[]) : []
      if (typeof next !== 'string' || !Array.isArray(flat) || ++scans > SCANS_MAX)
        throw new GatewayError('state-invalid')
      for (let at = 0; at < flat.length; at += 2) {
        const field: unknown = flat[at]
        // A scan may give a field twice.
        if (typeof field !== 'string' || seen.has(field)) continue
        seen.add(field)
        const use = this.#open(day, field, flat[at + 1])
        unreadable += use === undefined ? 1 : 0
        if (use === undefined) continue
        const key = keyOf(use.identity)
        const { up, down, streams } = sums.get(key) ?? { up: 0, down: 0, streams: 0 }
        sums.set(key, { ...use, up: up + use.up, down: down + use.down, streams: streams + use.streams })
      }
      cursor = next
    } while (cursor !== '0')
    return { uses: [...sums.values()], unreadable }
  }

  async #put(day: number, rows: readonly Row[], keepDays: number): Promise<void> {
    const { link } = this.#options
    // What comes meanwhile is another row, and told later.
    const put = rows.map((row) => ({ row, pair: this.#seal(row.use) }))
    await link.ask(['HSET', this.#dayKey(day), ...put.flatMap(({ pair }) => pair)])
    await link.ask(['EXPIRE', this.#dayKey(day), String((keepDays + 1) * DAY_S)])
    for (const { row } of put) row.told = true
  }

  #dayKey(day: number): string {
    return `${this.#options.prefix}:usage:${day}`
  }

  #seal(use: UseOfDay): [field: string, value: string] {
    const { identity, day, up, down, streams } = use
    const name = createHmac('sha256', this.#key)
      .update(`${day} ${keyOf(identity)}`)
      .digest('base64url')
    const field = `${this.#process}.${name}`
    const nonce = randomBytes(NONCE_BYTES)
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce).setAAD(Buffer.from(`${day} ${field}`))
    const text = JSON.stringify([identity.kind, identity.name, up, down, streams])
    const sealed = Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()])
    return [field, sealed.toString('base64url')]
  }

  #open(day: number, field: string, value: unknown): UseOfDay | undefined {
    if (typeof value !== 'string' || value.length > ROW_CHARS_MAX) return undefined
    const sealed = Buffer.from(value, 'base64url')
    if (sealed.length < NONCE_BYTES + TAG_BYTES) return undefined
    try {
      const decipher = createDecipheriv('aes-256-gcm', this.#key, sealed.subarray(0, NONCE_BYTES))
        .setAAD(Buffer.from(`${day} ${field}`))
        .setAuthTag(sealed.subarray(-TAG_BYTES))
      const text = Buffer.concat([
        decipher.update(sealed.subarray(NONCE_BYTES, -TAG_BYTES)),
        decipher.final(),
      ])
      // A replica sealed it: it is what one of them has written.
      const [kind, name, up, down, streams] = JSON.parse(text.toString()) as SealedRow
      return { identity: { kind, name }, day, up, down, streams }
    } catch {
      return undefined
    }
  }
}

type SealedRow = [kind: Identity['kind'], name: string, up: number, down: number, streams: number]
