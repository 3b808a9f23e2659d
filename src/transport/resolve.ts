// What a look-up of a name gives to whoever dials. Rule: an answer is addresses only, so that what was judged can
// be dialled as it stands; who waits for a look-up may leave it, and the look-up still ends by its own deadline.

/** Gives every address of a name, in the order to try them. Errors: `name-not-found`, `name-lookup-failed`. */
export type Resolve = (name: string, withinMs: number) => Promise<readonly string[]>

/** The answer of one address family, while that of the other is on its way (RFC 8305 section 3). */
export interface FirstAnswer {
  readonly addresses: readonly string[]
  /** What the other family adds, perhaps nothing. Never rejects. */
  readonly later: Promise<readonly string[]>
}

export type Found = readonly string[] | FirstAnswer

/**
 * As `Resolve`, for who can begin with one family: what is known already comes at once, with no promise (and no
 * known name throws at once), the rest as soon as it is worth a dial. Every `Resolve` is one.
 */
export type Lookup = (name: string, withinMs: number) => readonly string[] | Promise<Found>

/** Who looks names up for a gateway. */
export interface Names {
  readonly lookup: Lookup
  readonly resolve: Resolve
  /** Open look-ups fail. */
  destroy(): void
}

/** One function as the whole of it: a test's, the lab's. */
export function namesFrom(resolve: Resolve): Names {
  return { lookup: resolve, resolve, destroy: () => {} }
}

/** Time, passed in, so that tests need not wait. */
export interface Clock {
  /** Milliseconds since any moment; never goes back. */
  now(): number
  /** Calls `run` once after `ms`; what it gives calls that off. Keeps no process up. */
  after(ms: number, run: () => void): () => void
}

export const SYSTEM_CLOCK: Clock = {
  now: () => performance.now(),
  after: (ms, run) => {
    const timer = setTimeout(run, ms).unref()
    return () => clearTimeout(timer)
  },
}
