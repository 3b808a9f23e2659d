// What one identity (a user, or the name of a certificate) may have: streams, requests and associations at once,
// tunnel sessions, bytes a second and bytes a day. Rules: who is nobody in particular is limited by source alone
// (admission.ts); where neither bytes nor lifetime are limited, a chunk costs one comparison; an identity is forgotten
// once nothing of it is open and nothing of its day has to be remembered.
import type { Limits } from '../config/schema.ts'
import { GatewayError, type ErrorCode } from '../errors.ts'
import { Counts, DailyUse } from '../policy/limits.ts'
import { RecentTable } from '../policy/limits-recent.ts'
import { TokenBucket } from '../policy/token-bucket.ts'
import { keyOf, type Identity } from '../protocol/request.ts'
import type { Account } from './ledger.ts'
import type { Direction } from './observer.ts'
import type { ByteCounter, ByteShare, ByteUse, Places, Soon } from './places.ts'

export interface LimitClocks {
  /** Goes forward, from anywhere. */
  readonly nowMs: () => number
  /** Since 1970, UTC. */
  readonly epochMs: () => number
}

/** Others that count the same identities. */
export interface Others {
  /** Nothing new is taken under a quota now: what they count cannot be known. */
  readonly refuses: () => boolean
  /** Somebody is here of whom nothing is known yet. */
  readonly appeared: () => void
}

/** Who keeps what each identity moves. */
export interface Books {
  readonly enter: (identity: Identity) => Account | undefined
  readonly leave: (account: Account) => void
  /** Bytes, as far as they are known here; of processes before this one too. */
  readonly usedToday: (identity: Identity) => number
}

const NO_OTHERS: Others = { refuses: () => false, appeared: () => {} }
const NO_BOOKS: Books = { enter: () => undefined, leave: () => {}, usedToday: () => 0 }

/** Identities of which bytes are counted. Each has proved who it is, so nobody can fill this. */
const METERED_MAX = 100_000

export class IdentityLimits implements ByteCounter {
  limits: Limits
  readonly books: Books
  #clocks: LimitClocks
  #others: Others
  #quotas: ReadonlyMap<string, number>
  #places: Places | undefined
  #requests = new Counts()
  #sessions = new Counts()
  #meters = new RecentTable<ByteMeter>(METERED_MAX)
  /** Those that a change of their users file may end. */
  #ofUsers = new Set<Stay>()

  /** `places`: where other workers count too. */
  constructor(limits: Limits, clocks: LimitClocks, others = NO_OTHERS, books = NO_BOOKS, places?: Places) {
    this.limits = limits
    this.books = books
    this.#quotas = quotasOf(limits)
    this.#clocks = clocks
    this.#others = others
    this.#places = places
    places?.countedBy(this)
  }

