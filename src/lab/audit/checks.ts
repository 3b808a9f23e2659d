// The questions that an audit answers, each with yes, no or not-measured and what was seen, and the one sentence above
// them. Pure. Rule: every answer names what it rests on.
import type { Coverage } from '../model.ts'
import { listed } from '../report/words.ts'
import { arrivedOver, isIntercepted, sameHello } from './cells.ts'
import { headerChanges, knownAddresses, namesTheClient } from './compare.ts'
import { readOnLink } from './datagram-cells.ts'
import type { Measured } from './measure.ts'
import { hashOf, type Arrived } from './probe-report.ts'
import { askersOf } from './resolver.ts'
import { endpoint, isHandedOn } from './row.ts'
import { linkTls, LinkView } from './view.ts'

export const QUESTIONS = {
  'link-encrypted': 'is the link to the proxy encrypted?',
  'program-named': 'can the network before it read which program you use?',
  'names-by-proxy': 'are names resolved by the proxy?',
  'headers-name-you': 'does it add headers that name you?',
  'request-changed': 'does it alter what you send?',
  'response-changed': 'does it alter what you receive?',
  'tls-intercepted': 'does it intercept TLS?',
  'udp-carried': 'does it carry UDP?',
  'report-forged': "did it answer in the probe's place?",
} as const

export type Question = keyof typeof QUESTIONS

export interface Check {
  readonly question: Question
  readonly answer: 'yes' | 'no' | 'not-measured'
  /** What the answer rests on. */
  readonly says: readonly string[]
}

export function checksOf(measured: Measured): Check[] {
  const unreported = (question: Question): Check => ({
    question,
    answer: 'not-measured',
    says: [
      measured.isReportForged
        ? "the probe's report was forged on its way, and the probe cannot be reached beside the proxy"
        : "the probe's report did not come",
    ],
  })
  const both = (['http', 'https'] as const).flatMap((scheme) => arrivedOver(measured, scheme) ?? [])
  const ofArrived = (question: Question, says: (arrived: Arrived) => string[], otherwise: string): Check =>
    both.length === 0 ? unreported(question) : yesWhere(question, unique(both.flatMap(says)), otherwise)
  const over = listed(both.map(({ scheme }) => scheme))
  return [
    linkCheck(measured),
    programCheck(measured),
    namesCheck(measured),
    ofArrived(
      'headers-name-you',
      (arrived) =>
        addedBy(measured, arrived)
          .filter((header) => namesTheClient(header, wordsOfClient(measured)))
          .map(([name, value]) => `${name}: ${value} (${arrived.scheme})`),
      `no header that it added holds an address of yours or your user (${over})`,
    ),
    ofArrived(
      'request-changed',
      (arrived) => requestChanges(measured, arrived),
      `method, path, headers and body arrived as they were sent (${over})`,
    ),
    ofArrived(
      'response-changed',
      (arrived) => responseChanges(measured, arrived),
      `headers and body came back as the probe sent them (${over})`,
    ),
    tlsCheck(measured),
    {
      question: 'udp-carried',
      answer: measured.udp.carried ? 'yes' : 'no',
      says: [
        measured.udp.problem ??
          `a datagram to the probe came back, by SOCKS5 UDP ASSOCIATE; its word was ${readOnLink(measured) === undefined ? 'not ' : ''}readable in the datagrams of the link`,
      ],
    },
    {
      question: 'report-forged',
      answer: measured.isReportForged ? 'yes' : measured.report === undefined ? 'not-measured' : 'no',
      says: [
        measured.isReportForged
          ? "what came in the probe's report's place is not sealed with its token"
          : measured.report === undefined
            ? 'no report came'
            : "the probe's report is sealed with its token",
      ],
    },
  ]
}

/** What goes around the proxy. */
export function coverageOf({ proxy, udp, report, beside, takesNames, http, https }: Measured): Coverage[] {
  const told = http.exchange !== undefined || https.exchange !== undefined
  const lookUps = proxy.scheme === 'socks5' ? (report?.lookUps ?? []) : []
  return [
    { traffic: 'application', outside: !told, evidence: [] },
    {
      traffic: 'client-dns',
      outside: proxy.scheme === 'socks5' || takesNames === false,
      evidence: lookUps.slice(0, 1).map(({ name }) => endpoint(name, 'the look-up')),
    },
    { traffic: 'udp', outside: !udp.carried, evidence: [] },
    {
      traffic: 'untold-application',
      outside: true,
      evidence: (beside?.arrived ?? [])
        .slice(0, 1)
        .map(({ from }) => endpoint(from.address, 'arrived beside the proxy from')),
    },
  ]
}

