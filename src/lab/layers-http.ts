// The layers of a connection that speaks HTTP: its heads with their fields, and each body that is not in the stream as
// it is: in chunks, or under a content coding. Rule: a decoded body leads back to the whole coded body, for no byte of
// it stands for one byte of the other.
import type { Direction } from './capture.ts'
import { headerValue } from './dissect/http-head.ts'
import { readHttpRequests, readHttpResponses, type HttpMessage } from './dissect/http-message.ts'
import { attempt, through, type Layer, type Pair, type Place } from './layer.ts'
import { decodeContent } from './search.ts'

/** Undefined where neither direction begins with a message of HTTP. */
export function httpLayers(pair: Pair): Layer[] | undefined {
  const requests = attempt(() => readHttpRequests(pair.up.bytes)) ?? []
  const methods = requests.map(({ head }) => head.method)
  const responses = attempt(() => readHttpResponses(pair.down.bytes, methods)) ?? []
  if (requests.length + responses.length === 0) return undefined
  return [...sideLayers(pair, 'up', requests), ...sideLayers(pair, 'down', responses)]
}

function sideLayers(pair: Pair, direction: Direction, messages: ReadonlyArray<HttpMessage>): Layer[] {
  const { bytes, place } = pair[direction]
  const fields = messages.flatMap(({ head }) => head.fields)
  return [
    { path: pair.path, direction, bytes, place, fields },
    ...messages.flatMap((message) => bodyLayers(pair, direction, message)),
  ]
}

function bodyLayers(pair: Pair, direction: Direction, { head, body }: HttpMessage): Layer[] {
  if (body.bytes.length === 0) return []
  const within = through(body.spans, pair[direction].place)
  const layers: Layer[] = []
  let path = pair.path
  if (headerValue(head, 'transfer-encoding') !== undefined) {
    path += ' > chunks'
    layers.push({ path, direction, bytes: body.bytes, place: within, fields: [] })
  }
  const coded = headerValue(head, 'content-encoding')
  const plain = coded === undefined ? undefined : attempt(() => decodeContent(body.bytes, coded))
  if (plain !== undefined && plain.coding !== '') {
    const { decoded, coding } = plain
    const place: Place = () => within(0, body.bytes.length)
    layers.push({ path: `${path} > ${coding}`, direction, bytes: decoded, place, fields: [], coding })
  }
  return layers
}
