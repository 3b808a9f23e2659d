// Tells the observer when what is in force ends, and says again and again what ends soon: once a day, and what has ended
// every ten minutes. Rule: at a low rate, whatever clients do and however often files are read again.
import { noticesOf, type CertificateEnd, type EndingPart } from './certificate-ends.ts'
import type { Observer } from './observer.ts'

const LOOK_EVERY_MS = 60_000
const SAY_SOON_EVERY_MS = 86_400_000
const SAY_ENDED_EVERY_MS = 600_000

export class EndReport {
  #observer: Pick<Observer, 'certificateEnds' | 'certificateNotice'>
  #ends: () => readonly CertificateEnd[]
  #said = new Map<string, number>()
  #timer: NodeJS.Timeout

  /** `ends` gives what is in force. */
  constructor(
    observer: Pick<Observer, 'certificateEnds' | 'certificateNotice'>,
    ends: () => readonly CertificateEnd[],
  ) {
    this.#observer = observer
    this.#ends = ends
    this.#timer = setInterval(() => this.look(), LOOK_EVERY_MS).unref()
  }

  /** Now, since something was read. */
  look(): void {
    const now = new Date()
    const ends = this.#ends()
    this.#observer.certificateEnds(ends)
    // What was mended is told at once when it comes again.
    const told = new Map<string, number>()
    const parts = new Set<EndingPart>()
    for (const notice of noticesOf(ends, now).toSorted((one, other) => one.daysLeft - other.daysLeft)) {
      if (parts.has(notice.part)) continue
      parts.add(notice.part)
      const key = `${notice.part} ${notice.ended}`
      const saidMs = this.#said.get(key) ?? -Infinity
      const isTime = now.getTime() - saidMs >= (notice.ended ? SAY_ENDED_EVERY_MS : SAY_SOON_EVERY_MS)
      told.set(key, isTime ? now.getTime() : saidMs)
      if (isTime) this.#observer.certificateNotice(notice)
    }
    this.#said = told
  }

  close(): void {
    clearInterval(this.#timer)
  }
}
