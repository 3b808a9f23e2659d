// What the report says beside the matrix, made of cells that a test wrote: comparisons in words, the eight facts with their
// verdicts, and what observers learn together.
import { describe, expect, it } from 'vitest'
import type { Cell, Evidence, LabRun } from '../../../src/lab/model.ts'
import { changesOf, comparisons, comparisonTitle } from '../../../src/lab/report/changes.ts'
import { joinObservers } from '../../../src/lab/report/collusion.ts'
import { factsOf } from '../../../src/lab/report/facts.ts'
import { listed } from '../../../src/lab/report/words.ts'
import type { Information, Observer } from '../../../src/policy/exposure.ts'
import { runOf } from '../matrix/results.ts'

const says = (before: LabRun, after: LabRun): string[] =>
  changesOf(before, after).map((change) => change.says)

const PROXY = runOf('http-proxy', null, 'http', {
  access: 'CCCICCC-',
  gateway: 'CCCCCCC-',
  destination: '--CCCCC-',
})
const TUNNEL = runOf('tunnel', null, 'http', {
  access: 'CSS-SSC-',
  gateway: 'CCCCCCC-',
  destination: '--CCCCC-',
})
const DIRECT = runOf('direct', null, 'http', {
  access: 'C-CCCCC-',
  gateway: '........',
  destination: 'C-CCCCC-',
})

describe('what changes from one mode to another', () => {
  it('says what is hidden from whom, and for whom nothing changes', () => {
    expect(says(PROXY, TUNNEL)).toEqual([
      'hides from the access network: client-identity, destination-name, destination-address, url-and-headers and content',
      'for the gateway operator nothing changes',
      'for the destination nothing changes',
    ])
  })

  it('says the opposite the other way round', () => {
    expect(says(TUNNEL, PROXY)[0]).toBe(
      'shows the access network: client-identity, destination-name, destination-address, url-and-headers and content',
    )
  })

  it('names an observer that comes or goes, with what it reads', () => {
    expect(says(DIRECT, TUNNEL)[1]).toMatch(
      /^adds the gateway operator, who reads client-address, .* and traffic-shape$/,
    )
    expect(says(TUNNEL, DIRECT)[1]).toMatch(/^has no gateway operator, who read client-address, /)
  })

  it('tells outright from inferred, and sealed from absent', () => {
    const row = (access: string): LabRun =>
      runOf('tunnel', null, 'http', { access, gateway: '........', destination: '........' })
    expect(says(row('CCCCCCCC'), row('IICCCCCC'))).toEqual([
      'leaves the access network to infer: client-address and client-identity',
    ])
    expect(says(row('IICCCCCC'), row('CCCCCCCC'))).toEqual([
      'tells the access network outright: client-address and client-identity',
    ])
    expect(says(row('SSCCCCC-'), row('--CCCCCS'))).toEqual([
      'sends past the access network, sealed: client-fingerprint; no longer sends past the access network: client-address and client-identity',
    ])
  })

  it('compares every mode with every other of the same kind of visit, once', () => {
    const https = runOf('tunnel', null, 'https', {
      access: 'CSS-SSCS',
      gateway: 'CCCCSSCC',
      destination: '--CCCCCC',
    })
    expect(comparisons([DIRECT, PROXY, TUNNEL, https]).map(comparisonTitle)).toEqual([
      'http-proxy, compared with direct',
      'tunnel, compared with direct',
      'tunnel, compared with http-proxy',
    ])
  })
})

/** The run with evidence in a cell: a field and a layer. */
function proved(
  run: LabRun,
  observer: Observer,
  information: Information,
  evidence: Partial<Evidence>,
): LabRun {
  const piece: Evidence = {
    ...{
      kind: 'bytes',
      capture: 'a.pcapng',
      frame: 7,
      offset: 54,
      length: 1,
      encoding: 'plain',
      field: 'payload',
    },
    ...{ excerpt: 'x', layer: 'tcp' },
    ...evidence,
  }
  const cells = run.cells.map((cell): Cell =>
    cell.observer === observer && cell.information === information ? { ...cell, evidence: [piece] } : cell,
  )
  return { ...run, cells }
}

const CONNECT = proved(
  runOf('http-proxy', null, 'https', { access: 'CCCISSCC', gateway: 'CCCCSSCC', destination: '--CCCCCC' }),
  'access-network',
  'client-identity',
  { field: 'http.proxy_password' },
)
const named = runOf('socks-proxy', 'socks5h', 'http', {
  access: 'CCCICCC-',
  gateway: 'CCCCCCC-',
  destination: '--CCCCC-',
})
const SOCKS = proved(
  proved(named, 'access-network', 'destination-name', { field: 'socks.request.name' }),
  'access-network',
  'client-identity',
  { field: 'socks.password' },
)
const CERTIFIED = proved(TUNNEL, 'gateway-operator', 'client-identity', { layer: 'tcp > tls handshake' })
const print = (run: LabRun, excerpt: string): LabRun =>
  proved(run, 'destination', 'client-fingerprint', { excerpt })
