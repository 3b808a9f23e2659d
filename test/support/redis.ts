// Debian's redis-server on loopback, with nothing on the disk but what a test asks for. Rule: it can be ended and started
// again on the same port, with an empty memory, as a store that was lost.
import { once } from 'node:events'
import { freePort } from './free-port.ts'
import { start, succeed } from './programs.ts'

export interface Redis extends AsyncDisposable {
  readonly port: number
  /** As `redis-cli` says it. */
  cli(...args: string[]): Promise<string>
  /** By SIGKILL: what it held is lost. */
  stop(): Promise<void>
  start(): Promise<void>
}

/** `settings`: further options, as `--requirepass x`. */
export async function startRedis(settings: readonly string[] = []): Promise<Redis> {
  const port = await freePort()
  const isTls = settings.includes('--tls-port')
  let child: ReturnType<typeof start> | undefined
  const redis: Redis = {
    port,
    cli: async (...args) => {
      const { stdout } = await succeed('redis-cli', ['-p', String(port), '--no-auth-warning', ...args])
      return stdout.toString().trim()
    },
    start: async () => {
      const where = isTls ? ['--port', '0'] : ['--port', String(port)]
      const fresh = start('redis-server', [
        ...['--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--daemonize', 'no'],
        ...where,
        ...settings.map((setting) => (setting === 'PORT' ? String(port) : setting)),
      ])
      child = fresh
      let said = ''
      await new Promise<void>((resolve, reject) => {
        fresh.stdout?.on('data', (text: Buffer) => {
          said += text.toString()
          if (said.includes('Ready to accept connections')) resolve()
        })
        fresh.on('close', () => reject(new Error(`redis-server ended: ${said}`)))
      })
    },
    stop: async () => {
      if (child === undefined) return
      const gone = once(child, 'close')
      child.kill('SIGKILL')
      await gone
      child = undefined
    },
    [Symbol.asyncDispose]: () => redis.stop(),
  }
  await redis.start()
  return redis
}
