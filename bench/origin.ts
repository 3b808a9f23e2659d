// The origin of the benchmarks, in a process of its own: a bare TCP server that speaks just enough HTTP to cost as
// little CPU as it can. `GET /bytes/N` sends N bytes of a fixed pattern; prints its port as one JSON line.
import net, { type AddressInfo } from 'node:net'
import { PATTERN } from './pattern.ts'

const server = net.createServer({ noDelay: true }, (socket) => {
  socket.on('error', () => socket.destroy())
  let head = ''
  socket.on('data', (chunk: Buffer) => {
    head += chunk.toString('latin1')
    const end = head.indexOf('\r\n\r\n')
    if (end === -1) return
    const bytes = Number(/^GET \/bytes\/(\d+) /.exec(head)?.[1] ?? 0)
    head = head.slice(end + 4)
    socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${bytes}\r\nconnection: close\r\n\r\n`)
    send(socket, bytes)
  })
})

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
