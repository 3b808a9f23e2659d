// The stage of a measurement: certificates made for it alone, a destination, a gateway with every mode, and a tap on
// each link. Rule: the gateway is the product's own, composed as `serve` does; the lab adds only taps and key logs.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { configSchema, type Config, type ConfigInput } from '../config/schema.ts'
import { GatewayError } from '../errors.ts'
import { Gateway } from '../gateway/gateway.ts'
import type { LabHooks } from '../gateway/lab-hooks.ts'
import type { Observer } from '../gateway/observer.ts'
import { hashPassword } from '../gateway/users.ts'
import { initAuthority, issue } from '../pki/store.ts'
import type { Canaries } from './canary.ts'
import { Recorder, type Endpoint } from './capture.ts'
import { LAB_MODES, type LabMode } from './model.ts'
import { GATEWAY_NAME, type Parties } from './parties.ts'
import { startSite, type Site } from './site.ts'
import { Tap } from './tap.ts'

/** Faults that a test switches in, to see the lab find them. */
export interface Faults {
  readonly tunnelWithoutTls?: boolean
}

export interface StageOptions {
  readonly parties: Parties
  readonly canaries: Canaries
  /** Counts what the gateway does, so that its metrics can be held against the cells. */
  readonly observer: Observer
  readonly faults: Faults
}

const SETTLE_MS = 5_000

type GatewayMode = Exclude<LabMode, 'direct'>

export class Stage {
  readonly name: string
  readonly access = new Recorder()
  readonly exit = new Recorder()
  readonly authority: string
  readonly site: Site
  #options: StageOptions
  #directory: string
  #gateway: Gateway | undefined
  #accessTaps = new Map<GatewayMode, Tap>()
  #exitTaps = new Map<'http' | 'https', Tap>()
  #serverKeylog = ''

  private constructor(options: StageOptions, directory: string, authority: string, site: Site) {
    this.#options = options
    this.#directory = directory
    this.authority = authority
    this.site = site
    this.name = siteName(options.canaries)
  }

  static async start(options: StageOptions): Promise<Stage> {
    const directory = await mkdtemp(path.join(os.tmpdir(), 'sightline-lab-'))
    let stage: Stage | undefined
    try {
      const file = (name: string): Promise<string> => readFile(path.join(directory, name), 'utf8')
      const { canaries, parties } = options
      await initAuthority(directory)
      await issue(directory, 'gateway', { kind: 'server', hosts: [GATEWAY_NAME, parties.gateway] })
      await issue(directory, 'site', { kind: 'server', hosts: [siteName(canaries)] })
      await issue(directory, canaries.certificateSubject, { kind: 'client', hosts: [] })
      await writeFile(
        path.join(directory, 'users'),
        `${canaries.proxyUser}:${await hashPassword(canaries.proxyPassword)}\n`,
        { mode: 0o600 },
      )
      const site = await startSite({
        address: parties.destination,
        certificate: await file('site.crt'),
        key: await file('site.key'),
        page: () => `you are at the destination; ${canaries.responseBody}\n`,
      })
      stage = new Stage(options, directory, await file('ca.crt'), site)
      await stage.#compose()
      return stage
    } catch (thrown) {
      await (stage === undefined ? rm(directory, { recursive: true, force: true }) : stage.close())
      throw thrown
    }
  }

  /** Where the application finds the gateway for a mode: the tap on its access link. */
  gatewayAddress(mode: GatewayMode): Endpoint {
    const tap = this.#accessTaps.get(mode)
    if (tap === undefined) throw new GatewayError('internal-error')
    return tap.address
  }

  siteAddress(scheme: 'http' | 'https'): Endpoint {
    const tap = this.#exitTaps.get(scheme)
    if (tap === undefined) throw new GatewayError('internal-error')
    return tap.address
  }

  /** What the names of this world resolve to. */
  resolve(name: string): string | undefined {
    return name === this.name ? this.#options.parties.destination : undefined
  }

  serverKeylog(): string {
    return this.#serverKeylog
  }

