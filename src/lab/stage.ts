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
import type { Outbound } from '../outbound/outbound.ts'
import { initAuthority, issue } from '../pki/store.ts'
import { makeCanaries, type Canaries } from './canary.ts'
import type { Endpoint } from './capture.ts'
import { LAB_MODES, type LabMode, type Scheme } from './model.ts'
import { startNameServer, type NameServer } from './name-server.ts'
import { pagePart } from './page-loads.ts'
import { GATEWAY_NAME, siteName, type Parties } from './parties.ts'
import { Records } from './records.ts'
import { startSite, type Site, type SiteCertificate } from './site.ts'
import { clientsWithStandIns, withStandIns, type Ports } from './stand-ins.ts'
import { Wires, type Recorded } from './wires.ts'

/** Faults that a test switches in, to see the lab find them. */
export interface Faults extends Pick<LabHooks, 'tunnelWithoutTls' | 'tunnelInTls12'> {
  /** Put into an outbound of the gateway; it may also write into what the gateway writes. */
  readonly gatewayOutbound?: (outbound: Outbound, records: Records) => void
  /** Put into the outbound of the tunnel client. */
  readonly clientOutbound?: (outbound: Outbound, stage: Stage) => void
  /** What becomes of a key log line of the tunnel client. */
  readonly tunnelKeylog?: (line: Buffer) => Buffer
  /** The site asks for a certificate, and the application shows that of the tunnel. */
  readonly siteAsksForCertificate?: boolean
}

export interface StageOptions {
  readonly seed: string
  readonly parties: Parties
  /** Where the parties really are: each at its own address, or all at one. */
  readonly places: Parties
  /** Words of the stage as a whole: who the user is. */
  readonly canaries: Canaries
  /** Counts what the gateway does, so that its metrics can be held against the cells. */
  readonly observer: Observer
  readonly faults: Faults
}

interface Taken extends Recorded {
  /** Who connected to the site, as its kernel reports it. */
  readonly siteClients: readonly Endpoint[]
  /** Where ports stand for parties: whose they are. */
  readonly standsFor: Ports | undefined
}

export type GatewayMode = Exclude<LabMode, 'direct'>

export class Stage {
  readonly wires = new Wires()
  readonly authority: string
  readonly site: Site
  /** What the gateway writes of itself. */
  readonly records: Records
  /** What the site answers. */
  page = ''
  #options: StageOptions
  #directory: string
  #gateway: Gateway | undefined
  #names: NameServer | undefined
  #zone = new Set<string>()
  /** Where the near ends of the wires are. */
  #access = new Map<GatewayMode, Endpoint>()
  #exit = new Map<Scheme | 'echo', Endpoint>()
  #resolver = new Map<'client' | 'gateway', Endpoint>()
  #clientPorts = new Set<number>()
  #serverKeylog = ''

  private constructor(
    options: StageOptions,
    directory: string,
    { authority, site, records }: Pick<Stage, 'authority' | 'site' | 'records'>,
  ) {
    this.#options = options
    this.#directory = directory
    this.authority = authority
    this.site = site
    this.records = records
  }

  static async start(options: StageOptions): Promise<Stage> {
    const directory = await mkdtemp(path.join(os.tmpdir(), 'sightline-lab-'))
    let stage: Stage | undefined
    try {
      const { canaries, places, seed } = options
      await initAuthority(directory)
      await issue(directory, 'gateway', { kind: 'server', hosts: [GATEWAY_NAME, places.gateway] })
      await issue(directory, canaries.certificateSubject, { kind: 'client', hosts: [] })
      await writeFile(
        path.join(directory, 'users'),
        `${canaries.proxyUser}:${await hashPassword(canaries.proxyPassword)}\n`,
        { mode: 0o600 },
      )
      const authority = await readFile(path.join(directory, 'ca.crt'), 'utf8')
      const site = await startSite({
        address: places.destination,
        ...(await certificateFor(directory, siteName(makeCanaries(seed).hostLabel))),
        page: ({ url = '' }) => pagePart(seed, url) ?? stage?.page ?? '',
        clientAuthority: options.faults.siteAsksForCertificate === true ? authority : undefined,
      })
      const records = await Records.start(options.observer)
      stage = new Stage(options, directory, { authority, site, records })
      await stage.#compose()
      return stage
    } catch (thrown) {
      await (stage === undefined ? rm(directory, { recursive: true, force: true }) : stage.close())
      throw thrown
    }
  }

