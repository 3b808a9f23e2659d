// The stage of a measurement: certificates made for it alone, a name server, a destination, a gateway with every mode,
// and a wire with a tap for each link. Rule: the gateway is the product's own, composed as `serve` does; the lab adds
// only taps and key logs.
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
import { makeCanaries, type Canaries } from './canary.ts'
import type { Endpoint } from './capture.ts'
import { LAB_MODES, type LabMode, type Scheme } from './model.ts'
import { startNameServer, type NameServer } from './name-server.ts'
import { GATEWAY_NAME, siteName, type Parties } from './parties.ts'
import { startSite, type Site, type SiteCertificate } from './site.ts'
import { Wires } from './wires.ts'

/** Faults that a test switches in, to see the lab find them. */
export interface Faults {
  readonly tunnelWithoutTls?: boolean
}

export interface StageOptions {
  readonly seed: string
  readonly parties: Parties
  /** Words of the stage as a whole: who the user is. */
  readonly canaries: Canaries
  /** Counts what the gateway does, so that its metrics can be held against the cells. */
  readonly observer: Observer
  readonly faults: Faults
}

export type GatewayMode = Exclude<LabMode, 'direct'>

export class Stage {
  readonly wires = new Wires()
  readonly authority: string
  readonly site: Site
  #options: StageOptions
  #directory: string
  #gateway: Gateway | undefined
  #names: NameServer | undefined
  #zone = new Set<string>()
  /** Where the near ends of the wires are. */
  #access = new Map<GatewayMode, Endpoint>()
  #exit = new Map<Scheme | 'echo', Endpoint>()
  #resolver = new Map<'client' | 'gateway', Endpoint>()
  #page = ''
  #serverKeylog = ''

  private constructor(options: StageOptions, directory: string, authority: string, site: Site) {
    this.#options = options
    this.#directory = directory
    this.authority = authority
    this.site = site
  }

  static async start(options: StageOptions): Promise<Stage> {
    const directory = await mkdtemp(path.join(os.tmpdir(), 'sightline-lab-'))
    let stage: Stage | undefined
    try {
      const { canaries, parties, seed } = options
      await initAuthority(directory)
      await issue(directory, 'gateway', { kind: 'server', hosts: [GATEWAY_NAME, parties.gateway] })
      await issue(directory, canaries.certificateSubject, { kind: 'client', hosts: [] })
      await writeFile(
        path.join(directory, 'users'),
        `${canaries.proxyUser}:${await hashPassword(canaries.proxyPassword)}\n`,
        { mode: 0o600 },
      )
      const site = await startSite({
        address: parties.destination,
        ...(await certificateFor(directory, siteName(makeCanaries(seed).hostLabel))),
        page: () => stage?.nextPage() ?? '',
      })
      stage = new Stage(options, directory, await readFile(path.join(directory, 'ca.crt'), 'utf8'), site)
      await stage.#compose()
      return stage
    } catch (thrown) {
      await (stage === undefined ? rm(directory, { recursive: true, force: true }) : stage.close())
      throw thrown
    }
  }

  /** Gives a probe's names a place in this world, and its site the page and the certificate for them. */
  async introduce({ hostLabel, untoldLabel, responseBody }: Canaries): Promise<void> {
    this.#page = `you are at the destination; ${responseBody}\n`
    for (const label of [hostLabel, untoldLabel]) {
      const name = siteName(label)
      if (this.#zone.has(name)) continue
      this.#zone.add(name)
      this.site.addName(name, await certificateFor(this.#directory, name))
    }
  }

  nextPage(): string {
    return this.#page
  }

  /** Where the application finds the gateway for a mode. */
  gatewayAddress(mode: GatewayMode): Endpoint {
    return known(this.#access, mode)
  }

  /** Where the application finds the site. */
  siteAddress(service: Scheme | 'echo'): Endpoint {
    return known(this.#exit, service)
  }

  /** Where a party finds the name server. */
  resolverAddress(party: 'client' | 'gateway'): Endpoint {
    return known(this.#resolver, party)
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

  async close(): Promise<void> {
    this.#gateway?.destroy()
    this.wires.close()
    this.#names?.close()
    this.site.close()
    await rm(this.#directory, { recursive: true, force: true })
  }

  async #compose(): Promise<void> {
    const { parties, observer, faults } = this.#options
    this.#names = await startNameServer(parties.resolver, (name) =>
      this.#zone.has(name) ? [parties.destination] : undefined,
    )
    for (const party of ['client', 'gateway'] as const)
      this.#resolver.set(party, await this.wires.both('resolver', this.#names.address))
    for (const scheme of ['http', 'https'] as const)
      this.#exit.set(scheme, await this.wires.tcp('exit', this.site[scheme]))
    this.#exit.set('echo', await this.wires.udp('exit', this.site.echo))
    const hooks: LabHooks = {
      ...faults,
      onServerKeylog: (line) => (this.#serverKeylog += line.toString('latin1')),
    }
    this.#gateway = await Gateway.start({ config: this.#gatewayConfig(), observer, lab: hooks })
    for (const { mode, address } of this.#gateway.addresses) {
      if (isGatewayMode(mode)) this.#access.set(mode, await this.wires.tcp('access', address))
    }
  }

  #gatewayConfig(): Config {
    const { parties } = this.#options
    const tls = { certificate: this.#file('gateway.crt'), key: this.#file('gateway.key') }
    const clients = { clientAuthority: this.#file('ca.crt'), revocationList: this.#file('ca.crl') }
    const auth = { users: this.#file('users') }
    const listen = `${parties.gateway}:0`
    const { address, port } = this.resolverAddress('gateway')
    return this.#config({
      inbounds: [
        { type: 'http', listen, auth },
        { type: 'socks', listen, auth },
        { type: 'http', listen, auth, tls },
        { type: 'tunnel', listen, tls: { ...tls, ...clients } },
      ],
      outbounds: { direct: { type: 'direct', localAddress: parties.gateway } },
      egress: { allow: [parties.destination, parties.resolver] },
      dns: { servers: [`${address}:${port}`], localAddress: parties.gateway },
    })
  }

  #config(input: ConfigInput): Config {
    return configSchema.parse({ ...input, log: { level: 'silent' } })
  }

  #file(name: string): string {
    return path.join(this.#directory, name)
  }
}

async function certificateFor(directory: string, name: string): Promise<SiteCertificate> {
  await issue(directory, name, { kind: 'server', hosts: [name] })
  const read = (ending: string): Promise<string> => readFile(path.join(directory, name + ending), 'utf8')
  return { certificate: await read('.crt'), key: await read('.key') }
}

function known<K, V>(map: ReadonlyMap<K, V>, key: K): V {
  const found = map.get(key)
  if (found === undefined) throw new GatewayError('internal-error')
  return found
}

function isGatewayMode(mode: string): mode is GatewayMode {
  return mode !== 'direct' && (LAB_MODES as readonly string[]).includes(mode)
}
