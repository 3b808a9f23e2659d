// npm run bench:codec: what the codecs cost alone, without sockets: nanoseconds of one call, and MB/s where bytes are touched. Medians of
// batches, each long enough that the clock does not matter. For the shape of a change; docs and goals take nothing from here.
import { encodeDataHead, decodeFrame, encodeFrame } from '../src/protocol/mux/frame.ts'
import { DEFAULT_PAYLOAD_BYTES } from '../src/protocol/mux/session.ts'
import { SocksHandshake } from '../src/protocol/socks/handshake.ts'
import { xor } from '../src/protocol/websocket-mask.ts'
import { BufferBudget } from '../src/transport/buffer-budget.ts'
import { MessageWriter } from '../src/transport/message-writer.ts'
import { median } from './statistics.ts'

const BATCHES = 15
const BATCH_MS = 40

const payload = Buffer.alloc(DEFAULT_PAYLOAD_BYTES, 'p')
const data = Buffer.concat([encodeDataHead(7), payload])
const destination = { host: 'www.example.org', port: 443 }
const open = encodeFrame({ type: 'open', stream: 7, kind: 'tcp', destination })
const key = Buffer.from([1, 2, 3, 4])
const greeting = Buffer.from([5, 1, 0])
const request = Buffer.from([5, 1, 0, 3, 15, ...Buffer.from('www.example.org'), 1, 187])
const budget = new BufferBudget()
const writers = [false, true].map((isClient) => new MessageWriter(budget, isClient, (_bytes, sent) => sent()))

function write(writer: MessageWriter | undefined): void {
  writer?.add({ head: data.subarray(0, 5), payload: payload.subarray(0, writer.room - 5) })
  writer?.flush()
}

function handshake(): void {
  const socks = new SocksHandshake({ auth: 'none' })
  socks.push(greeting)
  socks.next()
  socks.push(request)
  socks.next()
}

const CODECS: ReadonlyArray<readonly [name: string, bytes: number, call: () => unknown]> = [
  ['mux: decode DATA of a TLS record', 0, () => decodeFrame(data)],
  ['mux: head of DATA', 0, () => encodeDataHead(7)],
  ['mux: encode OPEN', 0, () => encodeFrame({ type: 'open', stream: 7, kind: 'tcp', destination })],
  ['mux: decode OPEN', 0, () => decodeFrame(open)],
  ['WebSocket: a message of a TLS record, gateway', payload.length, () => write(writers[0])],
  ['WebSocket: the same, masked, client', payload.length, () => write(writers[1])],
  ['WebSocket: mask alone', payload.length, () => xor(payload, 0, payload.length, key)],
  ['SOCKS 5: greeting and request with a name', 0, handshake],
]

/** Nanoseconds of one call. */
function nanoseconds(call: () => unknown): number {
  let calls = 1
  for (;;) {
    const startedMs = performance.now()
    for (let count = 0; count < calls; count += 1) call()
    if (performance.now() - startedMs >= BATCH_MS) break
    calls *= 2
  }
  const batches = Array.from({ length: BATCHES }, () => {
    const startedMs = performance.now()
    for (let count = 0; count < calls; count += 1) call()
    return ((performance.now() - startedMs) * 1e6) / calls
  })
  return median(batches)
}

console.log('| codec | ns | MB/s |\n| --- | --- | --- |')
for (const [name, bytes, call] of CODECS) {
  const each = nanoseconds(call)
  console.log(`| ${name} | ${each.toFixed(0)} | ${bytes === 0 ? '' : ((bytes * 1000) / each).toFixed(0)} |`)
}