function linkCheck(measured: Measured): Check {
  if (isHandedOn(measured)) {
    return {
      question: 'link-encrypted',
      answer: 'not-measured',
      says: [`the proxy is on this machine (${measured.remote}): what leaves the machine is another link`],
    }
  }
  const { http, https, certificate, canaries } = measured
  const links = [http, https].filter(({ exchange }) => exchange !== undefined)
  const tls = links.map(({ link }) => linkTls(link.connections))
  const read = links.flatMap((visited) => {
    const view = new LinkView(visited, [])
    const words = [canaries.path, canaries.requestBody, canaries.cookie, canaries.hostLabel]
    return words.flatMap((word) => view.find(word, 'canary') ?? [])
  })
  const [first] = tls
  if (first !== undefined && !tls.includes(undefined) && read.length === 0) {
    const { version, group } = first
    const standing =
      certificate?.isVerified === true
        ? 'its certificate stands'
        : `its certificate does NOT stand (${certificate?.problem ?? 'none seen'}): whoever is in the way could show one as good`
    return {
      question: 'link-encrypted',
      answer: 'yes',
      says: [
        `${version}${group === undefined ? '' : `, key exchange ${group}`}; ${standing}; no planted word was found in its bytes`,
      ],
    }
  }
  const where = unique(read.map(({ layer }) => layer))
  return {
    question: 'link-encrypted',
    answer: 'no',
    says: [
      read.length === 0
        ? 'its bytes are no TLS'
        : `planted words were found in its bytes (${where.join(', ')})`,
    ],
  }
}

/** curl and browsers send their User-Agent in CONNECT too, beside the site's TLS. */
function programCheck(measured: Measured): Check {
  const question = 'program-named'
  const { proxy, program, https } = measured
  if (proxy.scheme.startsWith('socks'))
    return { question, answer: 'no', says: ['SOCKS has no field for it; an http site reads it all the same'] }
  if (isHandedOn(measured) || https.exchange === undefined) {
    const why = https.exchange === undefined ? 'https did not come through' : 'the link was not measured'
    return { question, answer: 'not-measured', says: [why] }
  }
  const found = new LinkView(https, []).find(program, 'User-Agent of CONNECT')
  const sealed = new LinkView(https, [https.link.keylog]).find(program, 'User-Agent of CONNECT')
  return found !== undefined
    ? {
        question,
        answer: 'yes',
        says: ['the User-Agent of CONNECT is readable on the link, and to the proxy'],
      }
    : {
        question,
        answer: sealed === undefined ? 'not-measured' : 'no',
        says: [
          sealed === undefined
            ? 'the User-Agent of CONNECT was not found'
            : 'the User-Agent of CONNECT is encrypted on the link; the proxy reads it',
        ],
      }
}

/** Who asked the probe's name server, as a further sentence; empty where nobody was seen to. */
function whoAsked(measured: Measured): string[] {
  const askers = askersOf(measured)
  if (askers === undefined || measured.isOneMachine) return []
  const who = askers.isProxy
    ? 'the proxy itself'
    : askers.isYours
      ? measured.proxy.scheme === 'socks5'
        ? 'your resolver'
        : 'the resolver that this machine asks too'
      : measured.proxy.scheme === 'socks5'
        ? 'a resolver'
        : 'a resolver of its own'
  return [`the look-up came to the probe from ${askers.addresses.join(', ')}: ${who}`]
}

function namesCheck(measured: Measured): Check {
  const { proxy, takesNames, http } = measured
  const question = 'names-by-proxy'
  if (takesNames === undefined) {
    return {
      question,
      answer: 'not-measured',
      says: ['the probe was given by its address; give --origin with a name'],
    }
  }
  if (proxy.scheme === 'socks5') {
    const could = takesNames
      ? 'it takes names too: socks5h:// has it resolve them'
      : 'and it took no name when given one'
    return {
      question,
      answer: 'no',
      says: [
        `socks5:// means that you resolve them (it was told ${http.told}); ${could}`,
        ...whoAsked(measured),
      ],
    }
  }
  return takesNames
    ? {
        question,
        answer: 'yes',
        says: [`it was told the name ${http.told}, and reached the probe`, ...whoAsked(measured)],
      }
    : {
        question,
        answer: 'no',
        says: ['told a name it failed, told the address it did not: you resolve them'],
      }
}

