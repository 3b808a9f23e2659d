// The load: bulk downloads and fresh connections through one Way, counted to the byte.
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import type { Way } from './clients.ts'
import { PATTERN } from './pattern.ts'

const STALL_MS = 60_000

/** Downloads `bytes` once; gives the milliseconds to its last byte. Rejects if one byte is missing or too many. */
async function download(way: Way, bytes: number, each?: (chunk: Buffer) => void): Promise<number> {
  const startedMs = performance.now()
  const { socket, target } = await way.open(`/bytes/${bytes}`)
  return new Promise((resolve, reject) => {
    let head: Buffer = Buffer.alloc(0)
    let headDone = false
    let got = 0
    const take = (chunk: Buffer): void => {
      got += chunk.length
      each?.(chunk)
    }
    socket.setTimeout(STALL_MS, () => socket.destroy(new Error('the transfer stalled')))
    socket.on('error', reject)
    socket.on('data', (chunk: Buffer) => {
      if (headDone) return take(chunk)
      head = Buffer.concat([head, chunk])
      const end = head.indexOf('\r\n\r\n')
      if (end === -1) return
      headDone = true
      if (head.length > end + 4) take(head.subarray(end + 4))
    })
    socket.on('end', () => {
      socket.destroy()
      if (got === bytes) resolve(performance.now() - startedMs)
      else reject(new Error(`${way.name}: ${got} bytes instead of ${bytes}`))
    })
    socket.write(`GET ${target} HTTP/1.1\r\nHost: origin\r\nConnection: close\r\n\r\n`)
    socket.resume()
  })
}

/** MB/s (10^6) of `streams` downloads at once, `totalBytes` in all. */
export async function bulk(way: Way, streams: number, totalBytes: number): Promise<number> {
  const each = Math.floor(totalBytes / streams)
  const startedMs = performance.now()
  await Promise.all(Array.from({ length: streams }, () => download(way, each)))
  return (each * streams) / 1000 / (performance.now() - startedMs)
}

/** MB/s (10^6) of one upload of `bytes`, until the origin has said that it got them all. */
export async function upload(way: Way, bytes: number): Promise<number> {
  const startedMs = performance.now()
  const { socket, target } = await way.open('/sink')
  let said = ''
  socket.setTimeout(STALL_MS, () => socket.destroy(new Error('the transfer stalled')))
  const ended = once(socket, 'end')
  socket.on('data', (chunk: Buffer) => (said += chunk.toString('latin1')))
  socket.resume()
  socket.write(`POST ${target} HTTP/1.1\r\nHost: origin\r\nConnection: close\r\n\r\n`)
  for (let left = bytes; left > 0; left -= PATTERN.length) {
    if (!socket.write(PATTERN.subarray(0, Math.min(left, PATTERN.length)))) await once(socket, 'drain')
  }
  socket.end()
  await ended
  const seconds = (performance.now() - startedMs) / 1000
  const got = Number(said.trimEnd().split('\n').at(-1))
  if (got !== bytes) throw new Error(`${way.name}: the origin got ${got} bytes instead of ${bytes}`)
  return bytes / 1e6 / seconds
}

export interface FreshResult {
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
}

/** Fresh connections with one byte each, `inFlight` at once. */
export async function fresh(way: Way, count: number, inFlight: number): Promise<FreshResult> {
  const timesMs: number[] = []
  let left = count
  const worker = async (): Promise<void> => {
    while (left > 0) {
      left -= 1
      timesMs.push(await download(way, 1))
    }
  }
  const startedMs = performance.now()
  await Promise.all(Array.from({ length: inFlight }, worker))
  const perSecond = (count * 1000) / (performance.now() - startedMs)
  timesMs.sort((a, b) => a - b)
  const at = (share: number): number =>
    timesMs[Math.min(timesMs.length - 1, Math.floor(timesMs.length * share))] ?? 0
  return { perSecond, p50Ms: at(0.5), p99Ms: at(0.99) }
}

/** SHA-256 of a download of `bytes`. */
export async function downloadHash(way: Way, bytes: number): Promise<string> {
  const hash = createHash('sha256')
  await download(way, bytes, (chunk) => hash.update(chunk))
  return hash.digest('hex')
}
