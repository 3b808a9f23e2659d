// What replicas share a store by, in a config file: the shape, and how its address is read. Pure. Rule: no message repeats
// the address, which may hold a password.
import { z } from 'zod'
import type { Problem } from './outbounds.ts'

const path = z.string().min(1)
const DEFAULT_PORT = 6379
const EXAMPLE = 'rediss://redis.example:6379'
const DATABASES_MAX = 1_024

export interface StateUrl {
  readonly secure: boolean
  /** Without brackets. */
  readonly host: string
  readonly port: number
  readonly database: number
  readonly username: string | undefined
  readonly password: string | undefined
}

/** Reads `redis[s]://[user:password@]host[:port][/database]`, or says what is wrong with it. */
export function readStateUrl(text: string): StateUrl | { readonly problem: string } {
  const problem = `not the address of a Redis or Valkey server; write it as ${EXAMPLE}, or redis:// without TLS`
  if (!URL.canParse(text)) return { problem }
  const url = new URL(text)
  if (!['redis:', 'rediss:'].includes(url.protocol) || url.hostname === '') return { problem }
  if (url.search !== '' || url.hash !== '') {
    return { problem: 'it has no ? and no #; a password with these in it goes into passwordFile' }
  }
  const [, digits = '0'] = /^\/?(\d{0,4})$/.exec(url.pathname) ?? []
  const database = /^\/?\d{0,4}$/.test(url.pathname) ? Number(digits) : DATABASES_MAX
  if (database >= DATABASES_MAX)
    return { problem: 'after the host stands the number of a database, or nothing' }
  if (url.port === '0') return { problem: 'port 0 is none to connect to' }
  try {
    return {
      secure: url.protocol === 'rediss:',
      host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
      port: url.port === '' ? DEFAULT_PORT : Number(url.port),
      database,
      username: url.username === '' ? undefined : decodeURIComponent(url.username),
      password: url.password === '' ? undefined : decodeURIComponent(url.password),
    }
  } catch {
    return { problem: 'a % in the user name or password is written %25' }
  }
}

export const stateSchema = z.strictObject({
  redis: z
    .string()
    .superRefine((text, context) => {
      const read = readStateUrl(text)
      if ('problem' in read) context.addIssue({ code: 'custom', message: read.problem })
    })
    .describe('Redis (6 or later) or Valkey: rediss://host:6379, or redis:// without TLS; a database as /1'),
  username: z.string().min(1).optional().describe('User of its access list; default that of the url'),
  passwordFile: path.optional().describe('File with the password; better than a password in the url'),
  authority: path
    .optional()
    .describe('PEM file: the authority of its certificate (rediss://); default those that Node knows'),
  secretFile: path.describe(
    'File with 32 characters or more, the same on every replica: names and addresses are hashed with it',
  ),
  prefix: z
    .string()
    .regex(/^[A-Za-z0-9_.-]{1,64}$/, { error: 'letters, digits, and _ . - only, up to 64 of them' })
    .default('sightline')
    .describe('What every key begins with; replicas that share have the same'),
  timeoutMs: z
    .int()
    .min(50)
    .max(10_000)
    .default(1_000)
    .describe('How long an answer may take before the connection counts as broken'),
  directory: path
    .optional()
    .describe('Where revocation lists that others gave are kept, for a start while it is away'),
  whenAway: z
    .enum(['local', 'refuse'])
    .default('local')
    .describe(
      'Quotas while it is away: local counts on by what is known here; refuse takes no new request under a quota',
    ),
  required: z.boolean().default(false).describe('true: /readyz says 503 while it is away'),
})

export type StateConfig = z.output<typeof stateSchema>

/** What is wrong between its settings, each with the setting to look at. */
export function stateProblems(state: StateConfig): Problem[] {
  const url = readStateUrl(state.redis)
  if ('problem' in url) return []
  const problems: Problem[] = []
  const add = (key: keyof StateConfig, message: string): void => void problems.push({ path: [key], message })
  if (state.username !== undefined && url.username !== undefined)
    add('username', 'the url holds a user name too: give it in one place')
  if (state.passwordFile !== undefined && url.password !== undefined)
    add('passwordFile', 'the url holds a password too: give it in one place')
  const username = state.username ?? url.username
  if (username !== undefined && state.passwordFile === undefined && url.password === undefined)
    add('username', 'a user of the access list has a password: give passwordFile beside it')
  if (state.authority !== undefined && !url.secure)
    add('authority', 'authority goes with a server that is reached by TLS: rediss://')
  return problems
}
