// Eight facts that demonstrations get wrong, each held against the cells of a measurement. Pure. Rule: a fact is shown only
// where cells with evidence show it, and these are named; a run that lacks the modes shows nothing, and says so.
import { INFORMATION, type Information, type Observer } from '../../policy/exposure.ts'
import { runName, type Cell, type Evidence, type LabRun } from '../model.ts'
import { cellOf, findRun, listed, modeName, OBSERVER_WORDS, TRAFFIC_WORDS, visitOf } from './words.ts'

export interface Proof {
  readonly run: LabRun
  /** What it rests on: a cell, or a line of the coverage. */
  readonly cell?: Cell
  /** `tunnel, http: access network: content is sealed` */
  readonly says: string
}

export interface Fact {
  /** From 1 to 8. */
  readonly number: number
  readonly says: string
  /** `not-shown`: this measurement lacks the modes. `contradicted`: its cells say otherwise. */
  readonly verdict: 'shown' | 'contradicted' | 'not-shown'
  readonly proofs: readonly Proof[]
}

interface Found {
  readonly holds: boolean
  readonly proofs: readonly Proof[]
}

type Look = (runs: readonly LabRun[]) => Found | undefined

const FACTS: ReadonlyArray<readonly [says: string, look: Look]> = [
  [
    'for an http site the operator of the tunnel learns what the operator of the plain proxy learns: the tunnel changes the row of the access network',
    operatorLearnsTheSame,
  ],
  [
    'CONNECT hides content from the access network; its target and Proxy-Authorization are in clear',
    connectIsInClear,
  ],
  [
    'on a cleartext link socks5h shows the name to the access network, and the SOCKS password is in clear',
    socksIsInClear,
  ],
  [
    'a client certificate gives the operator a name that an authority has vouched for: more than an IP address',
    certificateNames,
  ],
  ["the TLS fingerprint of the user's application passes through every proxy unchanged", fingerprintPasses],
  ['sizes and times stay visible to the access network in every mode', shapeStays],
  [
    'a tunnel that carries what programs send to a SOCKS port is an encrypted proxy; "VPN" means the whole device',
    tunnelIsNoVpn,
  ],
  ['what is not sent through the mode is not protected by it', outsideIsOpen],
]

export function factsOf(runs: readonly LabRun[]): Fact[] {
  return FACTS.map(([says, look], index) => {
    const found = look(runs)
    const verdict = found === undefined ? 'not-shown' : found.holds ? 'shown' : 'contradicted'
    return { number: index + 1, says, verdict, proofs: found?.proofs ?? [] }
  })
}

function operatorLearnsTheSame(runs: readonly LabRun[]): Found | undefined {
  const plain = findRun(runs, 'http-proxy', 'http')
  const tunnel = findRun(runs, 'tunnel', 'http')
  if (plain === undefined || tunnel === undefined) return undefined
  const differing = (observer: Observer): Information[] =>
    INFORMATION.filter((one) => cellOf(plain, observer, one)?.value !== cellOf(tunnel, observer, one)?.value)
  const changed = differing('access-network')
  return {
    holds: differing('gateway-operator').length === 0 && changed.length > 0,
    proofs: [
      ...[plain, tunnel].flatMap((run) =>
        proofsOf(run, 'gateway-operator', ['destination-name', 'url-and-headers', 'content']),
      ),
      ...changed.flatMap((one) => [plain, tunnel].flatMap((run) => proofsOf(run, 'access-network', [one]))),
    ],
  }
}

function connectIsInClear(runs: readonly LabRun[]): Found | undefined {
  const run = findRun(runs, 'http-proxy', 'https')
  if (run === undefined) return undefined
  const proofs = proofsOf(
    run,
    'access-network',
    ['content', 'destination-name', 'client-identity'],
    /^http\.(?:proxy_authorization|uri|host)$/,
  )
  return { holds: values(proofs) === 'sealed clear clear' && isIn(proofs[2], /^http\.proxy/), proofs }
}

function socksIsInClear(runs: readonly LabRun[]): Found | undefined {
  const run = findRun(runs, 'socks5h', 'http') ?? findRun(runs, 'socks5h', 'https')
  if (run === undefined) return undefined
  const proofs = proofsOf(
    run,
    'access-network',
    ['destination-name', 'client-identity'],
    /^socks\.(?:request\.name|password)$/,
  )
  const holds = isIn(proofs[0], /^socks\.request\.name$/) && isIn(proofs[1], /^socks\.password$/)
  return { holds: values(proofs) === 'clear clear' && holds, proofs }
}

