// A directory for one test, removed after it, and a gateway's view of what lies in it.
import { X509Certificate } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { ClientTrust, type ClientIdentity } from '../../src/pki/judge.ts'
import { initAuthority } from '../../src/pki/store.ts'

export const NOW = new Date('2030-03-01T12:00:00Z')

export function after(days: number): Date {
  return new Date(NOW.getTime() + days * 86_400_000)
}

/** A path whose parent exists and which does not yet. */
export async function freshDirectory(): Promise<string> {
  const parent = await mkdtemp(join(tmpdir(), 'sightline-pki-'))
  onTestFinished(() => rm(parent, { recursive: true }))
  return join(parent, 'certs')
}

/** A directory with an authority made at `NOW`. */
export async function freshAuthority(): Promise<string> {
  const dir = await freshDirectory()
  await initAuthority(dir, { now: NOW })
  return dir
}

export async function read(dir: string, file: string): Promise<string> {
  return readFile(join(dir, file), 'utf8')
}

/** What a gateway that uses the directory's authority and list says of a certificate (PEM). */
export async function judge(dir: string, certificate: string, now: Date = NOW): Promise<ClientIdentity> {
  const [authorities, revocationList] = [await read(dir, 'ca.crt'), await read(dir, 'ca.crl')]
  return ClientTrust.load({ authorities, revocationList }).judge(new X509Certificate(certificate), now)
}
