// A gateway with every listener and a tunnel client before it, whose every written word is kept: both logs at `debug`,
// both sets of metrics, and an admin listener. What the client of a tunnel is called, its users, and how names are
// looked up is the test's to say.
import { writeFile } from 'node:fs/promises'
import { configSchema } from '../../src/config/schema.ts'
import { GatewayError } from '../../src/errors.ts'
import { Gateway } from '../../src/gateway/gateway.ts'
import type { Observer } from '../../src/gateway/observer.ts'
import { hashPassword } from '../../src/gateway/users.ts'
import { Admin } from '../../src/telemetry/admin.ts'
import { joinObservers, Log } from '../../src/telemetry/log.ts'
import { Metrics } from '../../src/telemetry/metrics.ts'
import { makeTestPki, type TestPki } from '../support/pki.ts'
import { clientConfig, everyInbound, writePki, type ListenerName } from '../support/stacks.ts'
import { tempDir } from '../support/temp-dir.ts'

export interface WatchedOptions {
  /** Name in the tunnel client's certificate, and in a revoked one's. */
  readonly certificateName: string
  readonly revokedName: string
  readonly user: string
  readonly password: string
  /** Names that are at 127.66.5.4; all others fail with an error that holds them. */
  readonly known: readonly string[]
  readonly denied: string
  /** Something that writes what it must not. */
  readonly leak?: (
    log: Log,
    metrics: Metrics,
  ) => { observer?: Partial<Observer>; lookedUp?: (name: string) => void }
}

export interface WatchedStack extends AsyncDisposable {
  readonly gateway: Gateway
  readonly pki: TestPki
  readonly ports: Readonly<Record<ListenerName | 'admin' | 'revoked', number>>
  /** The file in which the gateway keeps who moved how much. */
  readonly usageStore: string
  /** Everything that was written so far. */
  written(): Promise<string>
}

/** Where origins of the privacy test listen: an address that is a marker itself. */
export const ORIGIN_ADDRESS = '127.66.5.4'
const NOBODY: Partial<Observer> = {}

export async function startWatchedStack(options: WatchedOptions): Promise<WatchedStack> {
  const dir = await tempDir()
  const made = await makeTestPki()
  const client = await made.issueClient(options.certificateName)
  const revoked = await made.issueClient(options.revokedName)
  const pki = { ...made, client, revoked, revocationList: await made.revoke(revoked) }
  await writePki(dir, pki)
  await writeFile(dir.file('users'), `${options.user}:${await hashPassword(options.password)}\n`)

  const lines: string[] = []
  const sink = { write: (text: string) => void lines.push(text) }
  const log = new Log('debug', sink)
  const clientLog = new Log('debug', sink)
  const metrics = new Metrics('test')
  const clientMetrics = new Metrics('test')
  const leak = options.leak?.(log, metrics) ?? {}
  const own = joinObservers(metrics.observer, log.observer)
  const observer: Observer = { ...own }
  for (const [name, call] of Object.entries(leak.observer ?? NOBODY)) {
    const before = Reflect.get(own, name) as (...args: unknown[]) => void
    const after = call as (...args: unknown[]) => void
    Object.assign(observer, {
      [name]: (...args: unknown[]) => {
        before(...args)
        after(...args)
      },
    })
  }
  const gateway = await Gateway.start({
    config: configSchema.parse({
      inbounds: everyInbound(dir, dir.file('users')),
      egress: { allow: ['127.0.0.0/8'], deny: [options.denied] },
      log: { level: 'debug' },
      usage: { store: dir.file('usage.db') },
    }),
    observer,
    resolve: async (name) => {
      leak.lookedUp?.(name)
      if (options.known.includes(name)) return [ORIGIN_ADDRESS]
      const cause = Object.assign(new Error(`getaddrinfo ENOTFOUND ${name}`), { code: 'ENOTFOUND' })
      throw new GatewayError('name-not-found', { side: 'upstream', cause, detail: `no such name: ${name}` })
    },
  })
  const port = (index: number): number => gateway.addresses[index]?.address.port ?? 0
  const startClient = (certificate: string): Promise<Gateway> =>
    Gateway.start({
      config: configSchema.parse({ ...clientConfig(dir, port(4), certificate), log: { level: 'debug' } }),
      observer: joinObservers(clientMetrics.observer, clientLog.observer),
    })
  const clients = [await startClient('client'), await startClient('revoked')]
  const admin = await Admin.start({
    config: { listen: '127.0.0.1:0' },
    token: undefined,
    registry: metrics.registry,
    ready: () => !gateway.draining,
  })
  return {
    gateway,
    pki,
    usageStore: dir.file('usage.db'),
    ports: {
      http: port(0),
      socks: port(1),
      https: port(2),
      mixed: port(3),
      tunnel: port(4),
      client: clients[0]?.addresses[0]?.address.port ?? 0,
      revoked: clients[1]?.addresses[0]?.address.port ?? 0,
      admin: admin.address.port,
    },
    written: async () =>
      [...lines, await metrics.registry.metrics(), await clientMetrics.registry.metrics()].join('\n'),
    [Symbol.asyncDispose]: async () => {
      for (const one of clients) one.destroy()
      gateway.destroy()
      await admin.close()
      await dir[Symbol.asyncDispose]()
    },
  }
}
