// curl's options for every way through a stack, as a user types them, and one transfer with its hash.
import { createHash } from 'node:crypto'
import { start } from './programs.ts'

export interface CurlWay {
  readonly name: string
  readonly options: readonly string[]
  /** Whether the protocol can name an IPv6 address. SOCKS4 cannot. */
  readonly ipv6: boolean
}

/** `ports` and the authority's file are those of a gateway and its tunnel client. */
export function curlWays(
  ports: { http: number; https: number; socks: number; client: number },
  authority: string,
): CurlWay[] {
  const at = (scheme: string, port: number): string => `${scheme}://localhost:${port}`
  const secure = ['--proxy-cacert', authority]
  return [
    { name: '-x http://', options: ['-x', at('http', ports.http)], ipv6: true },
    { name: '-x http:// -p', options: ['-p', '-x', at('http', ports.http)], ipv6: true },
    { name: '-x https://', options: [...secure, '-x', at('https', ports.https)], ipv6: true },
    { name: '-x https:// -p', options: [...secure, '-p', '-x', at('https', ports.https)], ipv6: true },
    { name: '--socks4', options: ['--socks4', `127.0.0.1:${ports.socks}`], ipv6: false },
    { name: '--socks4a', options: ['--socks4a', `127.0.0.1:${ports.socks}`], ipv6: false },
    { name: '--socks5', options: ['--socks5', `127.0.0.1:${ports.socks}`], ipv6: true },
    { name: '--socks5-hostname', options: ['--socks5-hostname', `127.0.0.1:${ports.socks}`], ipv6: true },
    {
      name: 'tunnel client, --socks5-hostname',
      options: ['--socks5-hostname', `127.0.0.1:${ports.client}`],
      ipv6: true,
    },
    { name: 'tunnel client, -x http://', options: ['-x', at('http', ports.client)], ipv6: true },
    { name: 'tunnel client, -x http:// -p', options: ['-p', '-x', at('http', ports.client)], ipv6: true },
  ]
}

export interface Transfer {
  readonly hash: string
  readonly bytes: number
  readonly seconds: number
}

/**
 * GETs `url` and hashes what comes, without keeping it. Rejects where curl says that it was not whole. With
 * `bytesPerSecond` it is read no faster than that (curl's own --limit-rate lets whole MiB through at once).
 */
export function download(
  options: readonly string[],
  url: string,
  bytesPerSecond = Infinity,
): Promise<Transfer> {
  return transfer([...options, url], undefined, bytesPerSecond)
}

/** PUTs `file` and gives what the origin answered. */
export async function upload(options: readonly string[], url: string, file: string): Promise<string> {
  const chunks: Buffer[] = []
  await transfer([...options, '-T', file, url], (chunk) => chunks.push(chunk))
  return Buffer.concat(chunks).toString()
}

function transfer(
  args: readonly string[],
  onChunk: (chunk: Buffer) => void = () => {},
  bytesPerSecond = Infinity,
): Promise<Transfer> {
  return new Promise((resolve, reject) => {
    const startedMs = performance.now()
    const child = start('curl', ['-sS', '--fail', '--noproxy', '', ...args])
    const hash = createHash('sha256')
    let bytes = 0
    let stderr = ''
    child.stdin?.end()
    child.stdout?.on('data', (chunk: Buffer) => {
      hash.update(chunk)
      bytes += chunk.length
      onChunk(chunk)
      const aheadMs = (bytes / bytesPerSecond) * 1000 - (performance.now() - startedMs)
      if (aheadMs <= 0) return
      child.stdout?.pause()
      setTimeout(() => child.stdout?.resume(), aheadMs)
    })
    child.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
    child.on('error', reject)
    child.on('close', (code) => {
      if (code !== 0) return reject(new Error(`curl ended with ${code}: ${stderr.trim()}`))
      resolve({ hash: hash.digest('hex'), bytes, seconds: (performance.now() - startedMs) / 1000 })
    })
  })
}
