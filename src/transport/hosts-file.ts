// The hosts file: names that this machine's owner has given addresses. Rules: the file is looked at once in a few
// seconds at most and read again only where it has changed; a file that cannot be read is an empty one.
import { readFileSync, statSync } from 'node:fs'
import { isIP } from 'node:net'

/** The addresses of each name (lower case), in the order of the file. Lines that say nothing are passed over. */
export function parseHosts(text: string): Map<string, readonly string[]> {
  const hosts = new Map<string, string[]>()
  for (const line of text.split('\n')) {
    const comment = line.indexOf('#')
    const [address = '', ...names] = (comment < 0 ? line : line.slice(0, comment)).trim().split(/\s+/)
    if (isIP(address) === 0 || address.includes('%')) continue
    for (const written of names) {
      const name = written.toLowerCase().replace(/\.$/, '')
      const addresses = hosts.get(name)
      if (addresses === undefined) hosts.set(name, [address])
      else if (!addresses.includes(address)) addresses.push(address)
    }
  }
  return hosts
}

const LOOK_EVERY_MS = 5_000

export class HostsFile {
  #path: string
  #now: () => number
  #hosts: ReadonlyMap<string, readonly string[]> = new Map()
  #lookAgainMs = -Infinity
  #version = ''

  constructor(path: string, now: () => number) {
    this.#path = path
    this.#now = now
  }

  /** The addresses of a lower-case name; undefined where the file does not have it. */
  find(name: string): readonly string[] | undefined {
    const nowMs = this.#now()
    if (nowMs >= this.#lookAgainMs) {
      this.#lookAgainMs = nowMs + LOOK_EVERY_MS
      this.#look()
    }
    return this.#hosts.get(name)
  }

  /** Without the thread pool, which scrypt may be filling: a stat takes microseconds. */
  #look(): void {
    try {
      const { mtimeMs, size, ino } = statSync(this.#path)
      const version = `${mtimeMs} ${size} ${ino}`
      if (version === this.#version) return
      this.#hosts = parseHosts(readFileSync(this.#path, 'utf8'))
      this.#version = version
    } catch {
      this.#hosts = new Map()
      this.#version = ''
    }
  }
}
