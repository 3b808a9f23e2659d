// What counts over all workers, kept by the primary alone: places, rates of new connections, sign-ins that failed, bytes of
// identities. Rules: it is the same counting as in one process, so nothing is ever let in past a limit; and what a worker
// held is given back when it ends, however it ends.
import type { Limits } from '../config/schema.ts'
import { Admission } from '../gateway/admission.ts'
import type { ByteShare } from '../gateway/places.ts'
import { SignInDelays } from '../gateway/sign-in-delays.ts'
import type { DelaySteps } from '../policy/failure-delay.ts'
import { Counts } from '../policy/limits.ts'
import { identityOf, type Identity } from '../protocol/request.ts'
import { ByteBook } from './byte-book.ts'
import type { Notice, Question } from './messages.ts'

export interface HeadCountClocks {
  /** Goes forward, from anywhere. */
  readonly nowMs: () => number
  /** Since 1970, UTC. */
  readonly epochMs: () => number
}

const NOTHING_BEFORE = (): number => 0

/** What one worker has of all that is counted. */
class Held {
  connections = 0
  associations = 0
  readonly sources = new Tally()
  readonly sessions = new Tally()
  readonly requests = new Tally()
}

/** How many of each key. */
class Tally extends Map<string, number> {
  add(key: string): void {
    this.set(key, (this.get(key) ?? 0) + 1)
  }

  /** False where there is none. */
  take(key: string): boolean {
    const count = this.get(key) ?? 0
    if (count > 1) this.set(key, count - 1)
    else this.delete(key)
    return count > 0
  }
}

export class HeadCount {
  #limits: Limits
  #clocks: HeadCountClocks
  #admission: Admission
  #sessions = new Counts()
  #requests = new Counts()
  #associations = 0
  #bytes: ByteBook
  #held = new Map<number, Held>()
  #delays: SignInDelays | undefined

  /** `before`: what an identity moved today as far as it was written down. */
  constructor(
    limits: Limits,
    clocks: HeadCountClocks,
    before: (identity: Identity) => number = NOTHING_BEFORE,
  ) {
    this.#limits = limits
    this.#clocks = clocks
    this.#admission = new Admission(limits, clocks.nowMs)
    this.#bytes = new ByteBook(clocks.epochMs, (key) => before(identityOf(key)))
  }

  /** Other limits from the next question on. */
  reload(limits: Limits): void {
    this.#limits = limits
    this.#admission.reload(limits)
  }

  /** What `worker` asked, or told: then the answer is nothing. */
  answer(worker: number, ask: Question | Notice): unknown {
    const held = this.#heldBy(worker)
    switch (ask[0]) {
      case 'enter':
        return this.#enter(held, ask[1])
      case 'enter-from': {
        const full = this.#admission.enterFrom(ask[1])
        if (full === undefined) held.sources.add(ask[1])
        return full
      }
      case 'leave':
        held.connections -= 1
        if (ask[1] !== null) held.sources.take(ask[1])
        return this.#admission.leave(ask[1] ?? undefined)
      case 'leave-from':
        if (held.sources.take(ask[1])) this.#admission.leaveFrom(ask[1])
        return undefined
      case 'enter-session': {
        const isIn = this.#sessions.enter(ask[1], this.#limits.sessionsPerIdentity)
        if (isIn) held.sessions.add(ask[1])
        return isIn
      }
      case 'leave-session':
        if (held.sessions.take(ask[1])) this.#sessions.leave(ask[1])
        return undefined
      case 'enter-identity':
        return this.#enterIdentity(worker, held, ask[1])
      case 'leave-identity':
        if (held.requests.take(ask[1])) this.#requests.leave(ask[1])
        return this.#bytes.leave(worker, ask[1])
      case 'enter-association': {
        const isIn = this.#associations < this.#limits.udpAssociations
        if (isIn) {
          this.#associations += 1
          held.associations += 1
        }
        return isIn
      }
      case 'leave-association':
        this.#associations -= 1
        held.associations -= 1
        return undefined
      case 'reserve':
        return this.#delaysBy(ask[3]).reserve(ask[1], ask[2], this.#clocks.nowMs())
      case 'failed':
        return this.#delaysBy(ask[3]).failed(ask[1], ask[2], this.#clocks.nowMs())
      case 'succeeded':
        return this.#delays?.succeeded(ask[1], ask[2])
      case 'bytes':
        return this.#bytes.count(worker, ask[1])
    }
  }

  /** What each worker has to know now of the bytes of identities. */
  look(): Map<number, ByteShare[]> {
    return this.#bytes.look()
  }

  /** It ended: all that it held is free. */
  gone(worker: number): void {
    const held = this.#held.get(worker)
    if (held === undefined) return
    this.#held.delete(worker)
    for (let count = held.connections; count > 0; count -= 1) this.#admission.leave(undefined)
    for (const [source, count] of held.sources)
      for (let left = count; left > 0; left -= 1) this.#admission.leaveFrom(source)
    for (const [key, count] of held.sessions)
      for (let left = count; left > 0; left -= 1) this.#sessions.leave(key)
    for (const [key, count] of held.requests)
      for (let left = count; left > 0; left -= 1) this.#requests.leave(key)
    this.#associations -= held.associations
    this.#bytes.gone(worker)
  }

  #heldBy(worker: number): Held {
    const known = this.#held.get(worker)
    if (known !== undefined) return known
    const held = new Held()
    this.#held.set(worker, held)
    return held
  }

  #enter(held: Held, source: string | null): unknown {
    const full = this.#admission.enter(source ?? undefined)
    if (full !== undefined) return full
    held.connections += 1
    if (source !== null) held.sources.add(source)
    return undefined
  }

  #enterIdentity(worker: number, held: Held, key: string): ByteShare | undefined {
    const { connectionsPerIdentity, bytesPerDayPerIdentity, bytesPerSecondPerIdentity, quotas } = this.#limits
    if (!this.#requests.enter(key, connectionsPerIdentity)) return undefined
    held.requests.add(key)
    if (bytesPerDayPerIdentity > 0 || bytesPerSecondPerIdentity > 0 || quotas.length > 0)
      return this.#bytes.enter(worker, key)
    return { key, day: 0, elsewhere: 0, share: 1 }
  }

  #delaysBy(steps: DelaySteps): SignInDelays {
    this.#delays ??= new SignInDelays(steps)
    return this.#delays
  }
}
