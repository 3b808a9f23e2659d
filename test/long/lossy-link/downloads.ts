// `node downloads.ts PROXY-PORT ORIGIN-HOST ORIGIN-PORT COUNT SECONDS`: so many downloads at once through the proxy, by
// SOCKS5. Says how many bytes they brought in SECONDS, after the first three, which are not counted.
import net from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'

const WARM_MS = 3_000
const [proxyPort = '', host = '', port = '', count = '', seconds = ''] = process.argv.slice(2)

let bytes = 0
for (let index = 0; index < Number(count); index += 1) {
  const socket = net.connect({ host: '127.0.0.1', port: Number(proxyPort) })
  const address = host.split('.').map(Number)
  socket.write(Buffer.from([5, 1, 0, 5, 1, 0, 1, ...address, Number(port) >> 8, Number(port) & 0xff]))
  socket.write('get 1000000000 4000000\n')
  socket.on('data', (chunk) => (bytes += chunk.length))
}
await wait(WARM_MS)
const before = bytes
await wait(Number(seconds) * 1000)
process.stdout.write(`${bytes - before}\n`)
process.exit(0)
