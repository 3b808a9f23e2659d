// The lab's dissectors, which read whatever a capture holds. Promises: `bad-request` at the worst, every field lies in
// the stream and its text is not much longer than its bytes, and what was read of a beginning stands in the whole.
import { dissectClientHello, type ClientHello } from '../../../src/lab/dissect/client-hello.ts'
import { dissectConnect } from '../../../src/lab/dissect/connect.ts'
import type { Field } from '../../../src/lab/dissect/field.ts'
import { dissectHttpRequest, dissectHttpResponse } from '../../../src/lab/dissect/http-head.ts'
import {
  readHttpRequests,
  readHttpResponses,
  type HttpMessage,
} from '../../../src/lab/dissect/http-message.ts'
import { ja4, ja4Raw } from '../../../src/lab/dissect/ja4.ts'
import { dissectServerHello } from '../../../src/lab/dissect/server-hello.ts'
import { dissectSocks } from '../../../src/lab/dissect/socks.ts'
import { tlsRecords } from '../../../src/lab/dissect/tls-records.ts'
import { dissectWebSocket } from '../../../src/lab/dissect/websocket.ts'
import type { Draw } from '../draw.ts'
import { mixed } from '../mutate.ts'
import { attempt, promise, type Target } from '../target.ts'
import {
  clientHello,
  httpRequest,
  httpResponse,
  serverHello,
  socksSides,
  webSocketStream,
} from './streams.ts'

interface Found {
  readonly word: string
  readonly fields: readonly Field[]
  /** Bytes that were put together from the stream. */
  readonly heldBytes?: number
}

interface Dissector {
  readonly name: string
  readonly valid: (draw: Draw) => Uint8Array
  readonly read: (bytes: Uint8Array) => Found | undefined
  readonly deep: Target['deep']
}

/** Names of numbers, digits of bytes and the two spellings of credentials make text longer than its bytes. */
const TEXT_FACTOR = 16

function dissector({ name, valid, read, deep }: Dissector): Target {
  return {
    name: `dissect-${name}`,
    generate: (draw) => mixed(draw, valid),
    check(input) {
      const outcome = attempt(['bad-request'], () => read(input))
      if (outcome.code !== undefined) return 'refused'
      const found = outcome.value
      if (found === undefined) return 'more'
      let chars = 0
      for (const { name: of, offset, length, value } of found.fields) {
        promise(typeof of === 'string' && typeof value === 'string', 'a field has no name')
        promise(
          offset >= 0 && length >= 0 && offset + length <= input.length,
          'a field lies outside the stream',
        )
        chars += value.length
      }
      promise(chars <= TEXT_FACTOR * input.length + 64, 'the fields are much longer than the stream')
      promise((found.heldBytes ?? 0) <= input.length, 'more is held than came')
      return found.word
    },
    deep,
  }
}

function wholeMessages(stream: Uint8Array, messages: readonly HttpMessage[]): Found {
  let end = 0
  for (const { head, body } of messages) {
    promise(head.offset >= end && body.end >= head.end && body.end <= stream.length, 'messages overlap')
    end = head.end
    let at = 0
    for (const span of body.spans) {
      promise(span.at === at && span.offset >= end && span.offset + span.length <= body.end, 'pieces overlap')
      const there = stream.subarray(span.offset, span.offset + span.length)
      promise(Buffer.from(there).equals(body.bytes.subarray(at, at + span.length)), 'a body is not what came')
      at += span.length
      end = span.offset + span.length
    }
    promise(at === body.bytes.length, 'a body has bytes from nowhere')
    end = body.end
  }
  return {
    word: messages.some(({ body }) => body.complete) ? 'whole' : 'cut',
    fields: messages.flatMap(({ head }) => head.fields),
  }
}

/** The extensions of a hello fill its end exactly, each as long as it says. */
function checkExtensions({ message, extensions }: Pick<ClientHello, 'message' | 'extensions'>): void {
  let at = message.length
  for (const { type, body } of extensions.toReversed()) {
    at -= 4 + body.length
    const says = [type >> 8, type & 0xff, body.length >> 8, body.length & 0xff]
    promise(Buffer.from(says).equals(message.subarray(at, at + 4)), 'an extension is not as long as it says')
  }
  if (extensions.length === 0) return
  const block = message.length - at
  promise(
    Buffer.from([block >> 8, block & 0xff]).equals(message.subarray(at - 2, at)),
    'extensions fill no block',
  )
}

/** Two streams in one input: 16 bits of the length of the first. */
function bothSides<T>(
  input: Uint8Array,
  read: (streams: { client: Uint8Array; server: Uint8Array }) => T,
): T {
  const split = 2 + Math.min(input.length - 2, (input[0] ?? 0) * 256 + (input[1] ?? 0))
  return read({ client: input.subarray(2, split), server: input.subarray(split) })
}

function joined(draw: Draw, client: Uint8Array, server: Uint8Array): Buffer {
  const sides = [mixed(draw, () => client), draw.chance(60) ? server : mixed(draw, () => server)]
  const length = sides[0]!.length
  return Buffer.concat([Buffer.from([length >> 8, length & 0xff]), ...sides])
}

