// The far end of the transfers, a process of its own: `node origin.ts HOST PORT`. A connection begins with one line: `get N
// RATE` is sent N bytes of the pattern, RATE a second, and an end; `put` has what it sends held against the pattern;
// `echo` is sent back what it sends. How each upload ended is a line of JSON on standard output.
import net, { type Socket } from 'node:net'
import { patternAt, PatternCheck } from './pattern.ts'

const STEP_MS = 20

const [host = '127.0.0.1', port = '0'] = process.argv.slice(2)
const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
  socket.on('error', () => {})
  let head = Buffer.alloc(0)
  const onData = (chunk: Buffer): void => {
    head = Buffer.concat([head, chunk])
    const end = head.indexOf('\n')
    if (end < 0) return
    socket.off('data', onData)
    socket.pause()
    const line = head.toString('latin1', 0, end).trim()
    const rest = head.subarray(end + 1)
    if (rest.length > 0) socket.unshift(rest)
    serve(socket, line)
    socket.resume()
  }
  socket.on('data', onData)
})
server.listen(Number(port), host, () => {
  const { port: bound } = server.address() as net.AddressInfo
  process.stdout.write(`${JSON.stringify({ event: 'listening', port: bound })}\n`)
})

function serve(socket: Socket, line: string): void {
  const http = /^GET \S*\/(\d+) HTTP/.exec(line)
  if (http !== null) {
    socket.end(`HTTP/1.1 200 OK\r\nContent-Length: ${http[1]}\r\nConnection: close\r\n\r\n`)
    return
  }
  const [what, bytes, rate] = line.split(' ')
  if (what === 'echo') socket.pipe(socket)
  else if (what === 'put') receive(socket)
  else send(socket, Number(bytes), Number(rate))
}

function send(socket: Socket, bytes: number, rate: number): void {
  let sent = 0
  const step = Math.ceil((rate * STEP_MS) / 1000)
  const timer = setInterval(() => {
    if (socket.writableNeedDrain) return
    const length = Math.min(step, bytes - sent)
    socket.write(patternAt(sent, length))
    sent += length
    if (sent < bytes) return
    clearInterval(timer)
    socket.end()
  }, STEP_MS)
  socket.on('close', () => clearInterval(timer))
}

function receive(socket: Socket): void {
  const check = new PatternCheck()
  let ending = 'closed'
  socket.on('data', (chunk: Buffer) => check.take(chunk))
  socket.on('end', () => {
    ending = 'end'
    socket.end()
  })
  socket.on('error', () => (ending = 'reset'))
  socket.on('close', () => {
    const { bytes } = check
    const report = { event: 'upload', bytes, good: check.isGood(), ending, atMs: Date.now() }
    process.stdout.write(`${JSON.stringify(report)}\n`)
  })
}
