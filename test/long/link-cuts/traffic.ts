// What programs do through a tunnel client, a process of its own: `node traffic.ts PROXY-PORT ORIGIN-HOST ORIGIN-PORT`.
// Downloads, uploads and echoes that are begun again as soon as they end, and a new request each half second, in each
// protocol in turn. Everything is told in lines of JSON; `poke` on standard input tries the idle stream, `stop` ends it.
import net, { type Socket } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { patternAt, PatternCheck } from './pattern.ts'

const DOWNLOADS = 3
const UPLOADS = 2
const RATE = 400_000
const DOWNLOAD_BYTES = 8_000_000
const UPLOAD_BYTES = 4_000_000
const ECHO_EVERY_MS = 100
const REQUEST_EVERY_MS = 500
const HANGS_AFTER_MS = 15_000
const AGAIN_AFTER_MS = 200

const [proxyPort = '', originHost = '', originPort = ''] = process.argv.slice(2)
const open = new Set<Socket>()
/** Aborted when all is to end. */
const stop = new AbortController()
const { signal } = stop

function tell(event: object): void {
  process.stdout.write(`${JSON.stringify(event)}\n`)
}

/** How a connection to the proxy ended, as its program sees it. */
type Ending = 'end' | 'reset' | 'closed'

function connect(): Socket {
  const socket = net.connect({
    host: '127.0.0.1',
    port: Number(proxyPort),
    allowHalfOpen: true,
    noDelay: true,
  })
  socket.on('error', () => {})
  open.add(socket)
  socket.on('close', () => open.delete(socket))
  return socket
}

function endingOf(socket: Socket): Promise<Ending> {
  return new Promise((resolve) => {
    socket.once('end', () => resolve('end'))
    socket.once('error', () => resolve('reset'))
    socket.once('close', () => resolve('closed'))
  })
}

/** Resolves with the first `count` bytes, or rejects with how it ended before. */
function firstBytes(socket: Socket, isWhole: (bytes: Buffer) => boolean): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let came = Buffer.alloc(0)
    const onData = (chunk: Buffer): void => {
      came = Buffer.concat([came, chunk])
      if (!isWhole(came)) return
      socket.off('data', onData)
      socket.pause()
      resolve(came)
    }
    socket.on('data', onData)
    void endingOf(socket).then((ending) => reject(new Error(`${ending} after ${came.toString('hex')}`)))
  })
}

function socks5Ask(): Buffer {
  const address = originHost.split('.').map(Number)
  return Buffer.from([5, 1, 0, 5, 1, 0, 1, ...address, Number(originPort) >> 8, Number(originPort) & 0xff])
}

/** A stream to the origin, or undefined where it was refused. */
async function stream(): Promise<Socket | undefined> {
  const socket = connect()
  try {
    socket.write(socks5Ask())
    const answer = await firstBytes(socket, (bytes) => bytes.length >= 12 || (bytes[3] ?? 0) > 0)
    if (answer[3] === 0) return socket
  } catch {}
  socket.destroy()
  return undefined
}

async function forever(run: () => Promise<void>): Promise<void> {
  while (!signal.aborted) {
    await run()
    await wait(AGAIN_AFTER_MS)
  }
}

async function download(): Promise<void> {
  const socket = await stream()
  if (socket === undefined) return
  const startedMs = Date.now()
  let lastMs = startedMs
  const check = new PatternCheck()
  socket.on('data', (chunk: Buffer) => {
    check.take(chunk)
    lastMs = Date.now()
  })
  const ended = endingOf(socket)
  socket.write(`get ${DOWNLOAD_BYTES} ${RATE}\n`)
  socket.resume()
  const ending = await ended
  socket.destroy()
  const { bytes } = check
  const whole = bytes === DOWNLOAD_BYTES
  tell({
    event: 'stream',
    kind: 'download',
    ...how(ending),
    bytes,
    whole,
    good: check.isGood(),
    startedMs,
    lastMs,
  })
}

async function upload(): Promise<void> {
  const socket = await stream()
  if (socket === undefined) return
  const startedMs = Date.now()
  let lastMs = startedMs
  const ended = endingOf(socket)
  socket.write('put\n')
  socket.resume()
  let bytes = 0
  const step = 16_384
  while (bytes < UPLOAD_BYTES && !socket.destroyed && socket.writable) {
    const length = Math.min(step, UPLOAD_BYTES - bytes)
    const isRoom = socket.write(patternAt(bytes, length))
    bytes += length
    if (!isRoom) {
      await Promise.race([new Promise((resolve) => socket.once('drain', resolve)), ended])
    }
    lastMs = Date.now()
    await Promise.race([wait((step / RATE) * 1000), ended])
  }
  socket.end()
  const ending = await ended
  socket.destroy()
  // An answer that ends in order says that the origin has had it all: it is held against what the origin says.
  tell({
    event: 'stream',
    kind: 'upload',
    ...how(ending),
    bytes,
    whole: bytes === UPLOAD_BYTES,
    good: true,
    startedMs,
    lastMs,
  })
}

