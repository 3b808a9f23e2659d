// The slow and greedy peers of greedy.test.ts, as a process of its own: what it costs to attack must not be counted as what
// a normal client waits for. `node attack.ts PORTS` with PORTS as JSON; says `begun` when all peers are there; a line on its
// standard input ends the attack, and its end the peers.
import net from 'node:net'
import { once } from 'node:events'
import { setTimeout as wait } from 'node:timers/promises'

export interface AttackPorts {
  readonly http: number
  readonly https: number
  readonly tunnel: number
  readonly origin: number
}

const PEERS = 2_000
const DRIP_MS = 5_000
const FLOOD_MS = 100
const HALF_A_HELLO = Buffer.from('160301020001', 'hex')

const ports = JSON.parse(process.argv[2] ?? '') as AttackPorts
const dripping = new Set<net.Socket>()

/** A peer whose answers nobody looks at, except where it is told not to read them. */
function peer(port: number, first: string | Uint8Array, reads = true): net.Socket {
  const socket = net.connect({ host: '127.0.0.1', port, allowHalfOpen: false })
  socket.on('error', () => {})
  socket.write(first)
  if (reads) socket.resume()
  else socket.pause()
  return socket
}

function drip(): void {
  for (const socket of dripping) if (socket.writable) socket.write('x')
  // Those that were sent away come back: the attack goes on.
  while (dripping.size < PEERS) {
    const socket = peer(ports.http, 'GET http://127.0.0.1/ HTTP/1.1\r\nX: ')
    dripping.add(socket)
    socket.on('close', () => dripping.delete(socket))
  }
}

function flood(): void {
  for (let index = 0; index < 20; index += 1) peer(index % 2 === 0 ? ports.tunnel : ports.https, HALF_A_HELLO)
  for (let index = 0; index < 2; index += 1)
    peer(ports.http, `GET http://127.0.0.1/ HTTP/1.1\r\nX: ${'y'.repeat(200_000)}`)
}

drip()
for (let index = 0; index < PEERS; index += 1) {
  const much = `GET http://127.0.0.1:${ports.origin}/bytes/100000000 HTTP/1.1\r\nHost: x\r\n\r\n`
  peer(ports.http, much, false)
  if (index % 100 === 0) await wait(20)
}
const timers = [setInterval(drip, DRIP_MS), setInterval(flood, FLOOD_MS)]
process.stdout.write('begun\n')
await once(process.stdin, 'data')
for (const timer of timers) clearInterval(timer)
await once(process.stdin, 'end')
process.exit()
