// What can be read on the link to the proxy, by who holds which keys: nobody's (the access network), the link's (the
// proxy), all of them (the application). Pure. Rules: a word counts as there only where its bytes are; an excerpt is the
// found bytes and no more, so that none of a password stands in it.
import type { CapturedConnection } from '../capture.ts'
import { dissectClientHello } from '../dissect/client-hello.ts'
import { dissectServerHello } from '../dissect/server-hello.ts'
import { groupName, versionName } from '../dissect/tls-names.ts'
import { attempt, type Layer } from '../layer.ts'
import { peelConnection } from '../layers.ts'
import { streamBytes } from '../capture.ts'
import type { Evidence } from '../model.ts'
import { excerpt, searchCapture } from '../search.ts'
import type { Visited } from './measure.ts'

export class LinkView {
  readonly failures: readonly string[]
  #layers: ReadonlyArray<{ readonly connection: CapturedConnection; readonly layer: Layer }>

  constructor({ link }: Pick<Visited, 'link'>, keylogs: readonly string[]) {
    const given = keylogs.filter((lines) => lines !== '')
    const peeled = link.connections.map((connection) => ({
      connection,
      ...peelConnection(connection, given),
    }))
    this.failures = peeled.flatMap(({ failures }) => failures)
    this.#layers = peeled.flatMap(({ connection, layers }) => layers.map((layer) => ({ connection, layer })))
  }

  /** The first place of a word; `secret`: without an excerpt. */
  find(word: string | Uint8Array, field: string, secret = false): Evidence | undefined {
    for (const { connection, layer } of this.#layers) {
      const [hit] = searchCapture(layer.bytes, word)
      if (hit === undefined) continue
      const found = layer.bytes.subarray(hit.offset, hit.offset + hit.length)
      const shown = secret ? '' : excerpt(found, { offset: 0, length: hit.length })
      return { ...placeOf(connection, layer, hit), encoding: hit.encoding, field, excerpt: shown }
    }
    return undefined
  }

  /** The first of the fields with this name, and this value where one is given. */
  field(name: string, value?: string): Evidence | undefined {
    for (const { connection, layer } of this.#layers) {
      const found = layer.fields.find(
        (field) => field.name === name && (value === undefined || field.value === value),
      )
      if (found === undefined) continue
      return { ...placeOf(connection, layer, found), encoding: 'plain', field: name, excerpt: found.value }
    }
    return undefined
  }
}

function placeOf(
  { frames }: CapturedConnection,
  layer: Layer,
  { offset, length }: { readonly offset: number; readonly length: number },
): Pick<Evidence, 'kind' | 'capture' | 'frame' | 'offset' | 'length' | 'layer'> {
  const place = layer.place(offset, length)
  const frame =
    place && frames.findLast((one) => one.direction === layer.direction && one.streamOffset <= place.offset)
  return {
    kind: 'bytes',
    capture: 'link',
    frame: frame?.number ?? null,
    offset: place && frame ? place.offset - frame.streamOffset : null,
    length: place?.length ?? length,
    layer: layer.path,
  }
}

/** What TLS on the link is, from its bytes; undefined where a connection does not begin with it. */
export interface LinkTls {
  readonly version: string
  readonly group: string | undefined
}

export function linkTls(connections: readonly CapturedConnection[]): LinkTls | undefined {
  const used = connections.filter(({ frames }) => frames.length > 0)
  const found = used.map((connection) => {
    const hello = attempt(() => dissectClientHello(streamBytes(connection, 'up')))
    const answer = attempt(() => dissectServerHello(streamBytes(connection, 'down')))
    return hello === undefined ? undefined : answer
  })
  const [first] = found
  if (first === undefined || found.includes(undefined)) return undefined
  const group = first.keyShareGroup
  return { version: versionName(first.version), group: group === undefined ? undefined : groupName(group) }
}