function certificateNames(runs: readonly LabRun[]): Found | undefined {
  const run = findRun(runs, 'tunnel', 'http') ?? findRun(runs, 'tunnel', 'https')
  if (run === undefined) return undefined
  const proofs = [
    ...proofsOf(run, 'gateway-operator', ['client-identity', 'client-address']),
    ...proofsOf(run, 'access-network', ['client-identity']),
  ]
  const isCertificate =
    proofs[0]?.cell?.evidence.some(({ layer }) => layer.includes('tls handshake')) === true
  return { holds: values(proofs) === 'clear clear sealed' && isCertificate, proofs }
}

function fingerprintPasses(runs: readonly LabRun[]): Found | undefined {
  // TLS 1.2 is another way to speak, and so another fingerprint.
  const proofs = runs
    .filter((run) => visitOf(run) === 'https')
    .flatMap((run) => proofsOf(run, 'destination', ['client-fingerprint']))
  if (new Set(proofs.map(({ run }) => run.mode)).size < 2) return undefined
  const prints = new Set(proofs.map(({ cell }) => cell?.evidence[0]?.excerpt))
  const [print] = prints
  return {
    holds: prints.size === 1 && print !== undefined,
    proofs: proofs.map((proof) => ({
      ...proof,
      says: `${proof.says}: ${proof.cell?.evidence[0]?.excerpt ?? 'none'}`,
    })),
  }
}

function shapeStays(runs: readonly LabRun[]): Found | undefined {
  const proofs = runs.flatMap((run) => proofsOf(run, 'access-network', ['traffic-shape']))
  if (new Set(runs.map(({ mode }) => mode)).size < 2) return undefined
  return { holds: proofs.every(({ cell }) => cell?.value === 'clear'), proofs }
}

function tunnelIsNoVpn(runs: readonly LabRun[]): Found | undefined {
  return outside(runs.filter(({ mode }) => mode === 'tunnel').slice(0, 1))
}

function outsideIsOpen(runs: readonly LabRun[]): Found | undefined {
  const seen = new Set<string>()
  const oneEach = runs.filter(
    (run) => run.mode !== 'direct' && !seen.has(modeName(run)) && seen.add(modeName(run)),
  )
  return outside(oneEach)
}

function outside(runs: readonly LabRun[]): Found | undefined {
  const measured = runs.filter(({ coverage }) => coverage.length > 0)
  if (measured.length === 0) return undefined
  const proofs = measured.map((run) => {
    const left = run.coverage.filter((one) => one.outside).map(({ traffic }) => TRAFFIC_WORDS[traffic])
    return { run, says: `${runName(run)}: outside it went ${left.length === 0 ? 'nothing' : listed(left)}` }
  })
  return { holds: measured.every(({ coverage }) => coverage.some((one) => one.outside)), proofs }
}

/** What was worked out from the sizes on a sealed link: `tunnel, http: which of 20 pages was read: 16 of 20 right, by chance 1`. */
export function procedureLines(runs: readonly LabRun[]): string[] {
  return runs.flatMap((run) =>
    run.procedures.map(
      ({ right, of, chance }) =>
        `${runName(run)}: which of ${Math.round(1 / chance)} pages was read: ${right} of ${of} right, by chance ${Math.round(of * chance)}`,
    ),
  )
}

/** `field`: of the evidence the piece that a proof should name, where there is one. */
function proofsOf(run: LabRun, observer: Observer, list: readonly Information[], field = /./): Proof[] {
  return list.flatMap((information) => {
    const cell = cellOf(run, observer, information)
    if (cell === undefined) return []
    const { title } = OBSERVER_WORDS[observer]
    const named = cell.evidence.find((one) => field.test(one.field)) ?? cell.evidence[0]
    return [
      {
        run,
        cell,
        says: `${runName(run)}: ${title}: ${information} is ${cell.value}${placeOf(named)}`,
      },
    ]
  })
}

/** ` (http.uri, frame 4 of access-network.pcapng)` */
function placeOf(evidence: Evidence | undefined): string {
  if (evidence?.kind !== 'bytes') return ''
  const { field, frame, capture } = evidence
  return frame === null ? ` (${field}, in ${capture})` : ` (${field}, frame ${frame} of ${capture})`
}

function values(proofs: readonly Proof[]): string {
  return proofs.map(({ cell }) => cell?.value).join(' ')
}

/** Whether a piece of the evidence stands in such a field. */
function isIn(proof: Proof | undefined, field: RegExp): boolean {
  return proof?.cell?.evidence.some((one) => field.test(one.field)) === true
}