  /** Gives a probe's names a place in this world, and its site the page and the certificate for them. */
  async introduce({ hostLabel, untoldLabel, responseBody }: Canaries): Promise<void> {
    this.page = `you are at the destination; ${responseBody}\n`
    for (const label of [hostLabel, untoldLabel]) {
      const name = siteName(label)
      if (this.#zone.has(name)) continue
      this.#zone.add(name)
      this.site.addName(name, await certificateFor(this.#directory, name))
    }
  }

  /** What the application shows where the site asks who it is. */
  async clientCertificate(): Promise<SiteCertificate | undefined> {
    const { canaries, faults } = this.#options
    if (faults.siteAsksForCertificate !== true) return undefined
    return readCertificate(this.#directory, canaries.certificateSubject)
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

  get places(): Parties {
    return this.#options.places
  }

  /** The user's machine sends from this port: where ports stand for parties, it is how it is known. */
  clientSendsFrom(port: number): void {
    this.#clientPorts.add(port)
  }

  /** What is recorded so far, with the parties' addresses, and who has come to the site. */
  peek(): Taken {
    return this.#named(this.wires.peek(), this.site.clients())
  }

  /** As `peek`; the record begins anew. */
  take(): Taken {
    const taken = this.#named(this.wires.take(), this.site.takeClients())
    this.#clientPorts = new Set()
    return taken
  }

  #named(recorded: Recorded, siteClients: readonly Endpoint[]): Taken {
    const { parties, places } = this.#options
    if (parties.client === places.client) return { ...recorded, siteClients, standsFor: undefined }
    const standsFor: Ports = {
      client: this.#clientPorts,
      clientResolver: this.resolverAddress('client').port,
      site: new Set([...this.#exit.values()].map(({ port }) => port)),
    }
    const named = withStandIns(recorded, parties, standsFor)
    return { ...named, siteClients: clientsWithStandIns(siteClients, named), standsFor }
  }

  serverKeylog(): string {
    return this.#serverKeylog
  }

  /** Starts a tunnel client of this gateway; its own key log lines go to `onKeylog`. */
  async startTunnelClient(onKeylog: (line: Buffer) => void): Promise<{ client: Gateway; listens: Endpoint }> {
    const { canaries, places, observer, faults } = this.#options
    const { clientOutbound, tunnelKeylog = (line: Buffer): Buffer => line } = faults
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
      lab: {
        ...tlsFaults(faults),
        tunnelLocalAddress: places.client,
        onClientKeylog: (line) => onKeylog(tunnelKeylog(line)),
        ...(clientOutbound && { onOutbound: (outbound) => clientOutbound(outbound, this) }),
      },
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
    await this.records.close()
    await rm(this.#directory, { recursive: true, force: true })
  }

  async #compose(): Promise<void> {
    const { places, faults } = this.#options
    const { gatewayOutbound } = faults
    this.#names = await startNameServer(places.resolver, (name) =>
      this.#zone.has(name) ? [places.destination] : undefined,
    )
    for (const party of ['client', 'gateway'] as const)
      this.#resolver.set(party, await this.wires.both('resolver', this.#names.address))
    for (const scheme of ['http', 'https'] as const)
      this.#exit.set(scheme, await this.wires.tcp('exit', this.site[scheme]))
    this.#exit.set('echo', await this.wires.udp('exit', this.site.echo))
    const hooks: LabHooks = {
      ...tlsFaults(faults),
      ...(gatewayOutbound && { onOutbound: (outbound) => gatewayOutbound(outbound, this.records) }),
      onServerKeylog: (line) => (this.#serverKeylog += line.toString('latin1')),
    }
    this.#gateway = await Gateway.start({
      config: this.#gatewayConfig(),
      observer: this.records.observer,
      lab: hooks,
    })
    for (const { mode, address } of this.#gateway.addresses) {
      if (isGatewayMode(mode)) this.#access.set(mode, await this.wires.tcp('access', address))
    }
  }

  #gatewayConfig(): Config {
    const { places } = this.#options
    const tls = { certificate: this.#file('gateway.crt'), key: this.#file('gateway.key') }
    const clients = { clientAuthority: this.#file('ca.crt'), revocationList: this.#file('ca.crl') }
    const auth = { users: this.#file('users') }
    const listen = `${places.gateway}:0`
    const { address, port } = this.resolverAddress('gateway')
    return this.#config({
      inbounds: [
        { type: 'http', listen, auth },
        { type: 'socks', listen, auth },
        { type: 'http', listen, auth, tls },
        { type: 'tunnel', listen, tls: { ...tls, ...clients } },
      ],
      outbounds: { direct: { type: 'direct', localAddress: places.gateway } },
      egress: { allow: [places.destination, places.resolver] },
      dns: { servers: [`${address}:${port}`], localAddress: places.gateway },
    })
  }

  #config(input: ConfigInput): Config {
    return configSchema.parse({ ...input, log: { level: 'silent' } })
  }

  #file(name: string): string {
    return path.join(this.#directory, name)
  }
}

function tlsFaults({ tunnelWithoutTls = false, tunnelInTls12 = false }: Faults): LabHooks {
  return { tunnelWithoutTls, tunnelInTls12 }
}

async function certificateFor(directory: string, name: string): Promise<SiteCertificate> {
  await issue(directory, name, { kind: 'server', hosts: [name] })
  return readCertificate(directory, name)
}

async function readCertificate(directory: string, name: string): Promise<SiteCertificate> {
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
