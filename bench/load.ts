// The load, through one Way: bulk for so long, fresh connections, ping-pong, connections that only stay open, and bytes whose hash
// is held against the origin's. Rules: what is timed is timed where the bytes arrive; processor time is read at the two ends of
// the same interval, of the processes that are measured and of this one.
import { createHash } from 'node:crypto'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { PATTERN, patternHash } from './pattern.ts'
import { cpuSecondsOf } from './processes.ts'
import { connect, direct, open, targetOf, type Way } from './way.ts'

const ENDLESS_BYTES = 1_000_000_000_000
const PING_BYTES = 64
const UPLOAD_PIECE = PATTERN.subarray(0, 256 * 1024)
/** From the first byte on every stream to the start of the clock: flow control finds its size. */
const WARM_MS = 150
const STALL_MS = 60_000

export interface Watched {
  /** Whose processor time is counted, with all their children. */
  readonly pids: readonly number[]
}

export interface BulkResult {
  /** 10^6 bytes a second. */
  readonly perSecond: number
  readonly cpuPerGB: number
  /** Processors that the load itself took, of one. */
  readonly loadCpus: number
}

export interface FreshResult {
  readonly perSecond: number
  readonly cpuMsEach: number
  readonly loadCpus: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly p999Ms: number
}

export interface Latency {
  readonly p50Ms: number
  readonly p99Ms: number
  readonly p999Ms: number
}

export const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** What a request is told from: its line and its least fields. */
const ask = (way: Way, method: string, path: string, bodyBytes?: number): string =>
  `${method} ${targetOf(way, path)} HTTP/1.1\r\nHost: ${way.origin.host}:${way.origin.port}\r\nConnection: close\r\n` +
  `${bodyBytes === undefined ? '' : `Content-Length: ${bodyBytes}\r\n`}\r\n`

/** The answer's body, piece by piece, once its head is over. */
function body(take: (bytes: Buffer) => void, begun: () => void = () => {}): (bytes: Buffer) => void {
  let head: Buffer | undefined = Buffer.alloc(0)
  return (bytes) => {
    if (head === undefined) return take(bytes)
    head = head.length === 0 ? bytes : Buffer.concat([head, bytes])
    const end = head.indexOf('\r\n\r\n')
    if (end === -1) return void (head = Buffer.from(head))
    const rest = head.subarray(end + 4)
    head = undefined
    begun()
    if (rest.length > 0) take(rest)
  }
}

export interface Flow {
  readonly sockets: readonly Socket[]
  /** Bytes that have arrived, and when that was (of a download: now). */
  readonly arrived: () => { readonly bytes: number; readonly atMs: number }
}

/** Downloads that never end, once each of them has begun. */
export async function downloads(way: Way, streams: number): Promise<Flow> {
  let bytes = 0
  const one = async (): Promise<Socket> => {
    const first = Promise.withResolvers<void>()
    const taken = body((chunk) => (bytes += chunk.length), first.resolve)
    const socket = await open(way, taken, (error) =>
      first.reject(error ?? new Error(`${way.name}: it ended`)),
    )
    first.promise.catch(() => {})
    socket.write(ask(way, 'GET', `/bytes/${ENDLESS_BYTES}`))
    await first.promise
    return socket
  }
  const sockets = await Promise.all(Array.from({ length: streams }, one))
  return { sockets, arrived: () => ({ bytes, atMs: performance.now() }) }
}

/** Uploads that never end. How much of them has come the origin says past the way: some relays carry one direction at a time. */
export async function uploads(way: Way, streams: number): Promise<Flow> {
  const sunk = { bytes: 0, atMs: 0 }
  let said = ''
  let heard = (): void => {}
  const counter = await open(
    direct(way.origin),
    body((chunk) => {
      const lines = `${said}${chunk.toString('latin1')}`.split('\n')
      said = lines.pop() ?? ''
      const [bytes, atMs] = (lines.at(-1) ?? '').split(' ').map(Number)
      if (bytes === undefined || atMs === undefined) return
      sunk.bytes = bytes
      sunk.atMs = atMs
      heard()
    }),
  )
  const next = (): Promise<void> => new Promise((resolve) => (heard = resolve))
  counter.write(ask(direct(way.origin), 'GET', '/sunk'))
  await next()
  const before = sunk.bytes
  const one = async (): Promise<Socket> => {
    const socket = await open(way, () => {})
    socket.on('error', () => {})
    socket.write(ask(way, 'POST', '/sink', ENDLESS_BYTES))
    return socket
  }
  const sockets = await Promise.all(Array.from({ length: streams }, one))
  for (const socket of sockets) {
    const more = (): void => {
      while (!socket.destroyed && socket.write(UPLOAD_PIECE)) continue
    }
    socket.on('drain', more)
    more()
  }
  while (sunk.bytes === before) await next()
  return { sockets: [...sockets, counter], arrived: () => ({ ...sunk }) }
}

