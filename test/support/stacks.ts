// A gateway with every listener and a tunnel client before it, in this process: what most end-to-end scenarios
// stand on. Rules: port 0 everywhere; certificates are made for each stack; the creator disposes.
import { readFile, writeFile } from 'node:fs/promises'
import { configSchema, type ConfigInput } from '../../src/config/schema.ts'
import { Gateway } from '../../src/gateway/gateway.ts'
import { ensureDevelopmentPki } from '../../src/pki/store.ts'
import { Metrics } from '../../src/telemetry/metrics.ts'
import type { Resolve } from '../../src/transport/resolve.ts'
import type { TestPki } from './pki.ts'
import { tempDir, type TempDir } from './temp-dir.ts'

export type ListenerName = 'http' | 'socks' | 'https' | 'mixed' | 'tunnel' | 'client'

export interface Stack extends AsyncDisposable {
  readonly gateway: Gateway
  readonly client: Gateway
  readonly ports: Readonly<Record<ListenerName, number>>
  /** Where ca.crt, ca.crl, client.crt, gateway.crt, origin.crt … are. */
  readonly pki: TempDir
  /** PEM of the authority. */
  readonly authority: string
  /** /metrics of the gateway, and of the tunnel client. */
  gatewayMetrics(): Promise<string>
  clientMetrics(): Promise<string>
}

export interface StackOptions {
  readonly limits?: ConfigInput['limits']
  readonly egress?: ConfigInput['egress']
  readonly exposure?: ConfigInput['exposure']
  readonly resolve?: Resolve
  /** Of the gateway alone. */
  readonly usage?: ConfigInput['usage']
  /** Users file of http, https and socks; none by default. */
  readonly users?: string
  /** Certificates to use; else an authority is made. */
  readonly pki?: TestPki
}

/** What loopback tests need: the rules that reach this machine's own servers. */
export const LOOPBACK_EGRESS = { allow: ['127.0.0.0/8', '[::1/128]'] }

/** The inbounds of a gateway with every listener, whose certificates are in `pki`. */
export function everyInbound(pki: TempDir, users?: string): ConfigInput['inbounds'] {
  const certificate = { certificate: pki.file('gateway.crt'), key: pki.file('gateway.key') }
  const trust = { clientAuthority: pki.file('ca.crt'), revocationList: pki.file('ca.crl') }
  const auth = users === undefined ? {} : { auth: { users } }
  return [
    { type: 'http', listen: '127.0.0.1:0', ...auth },
    { type: 'socks', listen: '127.0.0.1:0', ...auth },
    { type: 'http', listen: '127.0.0.1:0', tls: certificate, ...auth },
    { type: 'mixed', listen: '127.0.0.1:0', ...auth },
    { type: 'tunnel', listen: '127.0.0.1:0', tls: { ...certificate, ...trust } },
  ]
}

/** The config of a tunnel client for the gateway at `port`. */
export function clientConfig(pki: TempDir, port: number, name = 'client'): ConfigInput {
  return {
    inbounds: [{ type: 'mixed', listen: '127.0.0.1:0', outbound: 'gateway' }],
    outbounds: {
      gateway: {
        type: 'tunnel',
        url: `wss://localhost:${port}/tunnel`,
        certificate: pki.file(`${name}.crt`),
        key: pki.file(`${name}.key`),
        authority: pki.file('ca.crt'),
      },
    },
  }
}

/** Starts both. */
export async function startStack(options: StackOptions = {}): Promise<Stack> {
  const pki = await tempDir()
  if (options.pki === undefined) await ensureDevelopmentPki(pki.path)
  else await writePki(pki, options.pki)
  const metrics = { gateway: new Metrics('test'), client: new Metrics('test') }
  const gateway = await Gateway.start({
    config: configSchema.parse({
      inbounds: everyInbound(pki, options.users),
      egress: options.egress ?? LOOPBACK_EGRESS,
      limits: options.limits,
      exposure: options.exposure,
      usage: options.usage,
    }),
    observer: metrics.gateway.observer,
    ...(options.resolve && { resolve: options.resolve }),
  })
  const port = (index: number): number => gateway.addresses[index]?.address.port ?? 0
  const client = await Gateway.start({
    config: configSchema.parse({ ...clientConfig(pki, port(4)), limits: options.limits }),
    observer: metrics.client.observer,
  })
  return {
    gateway,
    client,
    pki,
    authority: await readFile(pki.file('ca.crt'), 'utf8'),
    ports: {
      http: port(0),
      socks: port(1),
      https: port(2),
      mixed: port(3),
      tunnel: port(4),
      client: client.addresses[0]?.address.port ?? 0,
    },
    gatewayMetrics: () => metrics.gateway.registry.metrics(),
    clientMetrics: () => metrics.client.registry.metrics(),
    [Symbol.asyncDispose]: async () => {
      client.destroy()
      gateway.destroy()
      await pki[Symbol.asyncDispose]()
    },
  }
}

/** Writes authority, list, gateway and client where a stack looks for them, and every other leaf beside. */
export async function writePki(dir: TempDir, pki: TestPki): Promise<void> {
  const { server, client, expired, revoked, wrongUsage, foreign, notYetValid } = pki
  const leaves = { gateway: server, client, expired, revoked, wrongUsage, foreign, notYetValid }
  await writeFile(dir.file('ca.crt'), pki.authority.certificate)
  await writeFile(dir.file('other.crt'), pki.otherAuthority.certificate)
  await writeFile(dir.file('ca.crl'), pki.revocationList)
  for (const [name, { certificate, key }] of Object.entries(leaves)) {
    await writeFile(dir.file(`${name}.crt`), certificate)
    await writeFile(dir.file(`${name}.key`), key, { mode: 0o600 })
  }
}
