// Every table, by its title: what is run, and what docs/conformance.md is held against. Rule: a table that is not
// named here is not run.
import { CONNECT } from './cases/connect.ts'
import { ENDINGS } from './cases/endings.ts'
import { FORWARDED_ANSWERS } from './cases/forwarding-answers.ts'
import { REFUSED_REQUESTS } from './cases/forwarding-refusals.ts'
import { FORWARDED_REQUESTS } from './cases/forwarding-requests.ts'
import { SOCKS_ENDINGS } from './cases/socks-endings.ts'
import { SOCKS_FAILURES } from './cases/socks-failures.ts'
import { SOCKS_NEGOTIATION } from './cases/socks-negotiation.ts'
import type { Case } from './script.ts'
import type { Family } from './sightline.ts'

export interface Table {
  readonly title: string
  readonly family: Family
  readonly cases: readonly Case[]
}

export const SOCKS_TABLES: readonly Table[] = [
  { title: 'SOCKS negotiation and addresses', family: 'socks', cases: SOCKS_NEGOTIATION },
  { title: 'SOCKS failures and replies', family: 'socks', cases: SOCKS_FAILURES },
  { title: 'half-close, reset and slow peers', family: 'socks', cases: SOCKS_ENDINGS },
]

export const HTTP_TABLES: readonly Table[] = [
  { title: 'CONNECT', family: 'http', cases: CONNECT },
  {
    title: 'absolute-form forwarding',
    family: 'http',
    cases: [...FORWARDED_REQUESTS, ...FORWARDED_ANSWERS, ...REFUSED_REQUESTS],
  },
  { title: 'half-close, reset, truncation and slow peers', family: 'http', cases: ENDINGS },
]
