// How long things last and from when. Rule: whole seconds, since X.509 knows no less, and every start lies
// five minutes back, so that a peer whose clock is slow does not refuse what was just made.

const DAY_MS = 86_400_000
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

function wholeSecond(ms: number): Date {
  return new Date(Math.floor(ms / 1000) * 1000)
}
