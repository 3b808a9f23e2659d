// What `sightline pki` does, on the disk. Rules: whoever writes holds the lock; and ca.crt is written last, so that an
// authority is whole or not there.
import { join } from 'node:path'
import { GatewayError } from '../errors.ts'
import { createAuthority } from './authority.ts'
import { createBundle } from './bundle.ts'
import {
  exclusively,
  LOCK_WAIT_MS,
  PRIVATE_MODE,
  PUBLIC_MODE,
  readIndex,
  readRevocations,
  requireAuthority,
  writeLeaf,
  writeRevocationList,
  type IssuedFiles,
  type IssueOptions,
  type StoreOptions,
} from './directory.ts'
import { exists, makeDirectory, readText, removeFile, withLock, writeFileAtomically } from './disk.ts'
import {
  checkName,
  currentEntry,
  goodEntry,
  knownEntry,
  listEntries,
  listOwn,
  type Index,
  type ListedCertificate,
  type ListedOwn,
} from './index-file.ts'
import { certificatesFromPem } from './pem.ts'
import { isEncrypted } from './private-key.ts'
import { createRequest } from './request.ts'
import { normaliseSerial } from './serial.ts'
import { daysUntil } from './validity.ts'

/** Stands while an authority is being made: what lies there without ca.crt is then nobody's. */
const UNFINISHED_FILE = '.init'
const DEVELOPMENT_HOSTS = ['localhost', '127.0.0.1', '::1'] as const

export interface AuthorityFiles {
  readonly certificateFile: string
  readonly keyFile: string
  readonly revocationListFile: string
  readonly notAfter: Date
  /** When the revocation list has to be renewed. */
  readonly nextUpdate: Date
}

export type RenewOptions = StoreOptions & Pick<IssueOptions, 'days' | 'request'>

export interface Revoked {
  readonly revocationListFile: string
  readonly nextUpdate: Date
  /** Serials revoked by this call: the name's certificate and its earlier ones. Empty when all were already. */
  readonly serials: readonly string[]
}

/**
 * Makes the directory, an authority and an empty revocation list; with a passphrase its key is encrypted. Throws
 * `pki-invalid` where one is already.
 */
export async function initAuthority(dir: string, options: StoreOptions = {}): Promise<AuthorityFiles> {
  await makeDirectory(dir)
  return exclusively(dir, options, (now) => init(dir, now, options.passphrase))
}

/** Whether `passphrase` is needed for all that signs. Throws `pki-invalid` where there is no authority. */
export async function needsPassphrase(dir: string): Promise<boolean> {
  await requireAuthority(dir)
  return isEncrypted(await readText(join(dir, 'ca.key')))
}

/** Makes NAME.key and NAME.csr, for an authority elsewhere to sign. Throws `pki-invalid` where there is a NAME.key. */
export async function request(dir: string, name: string): Promise<{ requestFile: string; keyFile: string }> {
  checkName(name)
  await makeDirectory(dir)
  return withLock(dir, LOCK_WAIT_MS, async () => {
    const [keyFile, requestFile] = [join(dir, `${name}.key`), join(dir, `${name}.csr`)]
    if (await exists(keyFile)) {
      throw new GatewayError('pki-invalid', {
        detail: `${keyFile} is there already`,
        hint: 'use it with openssl req -new -key, or give another --dir',
      })
    }
    const made = await createRequest(name)
    await writeFileAtomically(keyFile, made.key, PRIVATE_MODE)
    await writeFileAtomically(requestFile, made.request, PUBLIC_MODE)
    return { keyFile, requestFile }
  })
}

/**
 * Issues NAME.crt and, unless a request is signed, NAME.key. Throws `pki-invalid` for a bad name, a name already issued
 * and not revoked, bad hosts, a bad request, or no authority in the directory.
 */
export async function issue(dir: string, name: string, options: IssueOptions): Promise<IssuedFiles> {
  checkName(name)
  return exclusively(dir, options, async (now, open) => {
    const index = await readIndex(dir)
    const current = currentEntry(index, name)
    if (current && current.revokedAt === undefined) {
      throw new GatewayError('pki-invalid', {
        detail: `${name} has been issued already, until ${current.notAfter.slice(0, 10)}`,
        hint: `sightline pki renew ${name} --dir ${dir}, or revoke it first`,
      })
    }
    return writeLeaf(dir, await open(), { ...options, name, now })
  })
}

/**
 * Issues the name again, same kind and hosts, new serial, and a new key: here, or the request's. A key that is elsewhere is
 * kept where no request is given. The earlier certificate stays good until it ends.
 */
export async function renew(dir: string, name: string, options: RenewOptions = {}): Promise<IssuedFiles> {
  return exclusively(dir, options, async (now, open) => {
    const index = await readIndex(dir)
    const { kind, hosts, keyElsewhere } = goodEntry(dir, index, name)
    const { days, request: asked } = options
    const leaf = { name, kind, hosts, now, keyElsewhere, request: asked, ...(days && { days }) }
    return writeLeaf(dir, await open(), leaf)
  })
}

/** Revokes every certificate of the name that has not been yet, and writes ca.crl anew in any case. */
export async function revoke(dir: string, name: string, options: StoreOptions = {}): Promise<Revoked> {
  return exclusively(dir, options, async (now, open) => {
    knownEntry(dir, await readIndex(dir), name)
    const { authority, index } = await open()
    const serials = index.certificates
      .filter((entry) => entry.name === name && entry.revokedAt === undefined)
      .map((entry) => entry.serial)
    const certificates = index.certificates.map((entry) =>
      serials.includes(entry.serial) ? { ...entry, revokedAt: now.toISOString() } : entry,
    )
    return {
      serials,
      ...(await writeRevocationList(dir, { authority, index: { ...index, certificates } }, now)),
    }
  })
}

