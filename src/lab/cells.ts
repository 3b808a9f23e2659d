// Makes the cells of one run from what was captured. Rules: a cell comes from bytes or from an address that a kernel
// reported, never from a table; `sealed` is said only of what was found by decrypting, `absent` only of what was
// looked for there and not found.
import { INFORMATION, type Information, type Observer } from '../policy/exposure.ts'
import type { Canaries, CanaryField } from './canary.ts'
import { streamBytes, type CapturedConnection } from './capture.ts'
import { dissectClientHello } from './dissect/client-hello.ts'
import { ja4 } from './dissect/ja4.ts'
import { attempt, peel, type Layer } from './layers.ts'
import type { Cell, Evidence } from './model.ts'
import { frameAt } from './pcapng/frames.ts'
import { excerpt, searchCapture, type Hit } from './search.ts'

/** One vantage: what was captured there, and the keys that its observer holds. */
export interface Vantage {
  readonly observer: Observer
  readonly captures: ReadonlyArray<{
    readonly name: string
    readonly connections: readonly CapturedConnection[]
  }>
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
  /** Every key log of the run: the tunnel's and the application's. */
  readonly allKeylogs: readonly string[]
  /** The application's own key log, whose client randoms tell its ClientHellos from all others. */
  readonly applicationKeylog: string
  /** The procedure of `inferable`: what a name resolves to. */
  readonly resolve: (name: string) => string | undefined
}

const NEEDLES: Partial<Record<Information, readonly CanaryField[]>> = {
  'client-identity': ['proxyUser', 'proxyPassword', 'certificateSubject'],
  'destination-name': ['hostLabel'],
  'url-and-headers': ['path', 'query', 'header', 'cookie', 'userAgent'],
  content: ['requestBody', 'responseBody', 'siteUser', 'sitePassword'],
}

/** Fields that hold an IP address as bytes, where a search for its text finds nothing. */
const ADDRESS_FIELDS: ReadonlySet<string> = new Set([
  'socks.request.host',
  'socks.bound.host',
  'mux.open.host',
  'mux.opened.host',
])
const RANDOM_IN_KEYLOG = /^CLIENT_(?:HANDSHAKE_TRAFFIC_SECRET|RANDOM) ([0-9a-f]{64})/gim
const EVIDENCE_MAX = 8