function tlsCheck(measured: Measured): Check {
  const question = 'tls-intercepted'
  const { https } = measured
  if (https.exchange === undefined) {
    return { question, answer: 'not-measured', says: [`https did not come through: ${https.problem ?? ''}`] }
  }
  const arrived = arrivedOver(measured, 'https')
  const says = [
    ...(isIntercepted(measured) ? ["the certificate that was shown is not the probe's"] : []),
    ...(arrived !== undefined && !sameHello(measured, arrived)
      ? [
          `the ClientHello that arrived is not the one that was sent (its JA4: ${arrived.hello?.ja4 ?? 'none'})`,
        ]
      : []),
  ]
  return yesWhere(
    question,
    says,
    "the certificate that was shown is the probe's own, and your ClientHello arrived as it was sent",
  )
}

function requestChanges(measured: Measured, arrived: Arrived): string[] {
  const sent = measured[arrived.scheme].exchange?.sent
  if (sent === undefined) return []
  const { added, removed, changed } = headerChanges(sent.headers, arrived.headers)
  const says = [
    ...added.map(([name, value]) => `added ${name}: ${value}`),
    ...removed.map((name) => `removed ${name}`),
    ...changed.map(({ name, to }) => `changed ${name} to ${to}`),
    ...(arrived.method === sent.method ? [] : [`changed the method to ${arrived.method}`]),
    ...(arrived.target === sent.target ? [] : ['changed the path']),
    ...(arrived.bodyHash === sent.bodyHash ? [] : ['changed the body']),
  ]
  return says.map((text) => `${text} (${arrived.scheme})`)
}

function responseChanges(measured: Measured, arrived: Arrived): string[] {
  const { exchange } = measured[arrived.scheme]
  if (exchange === undefined) return []
  const { added, removed, changed } = headerChanges(arrived.answer.headers, exchange.headers)
  const says = [
    ...added.map(([name, value]) => `added ${name}: ${value}`),
    ...removed.map((name) => `removed ${name}`),
    ...changed.map(({ name, to }) => `changed ${name} to ${to}`),
    ...(hashOf(exchange.body) === arrived.answer.bodyHash ? [] : ['changed the body']),
  ]
  return says.map((text) => `${text} (${arrived.scheme})`)
}

function addedBy(measured: Measured, arrived: Arrived): ReadonlyArray<readonly [string, string]> {
  const sent = measured[arrived.scheme].exchange?.sent.headers ?? []
  const { added, changed } = headerChanges(sent, arrived.headers)
  return [...added, ...changed.map(({ name, to }): readonly [string, string] => [name, to])]
}

function wordsOfClient(measured: Measured): string[] {
  return [...knownAddresses(measured), measured.proxy.username ?? '']
}

function yesWhere(question: Question, says: readonly string[], otherwise: string): Check {
  return says.length > 0 ? { question, answer: 'yes', says } : { question, answer: 'no', says: [otherwise] }
}

function unique(words: readonly string[]): string[] {
  return [...new Set(words)]
}

/** The answer in a sentence. */
export function sentenceOf(measured: Measured, checks: readonly Check[]): string {
  const is = (question: Question): boolean =>
    checks.some((check) => check.question === question && check.answer === 'yes')
  const socks = measured.proxy.scheme.startsWith('socks') ? 'SOCKS ' : ''
  const isUnproved = measured.certificate?.isVerified === false
  const kind = isHandedOn(measured)
    ? `this is a ${socks}proxy on this machine: what leaves the machine for it was not measured; whoever runs its far end reads all of http sites, and the names of https sites`
    : is('link-encrypted')
      ? `this is an encrypted ${socks}proxy${isUnproved ? ', under a certificate that nobody here vouches for' : ''}: the network before it reads sizes and times; the proxy itself reads all of http sites, and the names of https sites`
      : `this is a plain ${socks}proxy: the network before it reads what the proxy reads, all of http sites and the names of https sites`
  const badly = [
    ...(is('tls-intercepted') ? ['it opens the TLS of https sites and reads them'] : []),
    ...(is('headers-name-you') ? ['it tells sites who you are'] : []),
    ...(is('response-changed') ? ['it alters what you receive'] : []),
    ...(is('request-changed') ? ['it alters what you send'] : []),
    ...(is('report-forged') ? ["it answers in the place of the audit's far end"] : []),
  ]
  return `${kind}${badly.length === 0 ? '' : `. BEWARE: ${listed(badly)}`}`
}