/** Writes ca.crl anew, with the same revocations and a new date by which the next is due. */
export async function refreshRevocationList(
  dir: string,
  options: StoreOptions = {},
): Promise<{ revocationListFile: string; nextUpdate: Date }> {
  return exclusively(dir, options, async (now, open) => writeRevocationList(dir, await open(), now))
}

/** All that was issued, with its state. Renewed certificates that have ended are left out. */
export async function list(dir: string, options: StoreOptions = {}): Promise<ListedCertificate[]> {
  return listEntries(await readIndex(dir), options.now ?? new Date())
}

/** The authority's certificate, and its list where it can be read. */
export async function listAuthority(dir: string, options: StoreOptions = {}): Promise<ListedOwn[]> {
  await requireAuthority(dir)
  const now = options.now ?? new Date()
  const [certificate] = certificatesFromPem(await readText(join(dir, 'ca.crt')))
  if (!certificate) throw new GatewayError('internal-error')
  const authority = {
    name: 'ca',
    kind: 'authority' as const,
    serial: normaliseSerial(certificate.serialNumber),
    notBefore: certificate.validFromDate.toISOString(),
    notAfter: certificate.validToDate.toISOString(),
  }
  const revocations = await readRevocations(dir)
  if (!revocations) return [listOwn(authority, now)]
  const { number, thisUpdate, nextUpdate } = revocations
  const revocationList = {
    name: 'ca.crl',
    kind: 'revocation-list' as const,
    ...(number !== undefined && { number }),
    notBefore: thisUpdate.toISOString(),
    notAfter: nextUpdate.toISOString(),
  }
  return [listOwn(authority, now), listOwn(revocationList, now)]
}

/** PKCS#12 bytes of the name's key and certificate and the authority's. Throws `pki-invalid` if it was revoked. */
export async function bundle(dir: string, name: string, password: string): Promise<Buffer> {
  const { keyElsewhere } = goodEntry(dir, await readIndex(dir), name)
  if (keyElsewhere && !(await exists(join(dir, `${name}.key`)))) {
    throw new GatewayError('pki-invalid', {
      detail: `the key of ${name} is not here: it was made elsewhere, and only its request was signed`,
      hint: `where it is: openssl pkcs12 -export -inkey ${name}.key -in ${name}.crt -certfile ca.crt -out ${name}.p12`,
    })
  }
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
 * loopback and for `hosts`, the client `client`. Renews those of them that end within a day, and a revocation list likewise;
 * leaves revoked ones revoked. Returns the files' names that were made, in order.
 */
export async function ensureDevelopmentPki(
  dir: string,
  options: StoreOptions & { readonly hosts?: readonly string[] } = {},
): Promise<{ made: string[] }> {
  const hosts = [...new Set([...DEVELOPMENT_HOSTS, ...(options.hosts ?? [])])]
  await makeDirectory(dir)
  return exclusively(dir, options, async (now, open) => {
    const made: string[] = []
    if (!(await exists(join(dir, 'ca.crt')))) {
      await init(dir, now, options.passphrase)
      made.push('ca.crt', 'ca.crl')
    }
    const wanted = [
      { name: 'gateway', kind: 'server', hosts },
      { name: 'client', kind: 'client', hosts: [] },
      { name: 'origin', kind: 'server', hosts },
    ] as const
    for (const leaf of wanted) {
      const index = await readIndex(dir)
      const current = currentEntry(index, leaf.name)
      const isGood =
        current && (current.revokedAt !== undefined || !endsWithinADay(new Date(current.notAfter), now))
      if (
        isGood &&
        (await exists(join(dir, `${leaf.name}.crt`))) &&
        (await exists(join(dir, `${leaf.name}.key`)))
      ) {
        continue
      }
      await writeLeaf(dir, await open(), {
        ...leaf,
        ...(current && { kind: current.kind, hosts: current.hosts }),
        now,
      })
      made.push(`${leaf.name}.crt`)
    }
    const revocations = await readRevocations(dir)
    if (!revocations || endsWithinADay(revocations.nextUpdate, now)) {
      await writeRevocationList(dir, await open(), now)
      made.push('ca.crl')
    }
    return { made }
  })
}

async function init(dir: string, now: Date, passphrase: string | undefined): Promise<AuthorityFiles> {
  const unfinished = join(dir, UNFINISHED_FILE)
  const leftovers = (await exists(unfinished)) ? [] : ['ca.key', 'index.json']
  for (const file of ['ca.crt', ...leftovers]) {
    if (!(await exists(join(dir, file)))) continue
    throw new GatewayError('pki-invalid', {
      detail: `${dir} holds an authority already (${file})`,
      hint: 'use that one, or give another --dir',
    })
  }
  const authority = await createAuthority({ now, passphrase })
  const [certificateFile, keyFile] = [join(dir, 'ca.crt'), join(dir, 'ca.key')]
  await writeFileAtomically(unfinished, '', PRIVATE_MODE)
  await writeFileAtomically(keyFile, authority.pem.key, PRIVATE_MODE)
  const index: Index = { version: 1, revocationListNumber: 0, certificates: [] }
  const written = await writeRevocationList(dir, { authority, index }, now)
  await writeFileAtomically(certificateFile, authority.pem.certificate, PUBLIC_MODE)
  await removeFile(unfinished)
  return { certificateFile, keyFile, notAfter: authority.certificate.notAfter, ...written }
}

function endsWithinADay(end: Date, now: Date): boolean {
  return daysUntil(end, now) < 1
}
