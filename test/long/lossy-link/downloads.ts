// `node downloads.ts PROXY-PORT ORIGIN-HOST ORIGIN-PORT COUNT SECONDS`: so many downloads of 250 kB at once through the proxy,
// by SOCKS5, each followed by another. Says how many bytes they brought in SECONDS, after the first six.
import net from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'

const WARM_MS = 6_000
const [proxyPort = '', host = '', port = '', count = '', seconds = ''] = process.argv.slice(2)

let bytes = 0

function download(): void {
  const socket = net.connect({ host: '127.0.0.1', port: Number(proxyPort) })
  const address = host.split('.').map(Number)
  socket.write(Buffer.from([5, 1, 0, 5, 1, 0, 1, ...address, Number(port) >> 8, Number(port) & 0xff]))
  socket.write('get 250000 4000000\n')
  socket.on('data', (chunk) => (bytes += chunk.length))
  socket.on('error', () => {})
  socket.on('close', download)
}

for (let index = 0; index < Number(count); index += 1) download()
await wait(WARM_MS)
const before = bytes
await wait(Number(seconds) * 1000)
process.stdout.write(`${bytes - before}\n`)
process.exit(0)
