// An authority in memory with one certificate for each verdict. Keys are made anew for each call and never
// touch the disk. Rule: everything lies around `now`, by default the clock, so that real TLS accepts it too.
import { createAuthority, openAuthority, type PemPair } from '../../src/pki/authority.ts'
import { issueLeaf, type Leaf } from '../../src/pki/leaf.ts'
import { createRevocationList } from '../../src/pki/revocation-list.ts'

const DAY_MS = 86_400_000
const HOSTS = ['localhost', '127.0.0.1', '::1']

export interface TestPki {
  readonly authority: PemPair
  /** Signed by `authority`; holds `revoked` and nothing else. */
  readonly revocationList: string
  /** `gateway` for localhost, 127.0.0.1 and ::1. */
  readonly server: Leaf
  /** `alice`, whom every judge lets in. */
  readonly client: Leaf
  /** `edgar`, ended 20 days ago. */
  readonly expired: Leaf
  /** `nina`, begins in 10 days. */
  readonly notYetValid: Leaf
  /** `rita`, on the revocation list. */
  readonly revoked: Leaf
  /** `walter`, issued as a server's. */
  readonly wrongUsage: Leaf
  readonly otherAuthority: PemPair
  /** `alice` too, but issued by `otherAuthority`. */
  readonly foreign: Leaf
  /** A further client of `authority`. */
  issueClient(name: string): Promise<Leaf>
  /** A newer list that revokes exactly these, signed by `authority`. */
  revoke(...leaves: Leaf[]): Promise<string>
}

export async function makeTestPki(now: Date = new Date()): Promise<TestPki> {
  const dayAt = (days: number): Date => new Date(now.getTime() + days * DAY_MS)
  const authority = await createAuthority({ now: dayAt(-60) })
  const other = await createAuthority({ now: dayAt(-60) })
  const client = { kind: 'client', hosts: [], now } as const
  let number = 0
  const revoke = async (...leaves: Leaf[]): Promise<string> => {
    number += 1
    const revocations = leaves.map(({ serial }) => ({ serial, revokedAt: now }))
    return (await createRevocationList(openAuthority(authority.pem), { revocations, number, now })).pem
  }
  const revoked = await issueLeaf(authority, { ...client, name: 'rita' })
  return {
    authority: authority.pem,
    revocationList: await revoke(revoked),
    server: await issueLeaf(authority, { name: 'gateway', kind: 'server', hosts: HOSTS, now }),
    client: await issueLeaf(authority, { ...client, name: 'alice' }),
    expired: await issueLeaf(authority, { ...client, name: 'edgar', now: dayAt(-30), days: 10 }),
    notYetValid: await issueLeaf(authority, { ...client, name: 'nina', now: dayAt(10) }),
    revoked,
    wrongUsage: await issueLeaf(authority, { name: 'walter', kind: 'server', hosts: HOSTS, now }),
    otherAuthority: other.pem,
    foreign: await issueLeaf(other, { ...client, name: 'alice' }),
    issueClient: (name) => issueLeaf(authority, { ...client, name }),
    revoke,
  }
}
