// Finds the gateway to use, of a list in order of preference. Rules: the next one is tried when the one before has
// failed or has taken a second; the first that lets us in is used and the others are called off; and why there is
// none is told by the one that is preferred.
import { GatewayError, toGatewayError, type ErrorCode } from '../errors.ts'

const HEAD_START_MS = 1_000

/** What no waiting mends: the gateway knows this certificate and refuses it. */
const FINAL: ReadonlySet<ErrorCode> = new Set([
  'certificate-required',
  'certificate-untrusted',
  'certificate-expired',
  'certificate-wrong-usage',
  'certificate-revoked',
])

export function isFinal({ code }: GatewayError): boolean {
  return FINAL.has(code)
}

/** Why no gateway of the list was reached. */
export interface Unreached {
  /** That of the gateway that is preferred. */
  readonly error: GatewayError
  /** Every one of them knows this certificate and refuses it. */
  readonly refused: boolean
}

export type RaceOutcome<T> = { readonly link: T; readonly index: number } | Unreached

export interface Race<T> {
  readonly outcome: Promise<RaceOutcome<T>>
  /** Calls every attempt off; the outcome is then `stream-cancelled`. */
  cancel(): void
}

/** `dial` must end soon after its signal does. `discard` gets what came too late to be used. */
export function raceGateways<G, T>(
  gateways: readonly G[],
  dial: (gateway: G, signal: AbortSignal) => Promise<T>,
  discard: (link: T) => void,
): Race<T> {
  const failures = new Map<number, GatewayError>()
  const attempts: AbortController[] = []
  const { promise: outcome, resolve } = Promise.withResolvers<RaceOutcome<T>>()
  let timer: NodeJS.Timeout | undefined
  let over = false

  const end = (result: RaceOutcome<T>): void => {
    over = true
    clearTimeout(timer)
    for (const attempt of attempts) attempt.abort()
    resolve(result)
  }
  const startNext = (): void => {
    clearTimeout(timer)
    const index = attempts.length
    const gateway = gateways[index]
    if (over || gateway === undefined) return
    const attempt = new AbortController()
    attempts.push(attempt)
    timer = setTimeout(startNext, HEAD_START_MS)
    dial(gateway, attempt.signal).then(
      (link) => {
        if (over) discard(link)
        else end({ link, index })
      },
      (thrown: unknown) => {
        if (over) return
        failures.set(index, toGatewayError(thrown, 'upstream', 'tunnel-unavailable'))
        if (failures.size < gateways.length) return startNext()
        const errors = gateways.map((_gateway, at) => failures.get(at)).filter((error) => error !== undefined)
        const [error = new GatewayError('tunnel-unavailable')] = errors
        end({ error, refused: errors.every(isFinal) })
      },
    )
  }
  startNext()
  return {
    outcome,
    cancel: () => {
      if (!over) end({ error: new GatewayError('stream-cancelled'), refused: false })
    },
  }
}
