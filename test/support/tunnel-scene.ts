// Gateways of one authority and a tunnel outbound before them, in this process: for what a client does when one of them
// goes away, turns silent or comes back. Rule: port 0, except for a gateway that comes back where it was.
import net, { type Socket } from 'node:net'
import { readFile } from 'node:fs/promises'
import { configSchema, type ConfigInput } from '../../src/config/schema.ts'
import { Gateway } from '../../src/gateway/gateway.ts'
import { tunnelGateway } from '../../src/outbound/tunnel-carrier.ts'
import { TunnelOutbound, type TunnelOutboundOptions, type TunnelState } from '../../src/outbound/tunnel.ts'
import { ensureDevelopmentPki } from '../../src/pki/store.ts'
import { Metrics } from '../../src/telemetry/metrics.ts'
import { Wire, startRawOrigin, type RawOrigin } from './wire.ts'
import { everyInbound, LOOPBACK_EGRESS } from './stacks.ts'
import { tempDir, type TempDir } from './temp-dir.ts'

export interface SceneGateway {
  readonly gateway: Gateway
  readonly port: number
  metrics(): Promise<string>
}

export interface Client {
  readonly outbound: TunnelOutbound
  /** All that was told, as `up PORT` or `down CODE`. */
  readonly states: string[]
  /** A byte stream to the scene's origin. Rejects as `dial` does. */
  open(signal?: AbortSignal): Promise<Wire>
}

export class TunnelScene implements AsyncDisposable {
  readonly pki: TempDir
  /** Sends back what it is sent. */
  readonly echo: RawOrigin
  #gateways: Gateway[] = []
  #outbounds: TunnelOutbound[] = []

  private constructor(pki: TempDir, echo: RawOrigin) {
    this.pki = pki
    this.echo = echo
  }

  static async make(): Promise<TunnelScene> {
    const pki = await tempDir()
    await ensureDevelopmentPki(pki.path)
    return new TunnelScene(pki, await startRawOrigin(({ socket }) => socket.pipe(socket)))
  }

  /** A gateway with a tunnel listener. */
  async startGateway(
    port = 0,
    inbound: Partial<ConfigInput['inbounds'][number]> = {},
    limits: ConfigInput['limits'] = {},
  ): Promise<SceneGateway> {
    const metrics = new Metrics('test')
    const tunnel = everyInbound(this.pki).filter(({ type }) => type === 'tunnel')
    const gateway = await Gateway.start({
      config: configSchema.parse({
        inbounds: tunnel.map((one) => ({ ...one, listen: `127.0.0.1:${port}`, ...inbound })),
        egress: LOOPBACK_EGRESS,
        limits,
      }),
      observer: metrics.observer,
    })
    this.#gateways.push(gateway)
    return {
      gateway,
      port: gateway.addresses[0]?.address.port ?? 0,
      metrics: () => metrics.registry.metrics(),
    }
  }

  /** A client whose gateways are at `ports`, the preferred one first; its first attempts are decided. */
  async startClient(ports: readonly number[], options: Partial<TunnelOutboundOptions> = {}): Promise<Client> {
    const read = (name: string): Promise<string> => readFile(this.pki.file(name), 'utf8')
    const states: string[] = []
    const outbound = new TunnelOutbound({
      gateways: ports.map((port) => tunnelGateway(`wss://localhost:${port}/tunnel`)),
      credentials: {
        certificate: await read('client.crt'),
        key: await read('client.key'),
        authority: await read('ca.crt'),
      },
      lookup: () => ['127.0.0.1'],
      handshakeMs: 10_000,
      dialMs: 10_000,
      connections: 1,
      maxStreams: 100,
      random: () => 0,
      stateChanged: (state) => states.push(describeState(state)),
      ...options,
    })
    this.#outbounds.push(outbound)
    await outbound.start()
    const destination = { host: '127.0.0.1', port: this.echo.port }
    return {
      outbound,
      states,
      open: async (signal = new AbortController().signal) => {
        const { stream } = await outbound.dial({
          mode: 'tunnel-client',
          identity: undefined,
          destination,
          signal,
        })
        return new Wire(stream as Socket)
      },
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const outbound of this.#outbounds) outbound.destroy()
    for (const gateway of this.#gateways) gateway.destroy()
    await this.echo[Symbol.asyncDispose]()
    await this.pki[Symbol.asyncDispose]()
  }
}

function describeState(state: TunnelState): string {
  if (state.state === 'up') return `up ${state.gateway.split(':')[1]}`
  return 'error' in state ? `${state.state} ${state.error.code}` : state.state
}

/** Passes TCP on to `port`, until it is told to pass nothing: a cable that is pulled. */
export async function startCable(port: number): Promise<{ port: number; pull(): void } & AsyncDisposable> {
  const sockets = new Set<Socket>()
  let isPulled = false
  const server = net.createServer((near) => {
    const far = net.connect({ host: '127.0.0.1', port })
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on('error', () => {})
      if (isPulled) socket.pause()
    }
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      from.on('data', (chunk) => !isPulled && to.write(chunk))
      from.on('close', () => to.destroy())
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as net.AddressInfo).port,
    pull: () => {
      isPulled = true
    },
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