  /** Starts a tunnel client of this gateway; its own key log lines go to `onKeylog`. */
  async startTunnelClient(onKeylog: (line: Buffer) => void): Promise<{ client: Gateway; listens: Endpoint }> {
    const { canaries, parties, observer, faults } = this.#options
    const { address, port } = this.gatewayAddress('tunnel')
    const client = await Gateway.start({
      config: this.#config({
        inbounds: [{ type: 'mixed', listen: '127.0.0.1:0', outbound: 'gateway' }],
        outbounds: {
          gateway: {
            type: 'tunnel',
            url: `wss://${address}:${port}/tunnel`,
            certificate: this.#file(`${canaries.certificateSubject}.crt`),
            key: this.#file(`${canaries.certificateSubject}.key`),
            authority: this.#file('ca.crt'),
          },
        },
      }),
      observer,
      lab: { ...faults, tunnelLocalAddress: parties.client, onClientKeylog: onKeylog },
    })
    const listens = client.addresses[0]?.address
    if (listens === undefined) throw new GatewayError('internal-error')
    return { client, listens }
  }

  /** Waits until everything under way has passed the taps; false where something never ended, and was reset. */
  async settled(): Promise<boolean> {
    const deadline = AbortSignal.timeout(SETTLE_MS)
    const taps = [...this.#accessTaps.values(), ...this.#exitTaps.values()]
    const ended = await Promise.all(taps.map((tap) => tap.settled(deadline)))
    return ended.every(Boolean)
  }

  async close(): Promise<void> {
    this.#gateway?.destroy()
    for (const tap of [...this.#accessTaps.values(), ...this.#exitTaps.values()]) tap.close()
    this.site.close()
    await rm(this.#directory, { recursive: true, force: true })
  }

  async #compose(): Promise<void> {
    const { parties, observer, faults } = this.#options
    for (const scheme of ['http', 'https'] as const) {
      const listen = { address: parties.destination, port: 0 }
      this.#exitTaps.set(
        scheme,
        await Tap.start({ listen, onward: this.site[scheme], recorder: () => this.exit }),
      )
    }
    const tls = {
      certificate: this.#file('gateway.crt'),
      key: this.#file('gateway.key'),
      clientAuthority: this.#file('ca.crt'),
      revocationList: this.#file('ca.crl'),
    }
    const auth = { users: this.#file('users') }
    const listen = `${parties.gateway}:0`
    const hooks: LabHooks = {
      ...faults,
      onServerKeylog: (line) => (this.#serverKeylog += line.toString('latin1')),
    }
    this.#gateway = await Gateway.start({
      config: this.#config({
        inbounds: [
          { type: 'http', listen, auth },
          { type: 'socks', listen, auth },
          { type: 'http', listen, auth, tls: { certificate: tls.certificate, key: tls.key } },
          { type: 'tunnel', listen, tls },
        ],
        outbounds: { direct: { type: 'direct', localAddress: parties.gateway } },
        egress: { allow: [parties.destination] },
      }),
      observer,
      resolve: async (name) => {
        const address = this.resolve(name)
        if (address === undefined) throw new GatewayError('name-not-found', { side: 'upstream' })
        return [address]
      },
      lab: hooks,
    })
    for (const { mode, address } of this.#gateway.addresses) {
      if (!isGatewayMode(mode)) continue
      const where = { address: parties.gateway, port: 0 }
      this.#accessTaps.set(
        mode,
        await Tap.start({ listen: where, onward: address, recorder: () => this.access }),
      )
    }
  }

  #config(input: ConfigInput): Config {
    return configSchema.parse({ ...input, log: { level: 'silent' } })
  }

  #file(name: string): string {
    return path.join(this.#directory, name)
  }
}

function isGatewayMode(mode: string): mode is GatewayMode {
  return mode !== 'direct' && (LAB_MODES as readonly string[]).includes(mode)
}

function siteName(canaries: Canaries): string {
  return `${canaries.hostLabel}.sightline.test`
}
