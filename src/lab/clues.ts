// Finds information in the layers of captures: words under every encoding, addresses, the application's ClientHello,
// sizes and times. Rule: what is found is given with its place in the capture, so that a reader can check it.
import type { CapturedConnection } from './capture.ts'
import type { Field } from './dissect/field.ts'
import { dissectClientHello } from './dissect/client-hello.ts'
import { ja4 } from './dissect/ja4.ts'
import { attempt, type Layer } from './layer.ts'
import type { Evidence } from './model.ts'
import { frameAt } from './pcapng/frames.ts'
import { ONLY_ADDRESS } from './stand-ins.ts'
import { excerpt, searchCapture, type Hit } from './search.ts'

/** A layer of a connection, and the capture that it was peeled from. */
export interface Source {
  readonly capture: string
  readonly connection: CapturedConnection
  readonly layer: Layer
}

export interface Capture {
  readonly name: string
  readonly connections: readonly CapturedConnection[]
}

/** Fields that hold an IP address as bytes, where a search for its text finds nothing. */
const ADDRESS_FIELDS: ReadonlySet<string> = new Set([
  'socks.request.host',
  'socks.bound.host',
  'mux.open.host',
  'mux.opened.host',
  'mux.datagram.host',
  'dns.answers',
])
const RANDOM_IN_KEYLOG = /^CLIENT_(?:HANDSHAKE_TRAFFIC_SECRET|RANDOM) ([0-9a-f]{64})/gim
const TLS_HANDSHAKE = 22
const EXCERPT_CHARACTERS = 64

export function findWord(sources: readonly Source[], word: string | Uint8Array): Evidence[] {
  return sources.flatMap((source) =>
    searchCapture(source.layer.bytes, word).map((hit) => evidenceOf(source, hit)),
  )
}

/**
 * As text anywhere, and as bytes in the fields that hold addresses. `standsFor` says of a field with the one address that
 * all share, and of the port behind it, whether it is this party's.
 */
export function findAddress(
  sources: readonly Source[],
  address: string,
  standsFor?: (field: string, port: number) => boolean,
): Evidence[] {
  const isIt = ({ layer }: Source, { name, value, offset, length }: Field): boolean => {
    if (value === address) return true
    const [high = 0, low = 0] = layer.bytes.subarray(offset + length)
    return value === ONLY_ADDRESS && standsFor?.(name, high * 256 + low) === true
  }
  const inFields = sources.flatMap((source) =>
    source.layer.fields
      .filter((field) => ADDRESS_FIELDS.has(field.name) && isIt(source, field))
      .map((field) => ({
        ...evidenceOf(source, { ...field, encoding: 'plain' }),
        excerpt: address,
        encoding: 'binary',
      })),
  )
  return [...findWord(sources, address), ...inFields]
}

/** The application's own ClientHellos, each known by its random; their JA4 is what others would recognize it by. */
export function findFingerprint(sources: readonly Source[], applicationKeylog: string): Evidence[] {
  const randoms = new Set(
    [...applicationKeylog.matchAll(RANDOM_IN_KEYLOG)].map(([, random]) => random?.toLowerCase()),
  )
  return sources.flatMap((source) => {
    if (source.layer.direction !== 'up' || source.layer.bytes[0] !== TLS_HANDSHAKE) return []
    const hello = attempt(() => dissectClientHello(source.layer.bytes))
    if (hello === undefined || !randoms.has(Buffer.from(hello.random).toString('hex'))) return []
    const evidence = evidenceOf(source, {
      offset: hello.offset,
      length: hello.end - hello.offset,
      encoding: 'plain',
    })
    return [{ ...evidence, field: 'ssl.ja4', excerpt: ja4(hello) }]
  })
}

/**
 * Connections that carried at least so many bytes each way, which a look-up beside the request does not: their sizes and
 * times are the request's.
 */
export function findShape(
  captures: readonly Capture[],
  least: { readonly up: number; readonly down: number },
): Evidence[] {
  return captures.flatMap(({ name, connections }) =>
    connections.flatMap((connection) => {
      const { transport, frames } = connection
      const [first] = frames
      const carried = { up: 0, down: 0 }
      for (const { direction, bytes } of frames) carried[direction] += bytes.length
      if (first === undefined || carried.up < least.up || carried.down < least.down) return []
      const sizes = frames.map(({ direction, bytes }) => `${direction === 'up' ? '>' : '<'}${bytes.length}`)
      return [
        {
          kind: 'bytes' as const,
          capture: name,
          frame: first.number,
          offset: frameAt(connection, first.direction, first.streamOffset)?.offset ?? null,
          length: first.bytes.length,
          encoding: 'sizes and times',
          field: 'frame.len',
          excerpt: sizes.join(' ').slice(0, EXCERPT_CHARACTERS),
          layer: transport,
        },
      ]
    }),
  )
}

/** The procedure of `inferable`: a field that was read names the site, and the name leads to `address`. */
export function findResolvable(
  sources: readonly Source[],
  name: string,
  address: string,
  resolve: (name: string) => string | undefined,
): Evidence | undefined {
  for (const { layer, capture } of sources) {
    const field = layer.fields.find(({ value }) => value.toLowerCase().includes(name))
    if (field === undefined || resolve(name) !== address) continue
    return fromProcedure({
      capture,
      field: field.name,
      layer: layer.path,
      excerpt: `resolve ${name} = ${address}`,
    })
  }
  return undefined
}

/** An address that a kernel reports at this vantage. */
export function endpointEvidence(capture: string, address: string): Evidence {
  return { ...NO_PLACE, kind: 'endpoint', capture, field: 'ip.addr', excerpt: address, layer: 'ip' }
}

export function fromProcedure(parts: Pick<Evidence, 'capture' | 'field' | 'layer' | 'excerpt'>): Evidence {
  return { ...NO_PLACE, kind: 'procedure', ...parts, excerpt: parts.excerpt.slice(0, EXCERPT_CHARACTERS) }
}

const NO_PLACE = { frame: null, offset: null, length: 0, encoding: 'plain' } as const

function evidenceOf(
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
    encoding: layer.coding === undefined ? hit.encoding : `${layer.coding}:${hit.encoding}`,
    field: field?.name ?? 'payload',
    excerpt: excerpt(layer.bytes, hit),
    layer: layer.path,
  }
}