interface Source {
  readonly capture: string
  readonly connection: CapturedConnection
  readonly layer: Layer
}

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
        const streams = { up: streamBytes(connection, 'up'), down: streamBytes(connection, 'down') }
        const own = peel(streams, vantage.ownKeylogs)
        const all = peel(streams, [...vantage.ownKeylogs, ...subject.allKeylogs])
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
    return fields.filter(
      (field) => this.find([...this.readable, ...this.sealed], this.#subject.canaries[field]).length === 0,
    )
  }

  find(sources: readonly Source[], needle: string | Uint8Array): Evidence[] {
    return sources.flatMap((source) =>
      searchCapture(source.layer.bytes, needle).map((hit) => this.#evidence(source, hit)),
    )
  }

  #cell(information: Information): Cell {
    const { observer } = this.#vantage
    const clear = this.#look(information, this.readable, true)
    if (clear.length > 0)
      return { observer, information, value: 'clear', evidence: clear.slice(0, EVIDENCE_MAX) }
    const sealed = this.#look(information, this.sealed, false)
    if (sealed.length > 0) {
      return {
        observer,
        information,
        value: 'sealed',
        reason: 'found by decrypting the capture',
        evidence: sealed.slice(0, EVIDENCE_MAX),
      }
    }
    const inferred = information === 'destination-address' ? this.#resolveReadName() : undefined
    if (inferred !== undefined) {
      return {
        observer,
        information,
        value: 'inferable',
        reason: 'the name was read here and resolves to it',
        evidence: [inferred],
      }
    }
    const decrypted = this.sealed.length > 0 ? ', nor in what was decrypted of it' : ''
    return {
      observer,
      information,
      value: 'absent',
      reason: `looked for in the capture and not found${decrypted}`,
      evidence: [],
    }
  }

  #look(information: Information, sources: readonly Source[], atVantage: boolean): Evidence[] {
    const { canaries, clientAddress, siteAddress } = this.#subject
    switch (information) {
      case 'client-address':
        return [
          ...(atVantage ? this.#endpoint(this.#vantage.clientEnds, clientAddress) : []),
          ...this.#address(sources, clientAddress),
        ]
      case 'destination-address':
        return [
          ...(atVantage ? this.#endpoint(this.#vantage.siteEnds, siteAddress) : []),
          ...this.#address(sources, siteAddress),
        ]
      case 'traffic-shape':
        return atVantage ? this.#shape() : []
      case 'client-fingerprint':
        return this.#fingerprint(sources)
      default:
        return (NEEDLES[information] ?? []).flatMap((field) => this.find(sources, canaries[field]))
    }
  }

  #endpoint(addresses: readonly string[], wanted: string): Evidence[] {
    if (!addresses.includes(wanted)) return []
    const capture = this.#vantage.captures[0]?.name ?? ''
    return [
      {
        kind: 'endpoint',
        capture,
        frame: null,
        offset: null,
        length: 0,
        encoding: 'plain',
        field: 'ip.addr',
        excerpt: wanted,
        layer: 'ip',
      },
    ]
  }

  /** Every vantage that carries the bytes sees how many there were, when, and which way. */
  #shape(): Evidence[] {
    return this.#vantage.captures.flatMap(({ name, connections }) =>
      connections.slice(0, 1).flatMap((connection) => {
        const first = connection.frames[0]
        if (first === undefined) return []
        const sizes = connection.frames.map(
          ({ direction, bytes }) => `${direction === 'up' ? '>' : '<'}${bytes.length}`,
        )
        return [
          {
            kind: 'bytes' as const,
            capture: name,
            frame: first.number,
            offset: frameAt(connection, first.direction, first.streamOffset)?.offset ?? null,
            length: first.bytes.length,
            encoding: 'sizes and times',
            field: 'frame.len',
            excerpt: sizes.join(' ').slice(0, 64),
            layer: 'tcp',
          },
        ]
      }),
    )
  }

  /** The application's own ClientHellos, each known by its random; its JA4 is what others would recognize it by. */
  #fingerprint(sources: readonly Source[]): Evidence[] {
    const randoms = new Set(
      [...this.#subject.applicationKeylog.matchAll(RANDOM_IN_KEYLOG)].map(([, random]) =>
        random?.toLowerCase(),
      ),
    )
    return sources.flatMap((source) => {
      if (source.layer.direction !== 'up' || source.layer.bytes[0] !== 22) return []
      const hello = attempt(() => dissectClientHello(source.layer.bytes))
      if (hello === undefined || !randoms.has(Buffer.from(hello.random).toString('hex'))) return []
      const evidence = this.#evidence(source, {
        offset: hello.offset,
        length: hello.end - hello.offset,
        encoding: 'plain',
      })
      return [{ ...evidence, field: 'ssl.ja4', excerpt: ja4(hello) }]
    })
  }

  #address(sources: readonly Source[], address: string): Evidence[] {
    const inFields = sources.flatMap((source) =>
      source.layer.fields
        .filter((field) => ADDRESS_FIELDS.has(field.name) && field.value === address)
        .map((field) => ({
          ...this.#evidence(source, { ...field, encoding: 'plain' }),
          excerpt: address,
          encoding: 'binary',
        })),
    )
    return [...this.find(sources, address), ...inFields]
  }

  #resolveReadName(): Evidence | undefined {
    const { canaries, resolve, siteAddress } = this.#subject
    for (const { layer, capture } of this.readable) {
      for (const field of layer.fields) {
        if (!field.value.includes(canaries.hostLabel)) continue
        const name = /[a-z0-9.-]*sightline\.test/.exec(field.value)?.[0]
        if (name === undefined || resolve(name) !== siteAddress) continue
        return {
          kind: 'procedure',
          capture,
          frame: null,
          offset: null,
          length: 0,
          encoding: 'plain',
          field: field.name,
          excerpt: `resolve ${name} = ${siteAddress}`.slice(0, 64),
          layer: layer.path,
        }
      }
    }
    return undefined
  }

  #evidence(
    { capture, connection, layer }: Source,
    hit: Pick<Hit, 'offset' | 'length' | 'encoding'>,
  ): Evidence {
    const place = layer.place(hit.offset, hit.length)
    const at = place && frameAt(connection, layer.direction, place.offset)
    const field = layer.fields.find(
      ({ offset, length }) => offset <= hit.offset && hit.offset < offset + length,
    )
    return {
      kind: 'bytes',
      capture,
      frame: at?.frame ?? null,
      offset: at?.offset ?? null,
      length: place?.length ?? hit.length,
      encoding: hit.encoding,
      field: field?.name ?? 'payload',
      excerpt: excerpt(layer.bytes, hit),
      layer: layer.path,
    }
  }
}

function layerKey(layer: Layer): string {
  return `${layer.path}|${layer.direction}`
}
