// Revocation lists that replicas give each other: whoever has a later one than the store puts it there, and whoever has an
// earlier one takes it. Rules: the store is not trusted (a list counts for its authority's signature and its own number,
// whatever stands beside it); the number of what is in force only grows; and what is no list is replaced by one that is.
import { createHash } from 'node:crypto'
import { GatewayError } from '../errors.ts'
import { isLater, type ClientTrust } from '../pki/judge.ts'
import { pemText } from '../pki/pem.ts'
import { readRevocationLists, type RevocationList } from '../pki/revocation-list-reader.ts'
import type { KeptLists } from './kept-lists.ts'
import type { StateLink } from './link.ts'

/** As text; some 50,000 revocations. */
const LIST_CHARS_MAX = 3 * 1024 * 1024
const HEAD = /^(\d{1,15})\n/
const HEAD_CHARS = 16

export interface SharedListsOptions {
  readonly link: Pick<StateLink, 'ask' | 'channel'>
  readonly prefix: string
  readonly kept: Pick<KeptLists, 'read' | 'keep'>
  /** What clients are judged by now. */
  readonly trusts: () => readonly ClientTrust[]
  /** A later list than before is there for an authority: judge again. */
  readonly changed: () => void
  /** What the store holds is no list of this authority. */
  readonly refused: () => void
}

export class SharedLists {
  #options: SharedListsOptions
  /** The latest that this process has had of each authority, from a file or from the store. */
  #latest = new Map<string, RevocationList>()
  /** Digest of what was refused last, by authority: looked at once. */
  #refused = new Map<string, string>()

  constructor(options: SharedListsOptions) {
    this.#options = options
  }

  /** The same trust with the latest lists there are; those that it brings are kept. */
  merge(trust: ClientTrust): ClientTrust {
    if (!trust.checksRevocation) return trust
    for (const { authority, list } of trust.lists) {
      if (isLater(list, this.#latest.get(authority))) this.#latest.set(authority, list)
    }
    return trust.withLater((authority) => this.#latest.get(authority))
  }

  /** Takes what was kept for the authorities of these. */
  async recall(trusts: readonly ClientTrust[]): Promise<void> {
    for (const trust of trusts) {
      for (const { authority } of this.merge(trust).lists) {
        const text = await this.#options.kept.read(nameOf(authority))
        // What is older than the file's own is no news, and nothing to complain of.
        const head = Number(HEAD.exec(text ?? '')?.[1] ?? -1)
        if (text === undefined || head <= (this.#latest.get(authority)?.number ?? -1)) continue
        const list = this.#read(text, authority, trust)
        if (list !== undefined && list.thisUpdate <= new Date()) this.#latest.set(authority, list)
      }
    }
  }

  /** Gives and takes. Errors: as `ask` of the link. */
  async sync(): Promise<void> {
    const trusts = this.#options.trusts().filter((trust) => trust.checksRevocation)
    for (const trust of trusts) this.merge(trust)
    const seen = new Set<string>()
    let changed = false
    for (const trust of trusts) {
      for (const { authority } of trust.lists) {
        if (seen.has(authority)) continue
        seen.add(authority)
        if (await this.#syncOne(authority, trust)) changed = true
      }
    }
    if (changed) this.#options.changed()
  }

  /** True where a later list was found. */
  async #syncOne(authority: string, trust: ClientTrust): Promise<boolean> {
    const { link, prefix } = this.#options
    const key = `${prefix}:list:${nameOf(authority)}`
    const head = textOf(await link.ask(['GETRANGE', key, '0', String(HEAD_CHARS - 1)]))
    const own = this.#latest.get(authority)
    const theirs = Number(HEAD.exec(head)?.[1] ?? -1)
    if (theirs === own?.number) return false
    if (theirs > (own?.number ?? -1)) {
      const text = textOf(await link.ask(['GETRANGE', key, '0', String(LIST_CHARS_MAX)]))
      const list = this.#read(text, authority, trust)
      if (list !== undefined && list.thisUpdate > new Date()) return false
      if (list !== undefined) {
        this.#latest.set(authority, list)
        await this.#options.kept.keep(nameOf(authority), text)
        return true
      }
    }
    if (own?.number === undefined) return false
    await link.ask(['SET', key, `${own.number}\n${pemText('X509 CRL', own.der)}`])
    await link.ask(['PUBLISH', link.channel, 'lists'])
    return false
  }

  /** Undefined where it is none of this authority, or no later one. Said once for the same text. */
  #read(text: string, authority: string, trust: ClientTrust): RevocationList | undefined {
    const digest = createHash('sha256').update(text).digest('base64')
    if (this.#refused.get(authority) === digest) return undefined
    try {
      if (text.length > LIST_CHARS_MAX) throw new GatewayError('state-invalid')
      const [list, ...more] = readRevocationLists(text.replace(HEAD, ''), trust.keys)
      const isTold = list?.number !== undefined && text.startsWith(`${list.number}\n`)
      const isTaken = trust
        .withLater((one) => (one === authority ? list : undefined))
        .lists.some((one) => one.authority === authority && one.list === list)
      if (list === undefined || more.length > 0 || !isTold || !isTaken)
        throw new GatewayError('state-invalid')
      return list
    } catch {
      this.#refused.set(authority, digest)
      this.#options.refused()
      return undefined
    }
  }
}

/** Of a fingerprint. */
function nameOf(authority: string): string {
  return authority.replaceAll(':', '').toLowerCase()
}

/** Nothing where nothing is there. Errors: `state-invalid`. */
function textOf(answer: unknown): string {
  if (answer === null) return ''
  if (typeof answer === 'string') return answer
  throw new GatewayError('state-invalid')
}
