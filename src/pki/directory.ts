// What an authority's directory holds, read and written. Rules: the index is written before the certificate, so that
// nothing exists that cannot be revoked; and what a crash left half done is made good by whoever signs next.
import { X509Certificate } from 'node:crypto'
import { join } from 'node:path'
import { GatewayError } from '../errors.ts'
import { openAuthority, type Authority } from './authority.ts'
import { exists, readText, withLock, writeFileAtomically } from './disk.ts'
import { formatIndex, parseIndex, type Index, type IndexEntry } from './index-file.ts'
import { issueLeaf, signLeaf, type LeafKind } from './leaf.ts'
import { certificatesFromPem } from './pem.ts'
import { keyOfRequest } from './request.ts'
import { readRevocationLists, type RevocationList } from './revocation-list-reader.ts'
import { createRevocationList } from './revocation-list.ts'
import { x509 } from './x509.ts'

export const PRIVATE_MODE = 0o600
export const PUBLIC_MODE = 0o644
export const LOCK_WAIT_MS = 10_000

export interface StoreOptions {
  /** Default: the clock. */
  readonly now?: Date
  /** How long to wait for another writer. Default 10 s. */
  readonly lockWaitMs?: number
  /** Of the authority's key, where it has one. */
  readonly passphrase?: string | undefined
}

export interface IssuedFiles {
  readonly certificateFile: string
  /** Undefined where the key is elsewhere. */
  readonly keyFile: string | undefined
  readonly entry: IndexEntry
}

export interface IssueOptions extends StoreOptions {
  readonly kind: LeafKind
  readonly hosts: readonly string[]
  readonly days?: number
  /** PKCS#10, PEM or DER: sign its key, and make none. */
  readonly request?: Buffer | undefined
}

/** An authority that may sign, and the index as it then stands. */
export interface Opened {
  readonly authority: Authority
  readonly index: Index
}

/** False where ca.crl lacks what the index says: a revocation was cut short, and has to be written again. */
export async function listIsCurrent(dir: string): Promise<boolean> {
  const { revocationListNumber } = await readIndex(dir)
  const revocations = await readRevocations(dir)
  return revocations !== undefined && (revocations.number ?? 0) >= revocationListNumber
}

export interface WriteRequest extends Pick<IssueOptions, 'kind' | 'hosts' | 'days' | 'request'> {
  readonly name: string
  readonly now: Date
  readonly keyElsewhere?: true | undefined
}

export async function writeLeaf(
  dir: string,
  { authority, index }: Opened,
  wanted: WriteRequest,
): Promise<IssuedFiles> {
  const { name, kind, hosts } = wanted
  const [certificateFile, keyFile] = [join(dir, `${name}.crt`), join(dir, `${name}.key`)]
  const publicKey = await keyElsewhere(certificateFile, wanted)
  const leaf = publicKey
    ? { ...(await signLeaf(authority, wanted, publicKey)), key: undefined }
    : await issueLeaf(authority, wanted)
  const entry: IndexEntry = {
    name,
    kind,
    serial: leaf.serial,
    notBefore: leaf.notBefore.toISOString(),
    notAfter: leaf.notAfter.toISOString(),
    hosts: [...hosts],
    ...(leaf.key === undefined && { keyElsewhere: true }),
  }
  await writeIndex(dir, { ...index, certificates: [...index.certificates, entry] })
  if (leaf.key !== undefined) await writeFileAtomically(keyFile, leaf.key, PRIVATE_MODE)
  await writeFileAtomically(certificateFile, leaf.certificate, PUBLIC_MODE)
  return { certificateFile, keyFile: leaf.key === undefined ? undefined : keyFile, entry }
}

/** The key to sign where it is not made here: that of the request, else that of the certificate before. */
async function keyElsewhere(
  certificateFile: string,
  { request: asked, keyElsewhere: isElsewhere }: WriteRequest,
): Promise<x509.PublicKey | undefined> {
  if (asked !== undefined) return keyOfRequest(asked)
  if (!isElsewhere) return undefined
  const [before] = certificatesFromPem(await readText(certificateFile))
  return before && new x509.X509Certificate(before.raw).publicKey
}

