// Five network namespaces: a client behind a router with NAT (nftables masquerade), an internet in the middle with two
// resolvers, a host with a proxy, and a host with a probe. Rules: nothing of it is seen outside, names are this process's
// own, and whoever makes it removes it, and what it wrote below /etc/netns.
import { mkdir, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { run, succeed } from '../../support/programs.ts'
import { tempDir, type TempDir } from '../../support/temp-dir.ts'
import type { Program } from '../namespaces.ts'
import { startResolver, startRoot } from './names.ts'

export const PLACES = {
  client: '10.78.1.2',
  /** What the router shows of the client. */
  router: '10.78.4.2',
  proxy: '10.78.2.2',
  probe: '10.78.3.2',
  root: '10.78.8.1',
  clientResolver: '10.78.8.53',
  proxyResolver: '10.78.8.54',
} as const
export const NAMES = {
  proxy: 'proxy.sightline.test',
  probe: 'probe.sightline.test',
  zone: 'audit.sightline.test',
}

const HOSTS = ['client', 'router', 'hub', 'proxy', 'probe'] as const
export type Host = (typeof HOSTS)[number]

export class Internet implements AsyncDisposable {
  readonly #name: string
  readonly #named: Program[] = []
  readonly #directory: TempDir

  private constructor(directory: TempDir) {
    this.#directory = directory
    this.#name = `sla${process.pid}`
  }

  static async make(): Promise<Internet> {
    const internet = new Internet(await tempDir())
    try {
      await internet.#build()
      return internet
    } catch (thrown) {
      await internet[Symbol.asyncDispose]()
      throw thrown
    }
  }

  /** The words before a command that is to run on that host. */
  on(host: Host): string[] {
    return ['ip', 'netns', 'exec', this.#space(host)]
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const program of this.#named) await program[Symbol.asyncDispose]()
    await this.#directory[Symbol.asyncDispose]()
    for (const host of HOSTS) {
      await run('ip', ['netns', 'del', this.#space(host)])
      await rm(this.#etc(host), { recursive: true, force: true })
    }
  }

  #space(host: Host): string {
    return `${this.#name}${host}`
  }

  /** `ip netns exec` puts what stands there over /etc, in that namespace alone. */
  #etc(host: Host): string {
    return path.join('/etc/netns', this.#space(host))
  }

  async #ip(host: Host, words: string): Promise<void> {
    await succeed('ip', ['-n', this.#space(host), ...words.split(' ')])
  }

  async #build(): Promise<void> {
    const resolverOf = { client: PLACES.clientResolver, proxy: PLACES.proxyResolver }
    for (const host of HOSTS) {
      await succeed('ip', ['netns', 'add', this.#space(host)])
      const settings = ['net.ipv4.ip_forward=1', 'net.ipv6.conf.all.disable_ipv6=1']
      await succeed(this.on(host)[0] ?? '', [...this.on(host).slice(1), 'sysctl', '-qw', ...settings])
      await this.#ip(host, 'link set lo up')
      const resolver = host === 'client' || host === 'proxy' ? resolverOf[host] : undefined
      if (resolver === undefined) continue
      await mkdir(this.#etc(host), { recursive: true })
      await writeFile(path.join(this.#etc(host), 'resolv.conf'), `nameserver ${resolver}\n`)
    }
    await this.#link('client', '10.78.1.2', 'router', '10.78.1.1')
    await this.#link('router', PLACES.router, 'hub', '10.78.4.1')
    await this.#link('proxy', PLACES.proxy, 'hub', '10.78.2.1')
    await this.#link('probe', PLACES.probe, 'hub', '10.78.3.1')
    const nat = `table ip nat { chain out { type nat hook postrouting priority 100; oifname "up0" masquerade; }\n}\n`
    await succeed('ip', ['netns', 'exec', this.#space('router'), 'nft', '-f', '-'], { input: nat })
    for (const address of [PLACES.root, ...Object.values(resolverOf)])
      await this.#ip('hub', `addr add ${address}/32 dev lo`)
    const world = {
      root: PLACES.root,
      addresses: { [NAMES.probe]: PLACES.probe, [NAMES.proxy]: PLACES.proxy },
      delegated: { [NAMES.zone]: NAMES.probe },
    }
    this.#named.push(await startRoot(this.on('hub'), this.#directory, world))
    for (const address of Object.values(resolverOf))
      this.#named.push(await startResolver(this.on('hub'), this.#directory, address))
  }

  /** A link from `low`, whose way to all else it is, to `high`. */
  async #link(low: Host, address: string, high: Host, gateway: string): Promise<void> {
    await this.#ip(high, `link add to${low} type veth peer name up0 netns ${this.#space(low)}`)
    await this.#ip(high, `addr add ${gateway}/24 dev to${low}`)
    await this.#ip(low, `addr add ${address}/24 dev up0`)
    await this.#ip(high, `link set to${low} up`)
    await this.#ip(low, 'link set up0 up')
    await this.#ip(low, `route add default via ${gateway}`)
  }
}
