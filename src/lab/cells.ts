// Makes the cells of one run from what was captured. Rules: a cell comes from bytes or from an address that a kernel
// reported, never from a table; `sealed` is said only of what was found by decrypting, `absent` only of what was
// looked for there and not found.
import { INFORMATION, type Information, type Observer } from '../policy/exposure.ts'
import type { Canaries, CanaryField } from './canary.ts'
import {
  endpointEvidence,
  findAddress,
  findFingerprint,
  findResolvable,
  findShape,
  findWord,
  type Capture,
  type Source,
} from './clues.ts'
import type { Layer } from './layer.ts'
import { peelConnection } from './layers.ts'
import type { Cell, CellValue, Evidence } from './model.ts'
import type { Ports } from './stand-ins.ts'

/** One vantage: what was captured there, and the keys that its observer holds. */
export interface Vantage {
  readonly observer: Observer
  readonly captures: readonly Capture[]
  readonly ownKeylogs: readonly string[]
  /** Addresses that kernels report at this vantage: who is on the client's end, and on the site's. */
  readonly clientEnds: readonly string[]
  readonly siteEnds: readonly string[]
}

/** What is looked for in a run. */
export interface Subject {
  readonly canaries: Canaries
  readonly clientAddress: string
  readonly siteAddress: string
  readonly siteName: string
  /** Every key log of the run: the tunnel's and the application's. */
  readonly allKeylogs: readonly string[]
  /** The application's own key log, whose client randoms tell its ClientHellos from all others. */
  readonly applicationKeylog: string
  /** The least that the request and its answer took, in bytes: whoever carried less did not carry them. */
  readonly leastBytes: { readonly up: number; readonly down: number }
  /** Where ports stand for parties. */
  readonly ports: Ports | undefined
  /** The procedure of `inferable`: what a name resolves to. */
  readonly resolve: (name: string) => string | undefined
}

const NEEDLES: Partial<Record<Information, readonly CanaryField[]>> = {
  'client-identity': ['proxyUser', 'proxyPassword', 'certificateSubject'],
  'destination-name': ['hostLabel'],
  'url-and-headers': ['path', 'query', 'header', 'cookie', 'userAgent'],
  content: ['requestBody', 'responseBody', 'siteUser', 'sitePassword'],
}

const EVIDENCE_MAX = 8

/** What one vantage can read with its own keys, and what is there besides. */
export class View {
  readonly readable: readonly Source[]
  readonly sealed: readonly Source[]
  /** What should have decrypted and did not. */
  readonly failures: readonly string[]
  readonly observer: Observer
  #vantage: Vantage
  #subject: Subject

  constructor(vantage: Vantage, subject: Subject) {
    this.observer = vantage.observer
    this.#vantage = vantage
    this.#subject = subject
    const readable: Source[] = []
    const sealed: Source[] = []
    const failures: string[] = []
    for (const { name, connections } of vantage.captures) {
      for (const connection of connections) {
        const own = peelConnection(connection, vantage.ownKeylogs)
        const all = peelConnection(connection, [...vantage.ownKeylogs, ...subject.allKeylogs])
        const known = new Set(own.layers.map(layerKey))
        for (const layer of own.layers) readable.push({ capture: name, connection, layer })
        for (const layer of all.layers)
          if (!known.has(layerKey(layer))) sealed.push({ capture: name, connection, layer })
        failures.push(...own.failures, ...all.failures)
      }
    }
    this.readable = readable
    this.sealed = sealed
    this.failures = failures
  }

  cells(): Cell[] {
    return INFORMATION.map((information) => this.#cell(information))
  }

  /** Canaries of `fields` that stand nowhere in this vantage, not even in what was decrypted. */
  missing(fields: readonly CanaryField[]): CanaryField[] {
    return fields.filter((field) => !this.holds(this.#subject.canaries[field]))
  }

  /** Readable or sealed. */
  holds(word: string): boolean {
    return findWord(this.readable, word).length > 0 || findWord(this.sealed, word).length > 0
  }

  #cell(information: Information): Cell {
    const cell = (value: CellValue, evidence: readonly Evidence[], reason?: string): Cell => ({
      observer: this.observer,
      information,
      value,
      ...(reason !== undefined && { reason }),
      evidence: evidence.slice(0, EVIDENCE_MAX),
    })
    const clear = [...this.#atVantage(information), ...this.#look(information, this.readable)]
    if (clear.length > 0) return cell('clear', clear)
    const sealed = this.#look(information, this.sealed)
    if (sealed.length > 0) return cell('sealed', sealed, 'found by decrypting the capture')
    const { siteName, siteAddress, resolve } = this.#subject
    const inferred =
      information === 'destination-address'
        ? findResolvable(this.readable, siteName, siteAddress, resolve)
        : undefined
    if (inferred !== undefined)
      return cell('inferable', [inferred], 'the name was read here and resolves to it')
    const decrypted = this.sealed.length > 0 ? ', nor in what was decrypted of it' : ''
    return cell('absent', [], `looked for in the capture and not found${decrypted}`)
  }

  /** What a vantage has beside the bytes: the addresses of its kernel, and the sizes and times of what it carries. */
  #atVantage(information: Information): Evidence[] {
    const { captures, clientEnds, siteEnds } = this.#vantage
    const { clientAddress, siteAddress, leastBytes } = this.#subject
    const endpoint = (reported: readonly string[], address: string): Evidence[] =>
      reported.includes(address) ? [endpointEvidence(captures[0]?.name ?? '', address)] : []
    if (information === 'client-address') return endpoint(clientEnds, clientAddress)
    if (information === 'destination-address') return endpoint(siteEnds, siteAddress)
    return information === 'traffic-shape' ? findShape(captures, leastBytes) : []
  }

  #look(information: Information, sources: readonly Source[]): Evidence[] {
    const { canaries, clientAddress, siteAddress, applicationKeylog, ports } = this.#subject
    if (information === 'client-address') {
      return findAddress(sources, clientAddress, (_, port) => ports?.client.has(port) === true)
    }
    if (information === 'destination-address') {
      // A name server's answer holds no port: the site is all that it knows of.
      const isSite = (field: string, port: number): boolean =>
        ports !== undefined && (field === 'dns.answers' || ports.site.has(port))
      return findAddress(sources, siteAddress, isSite)
    }
    if (information === 'client-fingerprint') return findFingerprint(sources, applicationKeylog)
    return (NEEDLES[information] ?? []).flatMap((field) => findWord(sources, canaries[field]))
  }
}

function layerKey(layer: Layer): string {
  return `${layer.path}|${layer.direction}`
}
