// The authority's directory: ca.crt ca.key ca.crl index.json NAME.crt NAME.key. The only file of pki/ that
// touches the disk. Rules: a file is whole or absent (written beside, flushed, renamed); keys are 0600 from
// their first byte; the index is written before the certificate, so that nothing exists that cannot be
// revoked; and one writer at a time holds the lock.
import { randomBytes } from 'node:crypto'
import { access, mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { GatewayError } from '../errors.ts'
import { createAuthority, openAuthority, type Authority } from './authority.ts'
import { createBundle } from './bundle.ts'
import {
  checkName,
  currentEntry,
  formatIndex,
  goodEntry,
  knownEntry,
  listEntries,
  parseIndex,
  type Index,
  type IndexEntry,
  type ListedCertificate,
} from './index-file.ts'
import { issueLeaf, type LeafKind } from './leaf.ts'
import { readRevocationLists } from './revocation-list-reader.ts'
import { createRevocationList } from './revocation-list.ts'
import { daysUntil } from './validity.ts'

const PRIVATE_MODE = 0o600
const PUBLIC_MODE = 0o644
const LOCK_FILE = '.lock'
const LOCK_WAIT_MS = 10_000
const LOCK_POLL_MS = 25
const DEVELOPMENT_HOSTS = ['localhost', '127.0.0.1', '::1'] as const

export interface StoreOptions {
  /** Default: the clock. */
  readonly now?: Date
  /** How long to wait for another writer. Default 10 s. */
  readonly lockWaitMs?: number
}

export interface AuthorityFiles {
  readonly certificateFile: string
  readonly keyFile: string
  readonly revocationListFile: string
  readonly notAfter: Date
  /** When the revocation list has to be renewed. */
  readonly nextUpdate: Date
}

export interface IssuedFiles {
  readonly certificateFile: string
  readonly keyFile: string
  readonly entry: IndexEntry
}

export interface IssueOptions extends StoreOptions {
  readonly kind: LeafKind
  readonly hosts: readonly string[]
  readonly days?: number
}

export interface Revoked {
  readonly revocationListFile: string
  readonly nextUpdate: Date
  /** Serials revoked by this call: the name's certificate and its earlier ones. Empty when all were already. */
  readonly serials: readonly string[]
}

/** Makes the directory, an authority and an empty revocation list. Throws `pki-invalid` where one is already. */
export async function initAuthority(dir: string, options: StoreOptions = {}): Promise<AuthorityFiles> {
  await guard(`cannot make ${dir}`, mkdir(dir, { recursive: true }))
  return withLock(dir, options, (now) => init(dir, now))
}

/**
 * Issues NAME.crt and NAME.key. Throws `pki-invalid` for a bad name, a name already issued and not revoked, bad
 * hosts, or no authority in the directory.
 */
export async function issue(dir: string, name: string, options: IssueOptions): Promise<IssuedFiles> {
  checkName(name)
  return withLock(dir, options, async (now) => {
    const index = await readIndex(dir)
    const current = currentEntry(index, name)
    if (current && current.revokedAt === undefined) {
      throw new GatewayError('pki-invalid', {
        detail: `${name} has been issued already, until ${current.notAfter.slice(0, 10)}`,
        hint: `sightline pki renew ${name} --dir ${dir}, or revoke it first`,
      })
    }
    return write(dir, index, { ...options, name, now })
  })
}

/** Issues the name again, same kind and hosts, new key and serial. The earlier one stays good until it ends. */
export async function renew(
  dir: string,
  name: string,
  options: StoreOptions & { readonly days?: number } = {},
): Promise<IssuedFiles> {
  return withLock(dir, options, async (now) => {
    const index = await readIndex(dir)
    const { kind, hosts } = goodEntry(dir, index, name)
    return write(dir, index, { name, kind, hosts, now, ...(options.days && { days: options.days }) })
  })
}

/** Revokes every certificate of the name that has not been yet, and writes ca.crl anew in any case. */
export async function revoke(dir: string, name: string, options: StoreOptions = {}): Promise<Revoked> {
  return withLock(dir, options, async (now) => {
    const index = await readIndex(dir)
    knownEntry(dir, index, name)
    const serials = index.certificates
      .filter((entry) => entry.name === name && entry.revokedAt === undefined)
      .map((entry) => entry.serial)
    const certificates = index.certificates.map((entry) =>
      serials.includes(entry.serial) ? { ...entry, revokedAt: now.toISOString() } : entry,
    )
    return { serials, ...(await writeRevocationList(dir, { ...index, certificates }, now)) }
  })
}

/** Writes ca.crl anew, with the same revocations and a new date by which the next is due. */
export async function refreshRevocationList(
  dir: string,
  options: StoreOptions = {},
): Promise<{ revocationListFile: string; nextUpdate: Date }> {
  return withLock(dir, options, async (now) => writeRevocationList(dir, await readIndex(dir), now))
}

/** All that was issued, with its state. Renewed certificates that have ended are left out. */
export async function list(dir: string, options: StoreOptions = {}): Promise<ListedCertificate[]> {
  return listEntries(await readIndex(dir), options.now ?? new Date())
}

/** PKCS#12 bytes of the name's key and certificate and the authority's. Throws `pki-invalid` if it was revoked. */
export async function bundle(dir: string, name: string, password: string): Promise<Buffer> {
  goodEntry(dir, await readIndex(dir), name)
  const [certificate, key, authority] = await Promise.all(
    [`${name}.crt`, `${name}.key`, 'ca.crt'].map((file) => readText(join(dir, file))),
  )
  return createBundle({
    name,
    leaf: { certificate: certificate ?? '', key: key ?? '' },
    authority: authority ?? '',
    password,
  })
}

/**
 * Makes what `sightline up` needs and is not there: an authority, the servers `gateway` and `origin` on
 * loopback, the client `client`. Renews those of them that end within a day, and a revocation list likewise;
 * leaves revoked ones revoked. Returns the files' names that were made, in order.
 */
export async function ensureDevelopmentPki(
  dir: string,
  options: StoreOptions = {},
): Promise<{ made: string[] }> {
  await guard(`cannot make ${dir}`, mkdir(dir, { recursive: true }))
  return withLock(dir, options, async (now) => {
    const made: string[] = []
    if (!(await exists(join(dir, 'ca.crt')))) {
      await init(dir, now)
      made.push('ca.crt', 'ca.crl')
    }
    const wanted = [
      { name: 'gateway', kind: 'server', hosts: DEVELOPMENT_HOSTS },
      { name: 'client', kind: 'client', hosts: [] },
      { name: 'origin', kind: 'server', hosts: DEVELOPMENT_HOSTS },
    ] as const
    for (const leaf of wanted) {
      const index = await readIndex(dir)
      const current = currentEntry(index, leaf.name)
      const isGood =
        current && (current.revokedAt !== undefined || !endsSoon(new Date(current.notAfter), now))
      if (
        isGood &&
        (await exists(join(dir, `${leaf.name}.crt`))) &&
        (await exists(join(dir, `${leaf.name}.key`)))
      ) {
        continue
      }
      await write(dir, index, { ...leaf, ...(current && { kind: current.kind, hosts: current.hosts }), now })
      made.push(`${leaf.name}.crt`)
    }
    const [revocations] = readRevocationLists(await readText(join(dir, 'ca.crl')))
    if (!revocations || endsSoon(revocations.nextUpdate, now)) {
      await writeRevocationList(dir, await readIndex(dir), now)
      made.push('ca.crl')
    }
    return { made }
  })
}

/** Writes beside the target, flushes, renames. `mode` holds from the first byte. Throws `file-unusable`. */
export async function writeFileAtomically(
  path: string,
  content: string | Uint8Array,
  mode: number,
): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`)
  const writeAndRename = async (): Promise<void> => {
    await using file = await open(temporary, 'wx', mode)
    await file.writeFile(content)
    await file.sync()
    await rename(temporary, path)
  }
  await guard(`cannot write ${path}`, writeAndRename()).catch(async (error: unknown) => {
    await rm(temporary, { force: true })
    throw error
  })
}

async function init(dir: string, now: Date): Promise<AuthorityFiles> {
  for (const file of ['ca.crt', 'ca.key', 'index.json']) {
    if (!(await exists(join(dir, file)))) continue
    throw new GatewayError('pki-invalid', {
      detail: `${dir} holds an authority already (${file})`,
      hint: 'use that one, or give another --dir',
    })
  }
  const authority = await createAuthority({ now })
  const [certificateFile, keyFile] = [join(dir, 'ca.crt'), join(dir, 'ca.key')]
  await writeFileAtomically(keyFile, authority.pem.key, PRIVATE_MODE)
  await writeFileAtomically(certificateFile, authority.pem.certificate, PUBLIC_MODE)
  const index: Index = { version: 1, revocationListNumber: 0, certificates: [] }
  const written = await writeRevocationList(dir, index, now)
  return { certificateFile, keyFile, notAfter: authority.certificate.notAfter, ...written }
}

async function write(
  dir: string,
  index: Index,
  request: { name: string; kind: LeafKind; hosts: readonly string[]; days?: number; now: Date },
): Promise<IssuedFiles> {
  const { name, kind, hosts } = request
  const leaf = await issueLeaf(await readAuthority(dir), request)
  const entry: IndexEntry = {
    name,
    kind,
    serial: leaf.serial,
    notBefore: leaf.notBefore.toISOString(),
    notAfter: leaf.notAfter.toISOString(),
    hosts: [...hosts],
  }
  const [certificateFile, keyFile] = [join(dir, `${name}.crt`), join(dir, `${name}.key`)]
  await writeIndex(dir, { ...index, certificates: [...index.certificates, entry] })
  await writeFileAtomically(keyFile, leaf.key, PRIVATE_MODE)
  await writeFileAtomically(certificateFile, leaf.certificate, PUBLIC_MODE)
  return { certificateFile, keyFile, entry }
}

async function writeRevocationList(
  dir: string,
  index: Index,
  now: Date,
): Promise<{ revocationListFile: string; nextUpdate: Date }> {
  const number = index.revocationListNumber + 1
  const revocations = index.certificates.flatMap(({ serial, revokedAt }) =>
    revokedAt === undefined ? [] : [{ serial, revokedAt: new Date(revokedAt) }],
  )
  const signed = await createRevocationList(await readAuthority(dir), { revocations, number, now })
  await writeIndex(dir, { ...index, revocationListNumber: number })
  const revocationListFile = join(dir, 'ca.crl')
  await writeFileAtomically(revocationListFile, signed.pem, PUBLIC_MODE)
  return { revocationListFile, nextUpdate: signed.nextUpdate }
}

async function writeIndex(dir: string, index: Index): Promise<void> {
  await writeFileAtomically(join(dir, 'index.json'), formatIndex(index), PUBLIC_MODE)
}

async function readIndex(dir: string): Promise<Index> {
  await requireAuthority(dir)
  return parseIndex(await readText(join(dir, 'index.json')))
}

async function readAuthority(dir: string): Promise<Authority> {
  const certificate = await readText(join(dir, 'ca.crt'))
  return openAuthority({ certificate, key: await readText(join(dir, 'ca.key')) })
}

async function requireAuthority(dir: string): Promise<void> {
  if (await exists(join(dir, 'ca.crt'))) return
  throw new GatewayError('pki-invalid', {
    detail: `no authority in ${dir}`,
    hint: `sightline pki init --dir ${dir}`,
  })
}

function endsSoon(end: Date, now: Date): boolean {
  return daysUntil(end, now) < 1
}

async function withLock<T>(dir: string, options: StoreOptions, work: (now: Date) => Promise<T>): Promise<T> {
  const path = join(dir, LOCK_FILE)
  const deadline = performance.now() + (options.lockWaitMs ?? LOCK_WAIT_MS)
  while (!(await takeLock(dir, path))) {
    if (performance.now() >= deadline) {
      throw new GatewayError('file-unusable', {
        detail: `another process is writing in ${dir}`,
        hint: `wait for it; if there is none, remove ${path}`,
      })
    }
    await wait(LOCK_POLL_MS)
  }
  try {
    return await work(options.now ?? new Date())
  } finally {
    await rm(path, { force: true })
  }
}

async function takeLock(dir: string, path: string): Promise<boolean> {
  try {
    await using file = await open(path, 'wx', PRIVATE_MODE)
    return file.fd >= 0
  } catch (cause) {
    if (errno(cause) === 'EEXIST') return false
    if (errno(cause) === 'ENOENT') await requireAuthority(dir)
    throw unusable(`cannot write in ${dir}`, cause)
  }
}

async function readText(path: string): Promise<string> {
  return guard(`cannot read ${path}`, readFile(path, 'utf8'))
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}

async function guard<T>(what: string, work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (cause) {
    throw unusable(what, cause)
  }
}

const REASONS: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  ENOENT: 'there is no such file or directory',
  ENOTDIR: 'a part of its path is not a directory',
  EISDIR: 'it is a directory',
  EEXIST: 'it is not a directory',
  ENOSPC: 'the disk is full',
  EROFS: 'the file system is read-only',
}

function unusable(what: string, cause: unknown): GatewayError {
  const reason = REASONS[errno(cause)] ?? errno(cause)
  return new GatewayError('file-unusable', {
    detail: `${what}: ${reason}`,
    hint: 'check the path and its permissions',
    cause,
  })
}

function errno(thrown: unknown): string {
  return thrown instanceof Error && 'code' in thrown ? String(thrown.code) : 'unknown error'
}
