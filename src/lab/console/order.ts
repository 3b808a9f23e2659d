// Checks what the page asks for. Pure. Rules: every field is bounded, can stand where it will stand in a request, and is
// long enough that it is not found in encrypted bytes by chance.
import { z } from 'zod'
import { GatewayError } from '../../errors.ts'
import type { Canaries } from '../canary.ts'
import { TRUTH_TABLE } from '../truth-table.ts'
import type { Choice, Order, OrderProblem } from './wire.ts'

/** Shorter words would be found in encrypted bytes by chance, in one of their encodings. */
const MIN_WORD_BYTES = 8
const MAX_MESSAGE_BYTES = 400
const MAX_WORD_BYTES = 60

/** The ways that a request can go: every mode of the truth table, and who looks the name up. */
export const CHOICES: readonly Choice[] = TRUTH_TABLE.filter(
  ({ variant, scheme }) =>
    scheme === 'http' && (variant === null || variant === 'socks5' || variant === 'socks5h'),
).map(({ mode, variant }) => ({ mode, variant }))

const choice = z.strictObject({ mode: z.string(), variant: z.string().nullable() })
const orderShape = z.strictObject({
  left: choice,
  right: choice,
  scheme: z.enum(['http', 'https']),
  host: z.string(),
  path: z.string(),
  message: z.string(),
  cookie: z.string(),
  password: z.string(),
})

interface Bounds {
  readonly min: number
  readonly max: number
  /** What may stand in the field, whole. */
  readonly allowed: RegExp
}

const BOUNDS: Readonly<Record<'host' | 'path' | 'message' | 'cookie' | 'password', Bounds>> = {
  host: { min: MIN_WORD_BYTES, max: MAX_WORD_BYTES, allowed: /^[a-z0-9]+(-[a-z0-9]+)*$/ },
  path: { min: MIN_WORD_BYTES, max: MAX_WORD_BYTES, allowed: /^[A-Za-z0-9_.-]+(\/[A-Za-z0-9_.-]+)*$/ },
  message: { min: MIN_WORD_BYTES, max: MAX_MESSAGE_BYTES, allowed: /^[^\p{Cc}\p{Cs}]+$/u },
  // RFC 6265 section 4.1.1, cookie-octet, less what a header may not hold.
  cookie: { min: MIN_WORD_BYTES, max: MAX_WORD_BYTES, allowed: /^[!#-+\--:<-[\]-~]+$/ },
  password: { min: MIN_WORD_BYTES, max: MAX_WORD_BYTES, allowed: /^[^\p{Cc}\p{Cs}]+$/u },
}

/** The order, or the first thing that is wrong with it. Throws `bad-request` for what is no order at all. */
export function checkOrder(input: unknown): Order | OrderProblem {
  const parsed = orderShape.safeParse(input)
  if (!parsed.success) throw new GatewayError('bad-request', { side: 'client', detail: 'this is no order' })
  const { data } = parsed
  const [left, right] = [data.left, data.right].map(({ mode, variant }) =>
    CHOICES.find((known) => known.mode === mode && known.variant === variant),
  )
  if (left === undefined || right === undefined) return { field: 'modes', problem: 'unknown' }
  if (left === right) return { field: 'modes', problem: 'same-twice' }
  for (const field of ['host', 'path', 'message', 'cookie', 'password'] as const) {
    const { min, max, allowed } = BOUNDS[field]
    const bytes = Buffer.byteLength(data[field])
    if (bytes < min) return { field, problem: 'too-short' }
    if (bytes > max) return { field, problem: 'too-long' }
    if (!allowed.test(data[field])) return { field, problem: 'characters' }
  }
  return { ...data, left, right }
}

export function isOrder(checked: Order | OrderProblem): checked is Order {
  return 'left' in checked
}

/** Where the words of an order stand in the request. */
export function wordsOf({ host, path, message, cookie, password }: Order): Partial<Canaries> {
  return { hostLabel: host, path, requestBody: message, cookie, sitePassword: password }
}