export async function writeRevocationList(
  dir: string,
  { authority, index }: Opened,
  now: Date,
): Promise<{ revocationListFile: string; nextUpdate: Date }> {
  const before = await listBefore(dir, authority)
  const number = Math.max(index.revocationListNumber, before?.number ?? 0) + 1
  const unknown = new Set(before?.serials)
  const certificates = index.certificates.map((entry) => {
    const isListed = unknown.delete(entry.serial)
    if (before === undefined || !isListed || entry.revokedAt !== undefined) return entry
    return { ...entry, revokedAt: before.thisUpdate.toISOString() }
  })
  const revocations = [
    ...certificates.flatMap(({ serial, revokedAt }) =>
      revokedAt === undefined ? [] : [{ serial, revokedAt: new Date(revokedAt) }],
    ),
    ...[...unknown].map((serial) => ({ serial, revokedAt: before?.thisUpdate ?? now })),
  ]
  const signed = await createRevocationList(authority, { revocations, number, now })
  await writeIndex(dir, { ...index, certificates, revocationListNumber: number })
  const revocationListFile = join(dir, 'ca.crl')
  await writeFileAtomically(revocationListFile, signed.pem, PUBLIC_MODE)
  return { revocationListFile, nextUpdate: signed.nextUpdate }
}

/** What this authority signed last, as ca.crl has it: later than the index where that is from a backup. */
async function listBefore(dir: string, authority: Authority): Promise<RevocationList | undefined> {
  try {
    const key = new X509Certificate(authority.pem.certificate).publicKey
    return readRevocationLists(await readText(join(dir, 'ca.crl'))).find((list) => list.isSignedBy(key))
  } catch {
    return undefined
  }
}

async function writeIndex(dir: string, index: Index): Promise<void> {
  await writeFileAtomically(join(dir, 'index.json'), formatIndex(index), PUBLIC_MODE)
}

export async function readIndex(dir: string): Promise<Index> {
  await requireAuthority(dir)
  return parseIndex(await readText(join(dir, 'index.json')))
}

/** Undefined where it is not there, or is none: it can be written anew from the index. */
export async function readRevocations(dir: string): Promise<RevocationList | undefined> {
  try {
    return readRevocationLists(await readText(join(dir, 'ca.crl')))[0]
  } catch {
    return undefined
  }
}

async function readAuthority(dir: string, passphrase: string | undefined): Promise<Authority> {
  await requireAuthority(dir)
  const certificate = await readText(join(dir, 'ca.crt'))
  return openAuthority({ certificate, key: await readText(join(dir, 'ca.key')) }, passphrase)
}

export async function requireAuthority(dir: string): Promise<void> {
  if (await exists(join(dir, 'ca.crt'))) return
  throw new GatewayError('pki-invalid', {
    detail: `no authority in ${dir}`,
    hint: `sightline pki init --dir ${dir}`,
  })
}

/**
 * Runs `work` with the lock held. It opens the authority when it is about to sign; a list that a crash left behind the
 * index is written anew then.
 */
export async function exclusively<T>(
  dir: string,
  options: StoreOptions,
  work: (now: Date, open: () => Promise<Opened>) => Promise<T>,
): Promise<T> {
  if (!(await exists(dir))) await requireAuthority(dir)
  const now = options.now ?? new Date()
  return withLock(dir, options.lockWaitMs ?? LOCK_WAIT_MS, () =>
    work(now, async () => {
      const authority = await readAuthority(dir, options.passphrase)
      if (!(await listIsCurrent(dir)))
        await writeRevocationList(dir, { authority, index: await readIndex(dir) }, now)
      return { authority, index: await readIndex(dir) }
    }),
  )
}