/** One echo; resolves with false where it did not come. */
async function echo(socket: Socket, count: number): Promise<boolean> {
  const sent = Buffer.from(`${String(count).padStart(63)}\n`)
  const came = firstBytes(socket, (bytes) => bytes.length >= sent.length).catch(() => undefined)
  socket.write(sent)
  socket.resume()
  return (await came)?.equals(sent) ?? false
}

async function echoes(): Promise<void> {
  const socket = await stream()
  if (socket === undefined) return
  const startedMs = Date.now()
  let lastMs = startedMs
  const ended = endingOf(socket)
  socket.write('echo\n')
  let count = 0
  while (!signal.aborted && (await echo(socket, count))) {
    count += 1
    lastMs = Date.now()
    await wait(ECHO_EVERY_MS)
  }
  const ending = signal.aborted ? 'closed' : await ended
  socket.destroy()
  tell({
    event: 'stream',
    kind: 'echo',
    ...how(ending),
    bytes: count * 64,
    whole: false,
    good: true,
    startedMs,
    lastMs,
  })
}

/** Opened once, and quiet until it is poked. */
async function idle(): Promise<void> {
  const socket = await stream()
  if (socket === undefined) return tell({ event: 'idle', state: 'refused' })
  socket.write('echo\n')
  const startedMs = Date.now()
  let pokes = 0
  void endingOf(socket).then((ending) =>
    tell({
      event: 'stream',
      kind: 'idle',
      ...how(ending),
      bytes: 0,
      whole: false,
      good: true,
      startedMs,
      lastMs: 0,
    }),
  )
  poke = async () => {
    pokes += 1
    if (socket.destroyed) return tell({ event: 'idle', state: 'ended' })
    const answered = await Promise.race([echo(socket, pokes), wait(5_000, false)])
    tell({ event: 'idle', state: answered ? 'alive' : socket.destroyed ? 'ended' : 'hangs' })
  }
  socket.resume()
}
let poke = async (): Promise<void> => {}

function how(ending: Ending): object {
  return { ending: signal.aborted ? 'stopped' : ending, endedMs: Date.now() }
}

type Protocol = 'socks5' | 'socks4' | 'connect' | 'http'
const PROTOCOLS: readonly Protocol[] = ['socks5', 'socks4', 'connect', 'http']

/** Gives `ok`, `refused CODE` in the words of the protocol, or how else it ended. */
async function ask(protocol: Protocol): Promise<string> {
  const socket = connect()
  const authority = `${originHost}:${originPort}`
  const target = 'GET /0 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'
  try {
    if (protocol === 'http') {
      socket.write(`GET http://${authority}/0 HTTP/1.1\r\nHost: ${authority}\r\nConnection: close\r\n\r\n`)
    } else if (protocol === 'connect') {
      socket.write(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`)
      const head = await firstBytes(socket, (bytes) => bytes.includes('\r\n\r\n'))
      if (!head.includes(' 200 ')) return `refused ${head.toString('latin1', 9, 12)}`
      socket.write(target)
    } else if (protocol === 'socks4') {
      const address = originHost.split('.').map(Number)
      socket.write(Buffer.from([4, 1, Number(originPort) >> 8, Number(originPort) & 0xff, ...address, 0]))
      const answer = await firstBytes(socket, (bytes) => bytes.length >= 8)
      if (answer[1] !== 90) return `refused ${answer[1]}`
      socket.write(target)
    } else {
      socket.write(socks5Ask())
      const answer = await firstBytes(socket, (bytes) => bytes.length >= 12 || (bytes[3] ?? 0) > 0)
      if (answer[3] !== 0) return `refused ${answer[3]}`
      socket.write(target)
    }
    socket.resume()
    const head = await firstBytes(socket, (bytes) => bytes.includes('\r\n\r\n'))
    return head.includes(' 200 ') ? 'ok' : `refused ${head.toString('latin1', 9, 12)}`
  } catch (thrown) {
    return (thrown as Error).message
  } finally {
    socket.destroy()
  }
}

async function requests(): Promise<void> {
  for (let count = 0; !signal.aborted; count += 1) {
    const protocol = PROTOCOLS[count % PROTOCOLS.length] ?? 'socks5'
    const startedMs = Date.now()
    void Promise.race([ask(protocol), wait(HANGS_AFTER_MS, 'hangs')]).then((result) =>
      tell({ event: 'request', protocol, result, startedMs, endedMs: Date.now() }),
    )
    await wait(REQUEST_EVERY_MS)
  }
}

process.stdin.setEncoding('utf8')
process.stdin.on('data', (text: string) => {
  if (text.includes('poke')) void poke()
  if (!text.includes('stop')) return
  stop.abort()
  for (const socket of open) socket.destroy()
  setTimeout(() => process.exit(0), 500)
})
for (let count = 0; count < DOWNLOADS; count += 1) void forever(download)
for (let count = 0; count < UPLOADS; count += 1) void forever(upload)
void forever(echoes)
void idle()
void requests()
