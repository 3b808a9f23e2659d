// What the lessons ask, and what is right: words and addresses that follow from a student's seed, and cells of the truth
// table. Pure. Rule: nothing is right because a file says so; a cell is right where the measurement has to agree with it.
import { GatewayError } from '../errors.ts'
import { INFORMATION, OBSERVERS, type Information, type Observer } from '../policy/exposure.ts'
import { makeCanaries, type CanaryField } from './canary.ts'
import { LAB_MODES, runName, type CellValue, type LabMode, type Scheme, type Variant } from './model.ts'
import { partiesOf, type Parties } from './parties.ts'
import { expectedValue } from './truth-table.ts'

/** A word that was planted, by what an answer file calls it. */
const WORDS: Readonly<Record<string, CanaryField>> = {
  page: 'path',
  query: 'query',
  cookie: 'cookie',
  message: 'requestBody',
  answer: 'responseBody',
  'site-user': 'siteUser',
  'site-password': 'sitePassword',
  'proxy-user': 'proxyUser',
  'proxy-password': 'proxyPassword',
  'certificate-name': 'certificateSubject',
}
const ADDRESSES: Readonly<Record<string, keyof Parties>> = {
  'client-address': 'client',
  'gateway-address': 'gateway',
  'destination-address': 'destination',
}
/** The run whose words are asked for; a name is the same in all of them. */
const WORDS_OF = runName({ mode: 'http-proxy', variant: null, scheme: 'http' })
/** A cell as the program calls it, or as the console's page does. */
const VALUES: Readonly<Record<string, CellValue>> = {
  clear: 'clear',
  readable: 'clear',
  sealed: 'sealed',
  encrypted: 'sealed',
  inferable: 'inferable',
  'worked out': 'inferable',
  absent: 'absent',
  'not there': 'absent',
}

/** What each lesson asks for, in the order of its questions. A cell is `mode scheme observer information`. */
export const LESSONS: Readonly<Record<number, readonly string[]>> = {
  1: [
    'http-proxy http access-network content',
    'tunnel http access-network content',
    'http-proxy http gateway-operator content',
    'tunnel http gateway-operator content',
    'tunnel http access-network client-address',
    'tunnel http access-network traffic-shape',
  ],
  2: [
    'http-proxy http access-network client-identity',
    'tunnel http access-network client-identity',
    'tunnel http gateway-operator client-identity',
    'http-proxy http access-network destination-name',
    'tunnel http access-network destination-name',
    'tunnel http gateway-operator destination-name',
    'http-proxy http destination client-address',
    'tunnel http destination client-address',
  ],
  3: [
    'direct https access-network destination-name',
    'direct https access-network url-and-headers',
    'direct https access-network content',
    'http-proxy https gateway-operator destination-name',
    'http-proxy https gateway-operator content',
    'tunnel https access-network destination-name',
    'tunnel https access-network client-fingerprint',
    'tunnel https gateway-operator client-fingerprint',
  ],
  4: [
    'certificate-name',
    'tunnel http access-network client-identity',
    'tunnel http gateway-operator client-identity',
    'tunnel http destination client-identity',
  ],
  5: [
    'client-address',
    'gateway-address',
    'destination-address',
    'page',
    'query',
    'cookie',
    'message',
    'site-user',
    'site-password',
    'proxy-user',
    'proxy-password',
  ],
  6: [
    'http-proxy http access-network content',
    'http-proxy http access-network destination-name',
    'https-proxy http access-network content',
    'https-proxy http gateway-operator content',
    'socks-proxy/socks5 https access-network destination-address',
    'socks-proxy/socks5h https access-network destination-address',
  ],
}

export interface GradedAnswer {
  readonly question: string
  readonly verdict: 'right' | 'wrong' | 'missing'
  /** Where to look; '' where nothing is wrong. */
  readonly hint: string
}

export interface Grade {
  readonly lesson: number
  readonly seed: string
  readonly answers: readonly GradedAnswer[]
  readonly right: number
}

/** An answer file as it was read: a lesson, a seed and answers by question. */
export interface Answers {
  readonly lesson: number
  readonly seed: string
  readonly answers: Readonly<Record<string, string>>
}

/** Holds answers against their seed. Errors: `bad-request` for a lesson or a question that there is not. */
export function grade({ lesson, seed, answers }: Answers): Grade {
  const questions = questionsOf(lesson)
  const unknown = Object.keys(answers).find((question) => !questions.includes(question))
  if (unknown !== undefined) {
    throw new GatewayError('bad-request', {
      detail: `lesson ${lesson} does not ask for ${JSON.stringify(unknown)}`,
      hint: `it asks for ${questions.map((question) => JSON.stringify(question)).join(', ')}`,
    })
  }
  const graded = questions.map((question): GradedAnswer => {
    const given = answers[question]?.trim() ?? ''
    if (given === '') return { question, verdict: 'missing', hint: hintOf(question) }
    const right = isRight(question, given, seed)
    return { question, verdict: right ? 'right' : 'wrong', hint: right ? '' : hintOf(question) }
  })
  return { lesson, seed, answers: graded, right: graded.filter(({ verdict }) => verdict === 'right').length }
}

/** The questions of a lesson. Errors: `bad-request`. */
export function questionsOf(lesson: number): readonly string[] {
  const questions = LESSONS[lesson]
  if (questions !== undefined) return questions
  throw new GatewayError('bad-request', {
    detail: `there is no lesson ${lesson}`,
    hint: `there are ${Object.keys(LESSONS).join(', ')}`,
  })
}

function isRight(question: string, given: string, seed: string): boolean {
  const word = WORDS[question]
  if (word !== undefined) return given.toLowerCase() === makeCanaries(seed, WORDS_OF)[word]
  const party = ADDRESSES[question]
  if (party !== undefined) return given === partiesOf(seed)[party]
  return VALUES[given.toLowerCase()] === rightCell(question)
}

/** The value that a measurement of this cell must have. Throws `internal-error` where a lesson asks for none. */
export function rightCell(question: string): CellValue {
  const [way = '', scheme = '', observer = '', information = ''] = question.split(' ')
  const [mode = '', variant = null] = way.split('/') as [string?, Variant?]
  const known =
    (LAB_MODES as readonly string[]).includes(mode) &&
    (OBSERVERS as readonly string[]).includes(observer) &&
    (INFORMATION as readonly string[]).includes(information)
  const cell =
    known &&
    expectedValue(
      { mode: mode as LabMode, variant, scheme: scheme as Scheme },
      observer as Observer,
      information as Information,
    )
  if (cell === false || cell === undefined) throw new GatewayError('internal-error', { detail: question })
  return cell.value
}

function hintOf(question: string): string {
  if (question === 'certificate-name')
    return 'it stands in the client certificate: decrypt the tunnel with its keys'
  if (question === 'message' || question === 'answer')
    return 'follow the TCP stream: it is the body, behind an empty line'
  if (question.endsWith('-user') || question.endsWith('-password'))
    return 'the Authorization and Proxy-Authorization headers are base64: name, colon, password'
  if (question.endsWith('-address')) return 'look at the addresses of the packets at each vantage'
  if (WORDS[question] !== undefined) return 'look at the head of the HTTP request'
  const [way, scheme, observer] = question.split(' ')
  return `send it again through ${way} to the ${scheme} site, and look from the place of ${observer}`
}