/** MB/s of `streams` transfers at once, over `ms`. */
export async function bulk(
  way: Way,
  { streams, up = false, ms, pids }: { streams: number; up?: boolean; ms: number } & Watched,
): Promise<BulkResult> {
  const { sockets, arrived } = await within(way, (up ? uploads : downloads)(way, streams))
  await wait(WARM_MS)
  const cpu = cpuMeter(pids)
  const before = arrived()
  await wait(ms)
  const after = arrived()
  const { seconds, loadCpus } = cpu()
  for (const socket of sockets) breakOff(socket)
  const bytes = after.bytes - before.bytes
  return {
    perSecond: bytes / 1000 / (after.atMs - before.atMs),
    cpuPerGB: seconds / (bytes / 1e9),
    loadCpus,
  }
}

/** What is on the way is dropped, so that it does not go through what is measured next. */
export function breakOff(socket: Socket): void {
  if (socket instanceof TLSSocket) socket.destroy()
  else socket.resetAndDestroy()
}

/** Fresh connections for `ms` (and at least 100), `inFlight` at once: dial, handshake, request, `bytes` bytes, end. */
export async function fresh(
  way: Way,
  { inFlight, ms, bytes = 1, pids }: { inFlight: number; ms: number; bytes?: number } & Watched,
): Promise<FreshResult> {
  const request = ask(way, 'GET', `/bytes/${bytes}`)
  const timesMs: number[] = []
  const cpu = cpuMeter(pids)
  const startedMs = performance.now()
  const worker = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const again = (): void => {
        const atMs = performance.now()
        if (atMs - startedMs > ms && timesMs.length >= 100) return resolve()
        let got = 0
        const socket = connect(way, {
          ready: (ready) => void ready.write(request),
          // Done with its last byte: some proxies wait for the client to end first.
          data: body((chunk) => {
            got += chunk.length
            if (got < bytes) return
            socket.destroy()
            if (got > bytes) return reject(new Error(`${way.name}: ${got} bytes instead of ${bytes}`))
            timesMs.push(performance.now() - atMs)
            again()
          }),
          end: () => {
            if (got < bytes) reject(new Error(`${way.name}: ${got} bytes instead of ${bytes}`))
          },
          failed: (error) => reject(new Error(`${way.name}: ${error.message}`, { cause: error })),
        })
      }
      again()
    })
  await within(way, Promise.all(Array.from({ length: inFlight }, worker)))
  const perSecond = (timesMs.length * 1000) / (performance.now() - startedMs)
  const { seconds, loadCpus } = cpu()
  return { perSecond, loadCpus, cpuMsEach: (seconds * 1000) / timesMs.length, ...latencyOf(timesMs) }
}

/** 64 bytes there and back on one connection, one after the other, for `ms` (and at least 50 times). */
export async function pingPong(way: Way, { ms }: { ms: number }): Promise<Latency> {
  const timesMs: number[] = []
  const begun = Promise.withResolvers<void>()
  const over = Promise.withResolvers<void>()
  const ping = Buffer.alloc(PING_BYTES, 'p')
  let got = 0
  let sentMs = 0
  let startedMs = 0
  const again = (): void => {
    sentMs = performance.now()
    if (sentMs - startedMs > ms && timesMs.length >= 50) return over.resolve()
    got = 0
    socket.write(ping)
  }
  const taken = body((chunk) => {
    got += chunk.length
    if (got !== PING_BYTES) return
    timesMs.push(performance.now() - sentMs)
    again()
  }, begun.resolve)
  const socket = await open(way, taken, (error) =>
    over.reject(error ?? new Error(`${way.name}: the echo ended`)),
  )
  socket.write(ask(way, 'GET', '/echo'))
  await within(way, begun.promise)
  startedMs = performance.now()
  again()
  await within(way, over.promise)
  socket.destroy()
  return latencyOf(timesMs)
}