  /** What moved here today, of each identity under a quota of which others do not know all. */
  untold(): DayOfIdentity[] {
    const nowMs = this.#clocks.epochMs()
    return [...this.#meters.entries()].flatMap(([key, { today, isUnderQuota }]) => {
      const use = isUnderQuota ? today.untold(nowMs) : undefined
      return use === undefined ? [] : [{ key, ...use }]
    })
  }

  /** Others know of this now; `elsewhere` is what they count besides. */
  told({ key, day, used }: DayOfIdentity, elsewhere: number): void {
    const meter = this.#meters.peek(key)
    meter?.today.told(day, used, elsewhere)
    meter?.endUsedUp()
  }

  /** Others may have forgotten what they were told. */
  tellAgain(): void {
    for (const { today } of this.#meters.values()) today.tellAgain()
  }

  fresh(): ByteUse[] {
    const nowMs = this.#clocks.epochMs()
    return [...this.#meters.entries()].flatMap(([key, meter]) => {
      const moved = meter.takeMoved()
      return moved === 0 ? [] : [{ key, ...meter.today.here(nowMs), moved }]
    })
  }

  learn(share: ByteShare): void {
    this.#meters.peek(share.key)?.learn(share)
  }

  /** Other limits from the next request on; bytes that are counted already go on under them at once. */
  reload(limits: Limits): void {
    this.limits = limits
    this.#quotas = quotasOf(limits)
    for (const [key, meter] of this.#meters.entries()) meter.reload(limits, this.#perDay(key))
  }

  #perDay(key: string): number {
    return this.#quotas.get(key) ?? this.limits.bytesPerDayPerIdentity
  }

  /** For one request or association; takes no place yet. `usersFile` is what knows the user, where one asks. */
  stay(identity: Identity | undefined, usersFile?: string): Stay {
    const user = identity?.kind === 'user' &&
      usersFile !== undefined && { name: identity.name, file: usersFile }
    return new Stay(this, identity, user || undefined)
  }

  /** Ends all that users of this file have open who are gone; `fileNow` gives the file by which others are known from now on. */
  judgeUsers(file: string, fileNow: (name: string) => string | undefined): void {
    for (const stay of this.#ofUsers) {
      if (stay.user?.file !== file) continue
      const now = fileNow(stay.user.name)
      if (now === undefined) stay.end('user-removed')
      else if (now !== file) stay.user = { name: stay.user.name, file: now }
    }
  }

  /** For a stay that enters. */
  watch(stay: Stay): void {
    if (stay.user !== undefined) this.#ofUsers.add(stay)
  }

  unwatch(stay: Stay): void {
    this.#ofUsers.delete(stay)
  }

  /** Takes a place among the tunnel sessions of an identity, or says why there is none. */
  enterSession(identity: Identity | undefined): Soon<ErrorCode | undefined> {
    if (identity === undefined) return undefined
    const key = keyOf(identity)
    const answer = (ok: boolean): ErrorCode | undefined => (ok ? undefined : 'too-many-for-identity')
    if (this.#places !== undefined) return this.#places.enterSession(key).then(answer)
    return answer(this.#sessions.enter(key, this.limits.sessionsPerIdentity))
  }

  leaveSession(identity: Identity | undefined): void {
    if (identity === undefined) return
    if (this.#places === undefined) this.#sessions.leave(keyOf(identity))
    else this.#places.leaveSession(keyOf(identity))
  }

  /** For a stay. Errors: `too-many-for-identity`, `quota-exceeded`, `state-unavailable`. */
  enter(identity: Identity): ByteMeter | undefined {
    const key = keyOf(identity)
    const { connectionsPerIdentity, bytesPerSecondPerIdentity } = this.limits
    const perDay = this.#perDay(key)
    let meter: ByteMeter | undefined
    if (bytesPerSecondPerIdentity > 0 || perDay > 0) {
      if (perDay > 0 && this.#others.refuses()) throw new GatewayError('state-unavailable', { side: 'self' })
      meter = this.#meters.get(key)
      if (meter === undefined) {
        meter = new ByteMeter(this.#clocks, () => this.books.usedToday(identity))
        meter.reload(this.limits, perDay)
        this.#others.appeared()
      }
      this.#meters.set(key, meter)
      if (meter.isUsedUp) throw new GatewayError('quota-exceeded', { side: 'client' })
    }
    if (!this.#requests.enter(key, connectionsPerIdentity))
      throw new GatewayError('too-many-for-identity', { side: 'client' })
    return meter
  }

  /** For a stay that has its place here: one among all workers besides. Undefined where there are no others. */
  enterAmongAll(identity: Identity, meter: ByteMeter | undefined): Promise<void> | undefined {
    const key = keyOf(identity)
    return this.#places?.enterIdentity(key).then((share) => {
      if (share === undefined) {
        this.#leaveHere(key)
        throw new GatewayError('too-many-for-identity', { side: 'client' })
      }
      meter?.learn(share)
      if (meter?.isUsedUp !== true) return
      this.leave(identity)
      throw new GatewayError('quota-exceeded', { side: 'client' })
    })
  }

  /** For a stay. */
  leave(identity: Identity): void {
    const key = keyOf(identity)
    this.#places?.leaveIdentity(key)
    this.#leaveHere(key)
  }

  #leaveHere(key: string): void {
    this.#requests.leave(key)
    if (this.#requests.of(key) === 0 && this.#meters.peek(key)?.isIdle === true) this.#meters.delete(key)
  }
}

/** Bytes of one identity on one day (since 1970, UTC). */
export interface DayOfIdentity {
  readonly key: string
  readonly day: number
  readonly used: number
}

interface UserOfFile {
  readonly name: string
  readonly file: string
}

/** One request's or association's part in the limits of its identity. */
export class Stay {
  user: UserOfFile | undefined
  /** Settled once it has its place among all workers too; undefined where `enter` was enough. Errors: as there. */
  place: Promise<void> | undefined
  #owner: IdentityLimits
  #identity: Identity | undefined
  #entered = false
  #account: Account | undefined
  #meter: ByteMeter | undefined
  #over: AbortController | undefined
  /** Perhaps while it was still waiting for its place. */
  #ended: ErrorCode | undefined
  #lifetime: NodeJS.Timeout | undefined

  constructor(owner: IdentityLimits, identity: Identity | undefined, user: UserOfFile | undefined) {
    this.#owner = owner
    this.#identity = identity
    this.user = user
  }

  /** Takes its place. Errors: `too-many-for-identity`, `quota-exceeded`, `state-unavailable`. */
  enter(): void {
    this.#owner.watch(this)
    if (this.#identity === undefined) return this.#begin(undefined)
    const meter = this.#owner.enter(this.#identity)
    const among = this.#owner.enterAmongAll(this.#identity, meter)
    if (among === undefined) this.#begin(meter)
    else this.place = among.then(() => this.#begin(meter))
  }

  #begin(meter: ByteMeter | undefined): void {
    const { lifetimeMs } = this.#owner.limits
    this.#meter = meter
    this.#entered = this.#identity !== undefined
    if (this.#identity !== undefined) this.#account = this.#owner.books.enter(this.#identity)
    if (this.#ended !== undefined) throw new GatewayError(this.#ended, { side: 'client' })
    if (this.#meter === undefined && lifetimeMs === 0 && this.user === undefined) return
    this.#over = new AbortController()
    this.#meter?.stays.add(this)
    if (lifetimeMs > 0) this.#lifetime = setTimeout(() => this.end('lifetime-exceeded'), lifetimeMs).unref()
  }

  /** Ends with a GatewayError as its reason when the stay is over; undefined where nothing can end it. */
  get over(): AbortSignal | undefined {
    return this.#over?.signal
  }

  /** What it asked for stands. */
  opened(): void {
    if (this.#account !== undefined) this.#account.streams += 1
  }

  /** Counts what moved; gives the milliseconds for which this direction has to rest. */
  spend(direction: Direction, bytes: number): number {
    this.#account?.count(direction, bytes)
    return this.#meter === undefined ? 0 : this.#meter.spend(direction, bytes)
  }

  /** Counts a datagram; false where it has to be dropped instead, since none is ever held. */
  spendDatagram(direction: Direction, bytes: number): boolean {
    if (this.#meter?.spendDatagram(direction, bytes) === false) return false
    this.#account?.count(direction, bytes)
    return true
  }

  end(code: ErrorCode): void {
    this.#ended = code
    this.#over?.abort(new GatewayError(code, { side: 'client' }))
  }

  /** Gives its place back. Without effect when repeated, or where it took none. */
  leave(): void {
    clearTimeout(this.#lifetime)
    this.#meter?.stays.delete(this)
    this.#owner.unwatch(this)
    if (this.#account !== undefined) this.#owner.books.leave(this.#account)
    this.#account = undefined
    if (this.#entered && this.#identity !== undefined) this.#owner.leave(this.#identity)
    this.#entered = false
  }
}

/** The bytes of one identity, over all that it has open. */
class ByteMeter {
  readonly stays = new Set<Stay>()
  readonly today = new DailyUse()
  #clocks: LimitClocks
  #before: () => number
  #up: TokenBucket | undefined
  #down: TokenBucket | undefined
  #perSecond = 0
  #perDay = 0
  /** Of the bytes a second, where other workers have a part of them. */
  #share = 1
  /** Since `takeMoved`. */
  #moved = 0

  /** `before`: what was used today and is not counted here. */
  constructor(clocks: LimitClocks, before: () => number) {
    this.#clocks = clocks
    this.#before = before
  }

  get isUnderQuota(): boolean {
    return this.#perDay > 0
  }

  reload({ bytesPerSecondPerIdentity }: Limits, perDay: number): void {
    if (perDay > 0 && this.#perDay === 0) this.today.usedBefore(this.#before(), this.#clocks.epochMs())
    this.#perDay = perDay
    if (bytesPerSecondPerIdentity === this.#perSecond) return
    this.#perSecond = bytesPerSecondPerIdentity
    const bucket = (): TokenBucket | undefined =>
      this.#perSecond > 0 ? new TokenBucket(this.#perSecond * this.#share, this.#clocks.nowMs()) : undefined
    this.#up = bucket()
    this.#down = bucket()
  }

  takeMoved(): number {
    const moved = this.#moved
    this.#moved = 0
    return moved
  }

  learn({ day, elsewhere, share }: ByteShare): void {
    this.today.learn(day, elsewhere)
    if (share !== this.#share) {
      this.#share = share
      const nowMs = this.#clocks.nowMs()
      for (const bucket of [this.#up, this.#down]) bucket?.retune(this.#perSecond * share, nowMs)
    }
    this.endUsedUp()
  }

  get isUsedUp(): boolean {
    return this.#perDay > 0 && this.today.add(0, this.#clocks.epochMs()) >= this.#perDay
  }

  /** Nothing of the day or of the last seconds would be lost with it. */
  get isIdle(): boolean {
    const nowMs = this.#clocks.nowMs()
    const isPaid = this.#up === undefined || (this.#up.debtMs(nowMs) === 0 && this.#down?.debtMs(nowMs) === 0)
    return (
      isPaid &&
      this.stays.size === 0 &&
      (this.#perDay === 0 || this.today.add(0, this.#clocks.epochMs()) === 0)
    )
  }

  spend(direction: Direction, bytes: number): number {
    this.#moved += bytes
    if (this.#perDay > 0 && this.today.add(bytes, this.#clocks.epochMs()) > this.#perDay) this.#endAll()
    return this.#bucket(direction)?.spend(bytes, this.#clocks.nowMs()) ?? 0
  }

  /** More was used, elsewhere. */
  endUsedUp(): void {
    if (this.isUsedUp) this.#endAll()
  }

  #endAll(): void {
    for (const stay of this.stays) stay.end('quota-exceeded')
  }

  spendDatagram(direction: Direction, bytes: number): boolean {
    if ((this.#bucket(direction)?.debtMs(this.#clocks.nowMs()) ?? 0) > 0) return false
    this.spend(direction, bytes)
    return true
  }

  #bucket(direction: Direction): TokenBucket | undefined {
    return direction === 'up' ? this.#up : this.#down
  }
}

function quotasOf({ quotas }: Limits): ReadonlyMap<string, number> {
  return new Map(
    quotas.map(({ kind, identity, bytesPerDay }) => [keyOf({ kind, name: identity }), bytesPerDay]),
  )
}