export const dissectTargets: readonly Target[] = [
  dissector({
    name: 'tls-records',
    valid: (draw) => Buffer.concat([serverHello(draw), serverHello(draw)]),
    read: (bytes) => {
      const records = [...tlsRecords(bytes)]
      let heldBytes = 0
      for (const { offset, end, fragment } of records) {
        promise(offset === heldBytes && end <= bytes.length, 'a record lies elsewhere')
        promise(
          end === offset + 5 + fragment.length &&
            end === offset + 5 + bytes[offset + 3]! * 256 + bytes[offset + 4]!,
          'a record is not as long as it says',
        )
        heldBytes = end
      }
      return { word: records.length > 0 ? 'record' : 'none', fields: [], heldBytes }
    },
    deep: { words: ['record'], share: 0.2 },
  }),
  dissector({
    name: 'client-hello',
    valid: clientHello,
    read: (bytes) => {
      const hello = dissectClientHello(bytes)
      if (hello === undefined) return undefined
      checkExtensions(hello)
      promise(/^t[0-9s][0-9]?[0-9di]/.test(ja4(hello)) && ja4Raw(hello).length > 10, 'there is no JA4')
      return { word: 'hello', fields: hello.fields, heldBytes: hello.message.length }
    },
    deep: { words: ['hello'], share: 0.2 },
  }),
  dissector({
    name: 'server-hello',
    valid: serverHello,
    read: (bytes) => {
      const hello = dissectServerHello(bytes)
      if (hello === undefined) return undefined
      checkExtensions(hello)
      return { word: 'hello', fields: hello.fields, heldBytes: hello.message.length }
    },
    deep: { words: ['hello'], share: 0.2 },
  }),
  dissector({
    name: 'http-request',
    valid: httpRequest,
    read: (bytes) => {
      const head = dissectHttpRequest(bytes)
      return head && { word: 'head', fields: head.fields }
    },
    deep: { words: ['head'], share: 0.2 },
  }),
  dissector({
    name: 'http-response',
    valid: httpResponse,
    read: (bytes) => {
      const head = dissectHttpResponse(bytes)
      return head && { word: 'head', fields: head.fields }
    },
    deep: { words: ['head'], share: 0.2 },
  }),
  dissector({
    name: 'http-requests',
    valid: (draw) => Buffer.concat([httpRequest(draw), httpRequest(draw)]),
    read: (bytes) => wholeMessages(bytes, readHttpRequests(bytes)),
    deep: { words: ['whole'], share: 0.1 },
  }),
  dissector({
    name: 'http-responses',
    valid: (draw) => Buffer.concat([httpResponse(draw), httpResponse(draw)]),
    read: (bytes) => wholeMessages(bytes, readHttpResponses(bytes)),
    deep: { words: ['whole'], share: 0.1 },
  }),
  dissector({
    name: 'websocket-client',
    valid: (draw) => webSocketStream(draw, true),
    read: (bytes) => webSocket(bytes, 'client'),
    deep: { words: ['message'], share: 0.1 },
  }),
  dissector({
    name: 'websocket-server',
    valid: (draw) => webSocketStream(draw, false),
    read: (bytes) => webSocket(bytes, 'server'),
    deep: { words: ['message'], share: 0.1 },
  }),
  {
    ...dissector({
      name: 'socks',
      valid: () => Buffer.alloc(0),
      read: (input) =>
        bothSides(input, (streams) => {
          const found = dissectSocks(streams)
          if (found === undefined) return undefined
          checkInside(found.server, streams.server)
          checkInside(found.client, streams.client)
          return { word: found.outcome, fields: [] }
        }),
      deep: { words: ['granted', 'refused'], share: 0.1 },
    }),
    generate: (draw) => joined(draw, ...socksSides(draw)),
  },
  {
    ...dissector({
      name: 'connect',
      valid: () => Buffer.alloc(0),
      read: (input) =>
        bothSides(input, (streams) => {
          const found = dissectConnect(streams)
          if (found === undefined) return undefined
          checkInside(found.server, streams.server)
          checkInside(found.client, streams.client)
          return { word: found.tunnel === undefined ? 'asked' : 'tunnel', fields: [] }
        }),
      deep: { words: ['asked', 'tunnel'], share: 0.1 },
    }),
    generate: (draw) =>
      joined(
        draw,
        Buffer.from(
          'CONNECT a.example:443 HTTP/1.1\r\nHost: a.example\r\nProxy-Authorization: Basic YTpi\r\n\r\n',
        ),
        httpResponse(draw),
      ),
  },
]

function checkInside(fields: readonly Field[], stream: Uint8Array): void {
  for (const { offset, length } of fields) {
    promise(offset >= 0 && length >= 0 && offset + length <= stream.length, 'a field lies outside its stream')
  }
}

function webSocket(bytes: Uint8Array, side: 'client' | 'server'): Found | undefined {
  const found = dissectWebSocket(bytes, side)
  if (found === undefined) return undefined
  promise(found.rest >= found.head.end && found.rest <= bytes.length, 'the rest lies outside the stream')
  const heldBytes = found.messages.reduce((sum, { payload }) => sum + payload.length, 0)
  return { word: found.messages.length > 0 ? 'message' : 'head', fields: found.fields, heldBytes }
}