/** Opens `count` connections, on each of which the origin has answered, and leaves them open. */
export async function hold(way: Way, count: number): Promise<Socket[]> {
  const sockets: Socket[] = []
  const one = async (): Promise<void> => {
    const begun = Promise.withResolvers<void>()
    const socket = await open(
      way,
      body(() => {}, begun.resolve),
      (error) => begun.reject(error ?? new Error(`${way.name}: it ended`)),
    )
    begun.promise.catch(() => {})
    socket.write(ask(way, 'GET', '/echo'))
    await begun.promise
    sockets.push(socket)
  }
  const lane = async (): Promise<void> => {
    for (let opened = 0; opened < count / HOLD_LANES; opened += 1) await one()
  }
  await within(way, Promise.all(Array.from({ length: HOLD_LANES }, lane)))
  return sockets
}
const HOLD_LANES = 25

/** Both ways: a download read at once, one read by a slow reader who stops again and again, and an upload. Throws on one wrong byte. */
export async function checkBytes(way: Way, bytes: number): Promise<void> {
  const wanted = patternHash(bytes)
  const downs = await within(way, Promise.all([download(way, bytes, false), download(way, bytes, true)]))
  const got = [...downs, await within(way, uploadHash(way, bytes))]
  const names = ['a download', 'a slow reader', 'an upload']
  for (const [index, hash] of got.entries()) {
    if (hash !== wanted)
      throw new Error(`${way.name}: the bytes of ${names[index]} are not those that were sent`)
  }
}

function download(way: Way, bytes: number, isSlow: boolean): Promise<string> {
  return new Promise((resolve, reject) => {
    const sum = createHash('sha256')
    let got = 0
    let untilStop = 0
    let isOver = false
    const end = (): void => {
      if (isOver) return
      isOver = true
      socket.destroy()
      if (got === bytes) resolve(sum.digest('hex'))
      else reject(new Error(`${way.name}: ${got} bytes instead of ${bytes}`))
    }
    const socket = connect(way, {
      ready: (ready) => void ready.write(ask(way, 'GET', `/bytes/${bytes}`)),
      data: body((chunk) => {
        sum.update(chunk)
        got += chunk.length
        untilStop += chunk.length
        // A byte too many would follow at once.
        if (got === bytes) setTimeout(end, 20)
        if (!isSlow || untilStop < bytes / 40) return
        untilStop = 0
        socket.pause()
        setTimeout(() => socket.resume(), 10)
      }),
      end: () => end(),
      failed: reject,
    })
  })
}

async function uploadHash(way: Way, bytes: number): Promise<string> {
  let said = ''
  const over = Promise.withResolvers<void>()
  const taken = body((chunk) => (said += chunk.toString('latin1')))
  const socket = await open(way, taken, (error) =>
    error === undefined ? over.resolve() : over.reject(error),
  )
  socket.write(ask(way, 'POST', '/hash', bytes))
  for (let left = bytes; left > 0; left -= PATTERN.length)
    socket.write(PATTERN.subarray(0, Math.min(left, PATTERN.length)))
  await over.promise
  socket.destroy()
  return /[\da-f]{64}/.exec(said)?.[0] ?? said
}

function latencyOf(timesMs: number[]): Latency {
  timesMs.sort((one, other) => one - other)
  const at = (share: number): number =>
    timesMs[Math.min(timesMs.length - 1, Math.floor(timesMs.length * share))] ?? Number.NaN
  return { p50Ms: at(0.5), p99Ms: at(0.99), p999Ms: at(0.999) }
}

/** Gives the seconds that `pids` took since, and the processors that this process took. */
function cpuMeter(pids: readonly number[]): () => { seconds: number; loadCpus: number } {
  const before = cpuSecondsOf(pids)
  const ownBefore = process.cpuUsage()
  const startedMs = performance.now()
  return () => {
    const own = process.cpuUsage(ownBefore)
    return {
      seconds: cpuSecondsOf(pids) - before,
      loadCpus: (own.user + own.system) / 1000 / (performance.now() - startedMs),
    }
  }
}

async function within<T>(way: Way, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${way.name}: nothing in ${STALL_MS} ms`)), STALL_MS)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
