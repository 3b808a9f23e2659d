// Upstream proxies for tests: gateways of ours whose outbound is another proxy, and programs of others. Rule: port 0 for
// ours; whatever is started is ended by its creator.
import type { ChildProcess } from 'node:child_process'
import net from 'node:net'
import { configSchema, type Config, type ConfigInput } from '../../src/config/schema.ts'
import { Gateway } from '../../src/gateway/gateway.ts'
import { Metrics } from '../../src/telemetry/metrics.ts'
import type { Resolve } from '../../src/transport/resolve.ts'
import { eventually } from './eventually.ts'
import { start } from './programs.ts'
import { LOOPBACK_EGRESS, type ListenerName, type Stack } from './stacks.ts'

export interface ChainedGateway extends AsyncDisposable {
  readonly gateway: Gateway
  readonly config: Config
  /** As much of a stack as `open` and `ask` need; `https`, `tunnel` and `client` are not there. */
  readonly stack: Stack
  readonly ports: Readonly<Record<ListenerName, number>>
  metrics(): Promise<string>
}

type OutboundInput = NonNullable<ConfigInput['outbounds']>[string]

/** A gateway with http, socks and mixed listeners before one upstream. */
export async function startChained(
  upstream: OutboundInput,
  options: {
    readonly resolve?: Resolve
    readonly egress?: ConfigInput['egress']
    readonly limits?: ConfigInput['limits']
  } = {},
): Promise<ChainedGateway> {
  const metrics = new Metrics('test')
  const inbound = { listen: '127.0.0.1:0', outbound: 'upstream' } as const
  const config = configSchema.parse({
    inbounds: [
      { type: 'http', ...inbound },
      { type: 'socks', ...inbound },
      { type: 'mixed', ...inbound },
    ],
    outbounds: { upstream },
    egress: options.egress ?? LOOPBACK_EGRESS,
    limits: options.limits,
  })
  const gateway = await Gateway.start({
    config,
    observer: metrics.observer,
    resolve: options.resolve ?? ((name) => Promise.reject(new Error(`looked up ${name}`))),
  })
  const port = (index: number): number => gateway.addresses[index]?.address.port ?? 0
  const ports = { http: port(0), socks: port(1), mixed: port(2), https: 0, tunnel: 0, client: 0 }
  const dispose = async (): Promise<void> => gateway.destroy()
  const text = (): Promise<string> => metrics.registry.metrics()
  return {
    gateway,
    config,
    ports,
    stack: { ports, gateway, gatewayMetrics: text, clientMetrics: text } as Stack,
    metrics: text,
    [Symbol.asyncDispose]: dispose,
  }
}

/** A port that was free a moment ago, for programs that cannot say which one they took. */
export function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = net.createServer()
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as net.AddressInfo
      server.close(() => resolve(port))
    })
  })
}

/** Starts a proxy program and waits until it listens on `port`. */
export async function startProgram(
  name: string,
  args: readonly string[],
  port: number,
): Promise<AsyncDisposable & { readonly process: ChildProcess }> {
  const child = start(name, args)
  child.stdin?.end()
  child.stdout?.resume()
  child.stderr?.resume()
  const exited = new Promise<void>((resolve) => child.on('close', () => resolve()))
  const stop = async (): Promise<void> => {
    if (child.exitCode === null) child.kill('SIGKILL')
    await exited
  }
  try {
    await eventually(
      () =>
        new Promise<void>((resolve, reject) => {
          const socket = net.connect(port, '127.0.0.1', () => {
            socket.destroy()
            resolve()
          })
          socket.on('error', reject)
        }),
    )
  } catch (thrown) {
    await stop()
    throw thrown
  }
  return { process: child, [Symbol.asyncDispose]: stop }
}
