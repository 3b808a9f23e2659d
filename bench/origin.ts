// The origin of the benchmarks, in a process of its own: a bare TCP server that speaks just enough HTTP to cost as
// little CPU as it can. `GET /bytes/N` sends N bytes of a fixed pattern, and `GET /echo` what it gets. `POST /sink` takes all that
// comes, and `GET /sunk`, on a connection of its own, says twenty times a second how many bytes all sinks have taken, and after
// how many ms. `POST /hash` takes content-length bytes and says their SHA-256. Prints its port as one JSON line; `--host` is
// where it listens.
import { createHash } from 'node:crypto'
import net, { type AddressInfo } from 'node:net'
import { parseArgs } from 'node:util'
import { PATTERN } from './pattern.ts'

const SAY_EVERY_MS = 50
const { values } = parseArgs({ options: { host: { type: 'string', default: '127.0.0.1' } } })

const server = net.createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
  socket.on('error', () => socket.destroy())
  let head = ''
  const onHead = (chunk: Buffer): void => {
    head += chunk.toString('latin1')
    const end = head.indexOf('\r\n\r\n')
    if (end === -1) return
    if (/^(GET [^ ]*\/(echo|sunk)|POST [^ ]*\/(sink|hash)) /.test(head)) {
      socket.off('data', onHead)
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      const early = Buffer.from(head.slice(end + 4), 'latin1')
      if (early.length > 0) socket.unshift(early)
      if (/^GET [^ ]*\/sunk/.test(head)) saySunk(socket)
      else if (head.startsWith('GET')) socket.pipe(socket)
      else if (/^[^ ]* [^ ]*\/hash /.test(head)) hash(socket, lengthOf(head))
      else sink(socket)
      return
    }
    const bytes = Number(/^GET [^ ]*\/bytes\/(\d+) /.exec(head)?.[1] ?? 0)
    head = head.slice(end + 4)
    const answer = `HTTP/1.1 200 OK\r\ncontent-length: ${bytes}\r\nconnection: close\r\n\r\n`
    // One write, and one segment, where the body is small.
    if (bytes <= 1) return void socket.end(answer + 'x'.repeat(bytes))
    socket.write(answer)
    send(socket, bytes)
  }
  socket.on('data', onHead)
})

let sunkBytes = 0

function sink(socket: net.Socket): void {
  socket.on('data', (chunk: Buffer) => (sunkBytes += chunk.length))
  socket.on('end', () => socket.end())
}

function saySunk(socket: net.Socket): void {
  const say = (): void => void socket.write(`${sunkBytes} ${performance.now().toFixed(3)}\n`)
  const timer = setInterval(say, SAY_EVERY_MS)
  socket.on('end', () => socket.end())
  socket.on('close', () => clearInterval(timer))
  socket.resume()
  say()
}

const lengthOf = (head: string): number => Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? 0)

/** Answers after `length` bytes, not at the end: some proxies take an end of one direction for that of both. */
function hash(socket: net.Socket, length: number): void {
  const sum = createHash('sha256')
  let left = length
  socket.on('data', (chunk: Buffer) => {
    sum.update(chunk)
    left -= chunk.length
    if (left <= 0) socket.end(`${left === 0 ? sum.digest('hex') : 'too many bytes'}\n`)
  })
}

function send(socket: net.Socket, bytes: number): void {
  let left = bytes
  const more = (): void => {
    while (left > 0) {
      const piece = left >= PATTERN.length ? PATTERN : PATTERN.subarray(0, left)
      left -= piece.length
      if (!socket.write(piece)) return void socket.once('drain', more)
    }
    socket.end()
  }
  more()
}

server.listen({ port: 0, host: values.host, backlog: 4096 }, () => {
  console.log(JSON.stringify({ event: 'ready', port: (server.address() as AddressInfo).port }))
})