const SECURE = runOf('tunnel', null, 'https', {
  access: 'CSS-SSCS',
  gateway: 'CCCCSSCC',
  destination: '--CCCCCC',
})
const COVERED: LabRun = {
  ...CERTIFIED,
  coverage: [
    { traffic: 'application', outside: false, evidence: [] },
    { traffic: 'untold-application', outside: true, evidence: [] },
  ],
}
const ALL = [PROXY, SOCKS, COVERED, print(CONNECT, 't13d'), print(SECURE, 't13d')]

const verdicts = (runs: readonly LabRun[]): string[] => factsOf(runs).map(({ verdict }) => verdict)

/** Every cell of a run that an observer has of a kind, made another. */
function changed(
  runs: readonly LabRun[],
  which: LabRun,
  observer: Observer,
  information: Information,
  value: Cell['value'],
): LabRun[] {
  return runs.map((run) =>
    run === which
      ? {
          ...run,
          cells: run.cells.map((cell) =>
            cell.observer === observer && cell.information === information ? { ...cell, value } : cell,
          ),
        }
      : run,
  )
}

describe('the eight facts', () => {
  it('are shown by cells that show them, which are named with frame and file', () => {
    expect(verdicts(ALL)).toEqual(Array(8).fill('shown'))
    const proofs = factsOf(ALL).map((fact) => fact.proofs.map((proof) => proof.says))
    expect(proofs[1]).toContain(
      'http-proxy, https: access network: client-identity is clear (http.proxy_password, frame 7 of a.pcapng)',
    )
    expect(proofs[4]).toContain(
      'tunnel, https: destination: client-fingerprint is clear (payload, frame 7 of a.pcapng): t13d',
    )
    expect(proofs[6]).toEqual(['tunnel, http: outside it went an application that was not told of it'])
    expect(proofs.every((list) => list.length > 0)).toBe(true)
  })

  it('are not shown by a measurement that lacks the modes', () => {
    expect(verdicts([])).toEqual(Array(8).fill('not-shown'))
    expect(verdicts([PROXY])).toEqual(Array(8).fill('not-shown'))
  })

  it.each<[number, LabRun[]]>([
    [1, changed(ALL, COVERED, 'gateway-operator', 'content', 'sealed')],
    [1, changed(ALL, PROXY, 'gateway-operator', 'url-and-headers', 'absent')],
    [2, changed(ALL, ALL[3]!, 'access-network', 'content', 'clear')],
    [2, [print(proved(CONNECT, 'access-network', 'client-identity', { field: 'payload' }), 't13d')]],
    [3, changed(ALL, SOCKS, 'access-network', 'destination-name', 'sealed')],
    [3, [named]],
    [4, changed(ALL, COVERED, 'access-network', 'client-identity', 'clear')],
    [4, [TUNNEL]],
    [5, [print(CONNECT, 't13d'), print(SECURE, 'other')]],
    [6, changed(ALL, SOCKS, 'access-network', 'traffic-shape', 'absent')],
    [7, [{ ...TUNNEL, coverage: [{ traffic: 'untold-application', outside: false, evidence: [] }] }]],
    [8, [{ ...PROXY, coverage: [{ traffic: 'untold-application', outside: false, evidence: [] }] }]],
  ])('fact %i is contradicted by cells that say otherwise', (number, runs) => {
    expect(factsOf(runs)[number - 1]?.verdict).toBe('contradicted')
  })
})

describe('observers who put together what they saw', () => {
  it('have the most that any of them has', () => {
    const { cells } = joinObservers(TUNNEL, ['access-network', 'destination'])
    expect(cells.map(({ value, by }) => `${value} ${by.length}`)).toEqual([
      ...['clear 1', 'sealed 1', 'clear 1', 'clear 1', 'clear 1', 'clear 1', 'clear 2', 'absent 2'],
    ])
  })

  it('link who with what where neither knew both', () => {
    const joined = joinObservers(TUNNEL, ['access-network', 'destination'])
    expect(joined.reveals).toBe(
      'client-address (from the access network) with destination-name, destination-address, url-and-headers and content (from the destination)',
    )
    expect(joined.shared).toEqual([])
  })

  it('learn nothing new where one of them knew it, or could infer it', () => {
    expect(joinObservers(PROXY, ['access-network', 'destination'])).toMatchObject({
      reveals: '',
      shared: ['destination-name', 'url-and-headers', 'content'],
    })
    expect(joinObservers(TUNNEL, ['gateway-operator', 'destination']).reveals).toBe('')
  })
})

describe('a list in words', () => {
  it.each([
    ['', []],
    ['a', ['a']],
    ['a and b', ['a', 'b']],
    ['a, b and c', ['a', 'b', 'c']],
  ])('%j', (text, words) => {
    expect(listed(words)).toBe(text)
  })
})
