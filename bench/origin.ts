// The origin of the benchmarks, in a process of its own: a bare TCP server that speaks just enough HTTP to cost as
// little CPU as it can. `GET /bytes/N` sends N bytes of a fixed pattern, `GET /echo` what it gets, and `POST /sink` takes all that
// comes and says ten times a second, and at its end, how much it was; prints its port as one JSON line.
import net, { type AddressInfo } from 'node:net'
import { PATTERN } from './pattern.ts'

const server = net.createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
  socket.on('error', () => socket.destroy())
  let head = ''
  const onHead = (chunk: Buffer): void => {
    head += chunk.toString('latin1')
    const end = head.indexOf('\r\n\r\n')
    if (end === -1) return
    if (/^(GET \/echo|POST \/sink) /.test(head)) {
      socket.off('data', onHead)
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      if (head.startsWith('GET')) socket.pipe(socket)
      else sink(socket, head.length - end - 4)
      return
    }
    const bytes = Number(/^GET \/bytes\/(\d+) /.exec(head)?.[1] ?? 0)
    head = head.slice(end + 4)
    socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${bytes}\r\nconnection: close\r\n\r\n`)
    send(socket, bytes)
  }
  socket.on('data', onHead)
})

/** `bytes` have come with the head. */
function sink(socket: net.Socket, bytes: number): void {
  socket.on('data', (chunk: Buffer) => (bytes += chunk.length))
  const timer = setInterval(() => socket.write(`${bytes}\n`), 100)
  socket.on('end', () => {
    clearInterval(timer)
    socket.end(`${bytes}\n`)
  })
  socket.on('close', () => clearInterval(timer))
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

server.listen(0, '127.0.0.1', () => {
  console.log(JSON.stringify({ event: 'ready', port: (server.address() as AddressInfo).port }))
})
