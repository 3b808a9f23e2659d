// Users of a proxy: a file of `name:hash` lines, hashes made with scrypt (RFC 7914). Rules: an unknown name costs
// as much time as a wrong password; verified credentials are remembered for minutes under a keyed hash, so that
// scrypt (25 ms) is paid once; checks at once are capped, since scrypt shares a small thread pool. Who may be checked
// when is the matter of users-sign-in.ts.
import { createHmac, randomBytes, scrypt, timingSafeEqual } from 'node:crypto'
import { GatewayError } from '../errors.ts'
import { RecentTable } from '../policy/limits-recent.ts'

const COST = { N: 16_384, r: 8, p: 1 } as const
const HASH_BYTES = 32
const MAX_CHECK_BYTES = 256 * 1024 * 1024
/** N * r * p: 128 times what `sightline user add` asks for. */
const MAX_CHECK_COST = 2 ** 24
const REMEMBER_MS = 5 * 60_000
const REMEMBERED_MAX = 10_000
const CHECKS_AT_ONCE = 2
const CHECKS_WAITING_MAX = 128

export interface StoredHash {
  readonly N: number
  readonly r: number
  readonly p: number
  readonly salt: Buffer
  readonly hash: Buffer
}

function derive(password: string, stored: Omit<StoredHash, 'hash'>): Promise<Buffer> {
  const { N, r, p, salt } = stored
  return new Promise((resolve, reject) => {
    scrypt(password.normalize('NFC'), salt, HASH_BYTES, { N, r, p, maxmem: 256 * N * r }, (error, hash) =>
      error ? reject(error) : resolve(hash),
    )
  })
}

/** The line part after the name: `scrypt$N$r$p$salt$hash`, both base64. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16)
  const hash = await derive(password, { ...COST, salt })
  return `scrypt$${COST.N}$${COST.r}$${COST.p}$${salt.toString('base64')}$${hash.toString('base64')}`
}

/** Reads a users file; empty lines and lines that start with # are skipped. Errors: `config-invalid`, with the line. */
export function parseUsers(text: string, file: string): Map<string, StoredHash> {
  const users = new Map<string, StoredHash>()
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue
    const match =
      /^([^:\s]{1,255}):scrypt\$(\d{1,8})\$(\d{1,2})\$(\d{1,2})\$([A-Za-z0-9+/=]{8,})\$([A-Za-z0-9+/=]{43,44})$/.exec(
        line,
      )
    if (match === null) {
      throw new GatewayError('config-invalid', {
        detail: `${file}: line ${index + 1} is not name:scrypt-hash`,
        hint: `write it with: sightline user add NAME --file ${file}`,
      })
    }
    const [, name = '', N, r, p, salt = '', hash = ''] = match
    const stored = {
      N: Number(N),
      r: Number(r),
      p: Number(p),
      salt: Buffer.from(salt, 'base64'),
      hash: Buffer.from(hash, 'base64'),
    }
    if (!isUsable(stored)) {
      throw new GatewayError('config-invalid', {
        detail: `${file}: line ${index + 1} has a scrypt-hash that cannot be checked, or at too great a cost`,
        hint: `write it anew with: sightline user add NAME --file ${file}`,
      })
    }
    users.set(name, stored)
  }
  return users
}

/**
 * What scrypt takes (RFC 7914 section 6), within the memory that `derive` gives it, and in no more time than some
 * seconds: else the line would fail, or hold up everybody, at the first sign-in.
 */
function isUsable({ N, r, p, salt, hash }: StoredHash): boolean {
  const isPowerOfTwo = N > 1 && Number.isInteger(Math.log2(N))
  if (!isPowerOfTwo || r < 1 || p < 1 || p + 2 > N || salt.length === 0 || hash.length !== HASH_BYTES)
    return false
  return 128 * N * r <= MAX_CHECK_BYTES && N * r * p <= MAX_CHECK_COST
}

/** The users of one file, as it stood when it was read. */
export class Users {
  #users: ReadonlyMap<string, StoredHash>
  #key = randomBytes(32)
  #remembered = new RecentTable<number>(REMEMBERED_MAX)
  #nowMs: () => number
  #running = 0
  #waiting: Array<() => void> = []
  #nobody: StoredHash = { ...COST, salt: randomBytes(16), hash: randomBytes(HASH_BYTES) }

  constructor(users: ReadonlyMap<string, StoredHash>, nowMs: () => number = () => performance.now()) {
    this.#users = users
    this.#nowMs = nowMs
  }

  /** Whether a name is there, with the password that it has in `other`. */
  isSame(name: string, other: Users): boolean {
    const [own, theirs] = [this.#users.get(name), other.#users.get(name)]
    return (
      own !== undefined &&
      theirs !== undefined &&
      own.hash.equals(theirs.hash) &&
      own.salt.equals(theirs.salt)
    )
  }

  /** Stands for these credentials wherever they have to be compared or kept; says nothing of them. */
  keyOf(name: string, password: string): string {
    return createHmac('sha256', this.#key).update(`${name.length}:${name}${password}`).digest('base64')
  }

  /** True where these credentials were right minutes ago. Costs nothing. */
  remembers(key: string): boolean {
    const untilMs = this.#remembered.peek(key)
    if (untilMs === undefined) return false
    if (untilMs > this.#nowMs()) return true
    this.#remembered.delete(key)
    return false
  }

  /** False where name or password is wrong. Errors: `too-many-connections` where too many checks wait. */
  async check(name: string, password: string): Promise<boolean> {
    await this.#turn()
    try {
      const stored = this.#users.get(name)
      const hash = await derive(password, stored ?? this.#nobody)
      if (stored === undefined || !timingSafeEqual(hash, stored.hash)) return false
    } finally {
      this.#running -= 1
      this.#waiting.shift()?.()
    }
    this.#remembered.set(this.keyOf(name, password), this.#nowMs() + REMEMBER_MS)
    return true
  }

  async #turn(): Promise<void> {
    if (this.#running >= CHECKS_AT_ONCE) {
      if (this.#waiting.length >= CHECKS_WAITING_MAX) throw new GatewayError('too-many-connections')
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
    this.#running += 1
  }
}
