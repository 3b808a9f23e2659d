// index.json: every certificate that the authority ever issued, and so what it can revoke by name. Pure.
// Rule: entries are only added and marked as revoked, never removed: a renewed name keeps its earlier
// certificates here, since they are good until they end and must go when the name is revoked.
import { z } from 'zod'
import { GatewayError } from '../errors.ts'
import { LEAF_KINDS } from './leaf.ts'
import { daysUntil, endsSoon } from './validity.ts'

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/

const entrySchema = z.strictObject({
  name: z.string(),
  kind: z.enum(LEAF_KINDS),
  serial: z.string().regex(/^[0-9a-f]+$/),
  notBefore: z.iso.datetime(),
  notAfter: z.iso.datetime(),
  hosts: z.array(z.string()),
  revokedAt: z.iso.datetime().optional(),
  /** Its key was made elsewhere: a request was signed. */
  keyElsewhere: z.literal(true).optional(),
})

const indexSchema = z.strictObject({
  version: z.literal(1),
  /** CRL number of the list that stands in ca.crl. */
  revocationListNumber: z.int().nonnegative(),
  certificates: z.array(entrySchema),
})

/** One certificate; times are ISO 8601 in UTC, the serial is lower-case hex. */
export type IndexEntry = z.infer<typeof entrySchema>
export type Index = z.infer<typeof indexSchema>

export type CertificateState = 'valid' | 'expired' | 'revoked'

interface Listed {
  /** Whole days left, 0 when it has ended. */
  readonly daysLeft: number
  /** Time to renew it, or late for that. Never of what was revoked. */
  readonly endsSoon: boolean
}

export interface ListedCertificate extends IndexEntry, Listed {
  readonly state: CertificateState
}

/** The authority's own certificate, or its revocation list. */
export interface ListedOwn extends Listed {
  readonly name: string
  /** ISO 8601 in UTC; of a list, when it was made and when the next one is due. */
  readonly notBefore: string
  readonly notAfter: string
  readonly kind: 'authority' | 'revocation-list'
  readonly state: 'valid' | 'expired'
  /** Lower-case hex. */
  readonly serial?: string
  /** CRL number. */
  readonly number?: number
}

/** Throws GatewayError `pki-invalid`, naming the place in the file. */
export function parseIndex(text: string): Index {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (cause) {
    throw unreadable('it is not JSON', cause)
  }
  const result = indexSchema.safeParse(json)
  if (result.success) return result.data
  const issue = result.error.issues[0]
  throw unreadable(
    `${issue?.path.join('.') || 'the top'}: ${issue?.message ?? 'not as expected'}`,
    result.error,
  )
}

export function formatIndex(index: Index): string {
  return `${JSON.stringify(index, null, 2)}\n`
}

/** The latest certificate of a name. */
export function currentEntry(index: Index, name: string): IndexEntry | undefined {
  return index.certificates.findLast((entry) => entry.name === name)
}

/** What may name a certificate, and so its files. Throws GatewayError `pki-invalid`. */
export function checkName(name: string): void {
  if (NAME.test(name) && name.toLowerCase() !== 'ca') return
  throw new GatewayError('pki-invalid', {
    detail: `${JSON.stringify(name)} cannot be the name of a certificate`,
    hint: "up to 63 letters, digits and . _ -, with a letter or digit first, and not 'ca'",
  })
}

/** The latest certificate of a name, revoked or not. Throws GatewayError `pki-invalid` where there is none. */
export function knownEntry(dir: string, index: Index, name: string): IndexEntry {
  const entry = currentEntry(index, name)
  if (entry) return entry
  throw new GatewayError('pki-invalid', {
    detail: `${JSON.stringify(name)} was never issued by the authority in ${dir}`,
    hint: `sightline pki list --dir ${dir}`,
  })
}

/** The latest certificate of a name. Throws GatewayError `pki-invalid` where there is none or it was revoked. */
export function goodEntry(dir: string, index: Index, name: string): IndexEntry {
  const entry = knownEntry(dir, index, name)
  if (entry.revokedAt === undefined) return entry
  const hosts = entry.hosts.map((host) => ` --host ${host}`).join('')
  throw new GatewayError('pki-invalid', {
    detail: `${name} was revoked on ${entry.revokedAt.slice(0, 10)}`,
    hint: `issue it anew: sightline pki issue ${name} --${entry.kind}${hosts} --dir ${dir}`,
  })
}

/** In the order of issue, without those that were renewed and have ended since. */
export function listEntries(index: Index, now: Date): ListedCertificate[] {
  const current = new Map(index.certificates.map(({ name, serial }) => [name, serial]))
  return index.certificates
    .map((entry) => {
      const listed = listOwn(entry, now)
      const isCurrent = current.get(entry.name) === entry.serial && entry.revokedAt === undefined
      const state: CertificateState = entry.revokedAt === undefined ? listed.state : 'revoked'
      return { ...listed, state, endsSoon: listed.endsSoon && isCurrent }
    })
    .filter((entry) => new Date(entry.notAfter) >= now || current.get(entry.name) === entry.serial)
}

/** Adds to anything that ends what there is to know of its end. */
export function listOwn<T extends { readonly notBefore: string; readonly notAfter: string }>(
  own: T,
  now: Date,
): T & { state: 'valid' | 'expired'; daysLeft: number; endsSoon: boolean } {
  const [begins, ends] = [new Date(own.notBefore), new Date(own.notAfter)]
  return {
    ...own,
    state: ends < now ? 'expired' : 'valid',
    daysLeft: daysUntil(ends, now),
    endsSoon: endsSoon(begins, ends, now),
  }
}

function unreadable(what: string, cause: unknown): GatewayError {
  return new GatewayError('pki-invalid', {
    detail: `index.json cannot be read: ${what}`,
    hint: 'restore it from a backup: without it the authority does not know what it issued',
    cause,
  })
}
