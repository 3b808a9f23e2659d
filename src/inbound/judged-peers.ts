// Who was let in by certificate and is still here. Rules: a connection lives no longer than its certificate is good,
// whatever made it bad (its end, a revocation list, another authority); a list that is past due ends nothing that is
// open, since it says of nobody that they are to go.
import type { ErrorCode } from '../errors.ts'
import type { ClientIdentity } from '../pki/judge.ts'

/** Certificates end by the clock, and no event says so. */
const LOOK_EVERY_MS = 10_000

export class JudgedPeers {
  #peers = new Map<object, { readonly peer: ClientIdentity; readonly end: (code: ErrorCode) => void }>()
  #judge: (peer: ClientIdentity) => ErrorCode | undefined
  #timer: NodeJS.Timeout

  /** `judge` says what now speaks against somebody; undefined where nothing does. */
  constructor(judge: (peer: ClientIdentity) => ErrorCode | undefined) {
    this.#judge = judge
    this.#timer = setInterval(() => this.judgeAgain(), LOOK_EVERY_MS).unref()
  }

  /** `end` is called at most once, unless `connection` has left before. */
  entered(connection: object, peer: ClientIdentity, end: (code: ErrorCode) => void): void {
    this.#peers.set(connection, { peer, end })
  }

  left(connection: object): void {
    this.#peers.delete(connection)
  }

  /** What speaks against something new on a connection that is open. */
  problemOf(peer: ClientIdentity): ErrorCode | undefined {
    return this.#judge(peer)
  }

  /** Ends every connection whose certificate is not good any more, with the code that says why. */
  judgeAgain(): void {
    for (const [connection, { peer, end }] of this.#peers) {
      const code = this.#judge(peer)
      if (code === undefined || code === 'revocation-list-unusable') continue
      this.#peers.delete(connection)
      end(code)
    }
  }

  close(): void {
    clearInterval(this.#timer)
    this.#peers.clear()
  }
}
