// How long things last and from when. Rule: whole seconds, since X.509 knows no less, and every start lies
// five minutes back, so that a peer whose clock is slow does not refuse what was just made.

const DAY_MS = 86_400_000
const SOON_DAYS = 30
const BACKDATE_MS = 5 * 60_000

export interface Validity {
  readonly notBefore: Date
  readonly notAfter: Date
}

/** From five minutes before `now` to `days` after it, and never past `limit`. */
export function validityFrom(now: Date, days: number, limit?: Date): Validity {
  const end = Math.min(now.getTime() + days * DAY_MS, limit?.getTime() ?? Infinity)
  return { notBefore: wholeSecond(now.getTime() - BACKDATE_MS), notAfter: wholeSecond(end) }
}

/** Whole days from `now` until `end`; 0 once less than one is left, or none. */
export function daysUntil(end: Date, now: Date): number {
  return Math.max(0, Math.floor((end.getTime() - now.getTime()) / DAY_MS))
}

/**
 * Time to see to it: less than 30 days are left, or less than a third of the whole where that was short. True of what
 * has ended too.
 */
export function endsSoon(begin: Date, end: Date, now: Date): boolean {
  const wholeMs = end.getTime() - begin.getTime()
  return end.getTime() - now.getTime() < Math.min(SOON_DAYS * DAY_MS, wholeMs / 3)
}

function wholeSecond(ms: number): Date {
  return new Date(Math.floor(ms / 1000) * 1000)
}
