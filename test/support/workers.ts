// The worker processes of a gateway, as the machine sees them (Linux: /proc).
import { readdir, readFile, readlink } from 'node:fs/promises'
import type { SightlineProcess } from './gateway-process.ts'

export async function workerPids({ pid }: SightlineProcess): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')
  return text.trim().split(' ').map(Number)
}

/** How many TCP connections to `port` of 127.0.0.1 a process has open. */
export async function connectionsTo(port: number, pid: number): Promise<number> {
  const remote = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`
  const rows = (await readFile(`/proc/${pid}/net/tcp`, 'utf8'))
    .split('\n')
    .map((row) => row.trim().split(/\s+/))
  const inodes = new Set(rows.filter((row) => row[2] === remote && row[3] === '01').map((row) => row[9]))
  const fds = await readdir(`/proc/${pid}/fd`)
  // One that is closed meanwhile cannot be read.
  const targets = await Promise.all(fds.map((fd) => readlink(`/proc/${pid}/fd/${fd}`).catch(() => '')))
  return targets.filter((target) => inodes.has(/^socket:\[(\d+)\]$/.exec(target)?.[1])).length
}
