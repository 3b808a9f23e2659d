// Five network namespaces: a client behind a router with NAT (nftables masquerade), an internet in the middle with two
// resolvers, a host with a proxy, and a host with a probe. Rules: nothing of it is seen outside, names are this process's
// own, and whoever makes it removes it, and what it wrote below /etc/netns.
import { mkdir, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { run, succeed } from '../../support/programs.ts'
import { Program } from '../namespaces.ts'

export const PLACES = {
  client: '10.78.1.2',
  /** What the router shows of the client. */
  router: '10.78.4.2',
  proxy: '10.78.2.2',
  probe: '10.78.3.2',
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
  readonly #resolvers: Program[] = []

  private constructor() {
    this.#name = `sla${process.pid}`
  }

  static async make(): Promise<Internet> {
    const internet = new Internet()
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
    for (const resolver of this.#resolvers) await resolver[Symbol.asyncDispose]()
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
    for (const resolver of Object.values(resolverOf)) {
      await this.#ip('hub', `addr add ${resolver}/32 dev lo`)
      await this.#startResolver(resolver)
    }
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

  /** It knows two hosts, and hands what is asked of the probe's zone on, from its own address. */
  async #startResolver(address: string): Promise<void> {
    const resolver = new Program(this.on('hub'), 'dnsmasq', [
      ...['--keep-in-foreground', '--conf-file=/dev/null', '--no-resolv', '--no-hosts', '--bind-interfaces'],
      ...['--user=root', '--pid-file=', '--log-facility=-', `--listen-address=${address}`],
      ...['--except-interface=lo', `--server=/${NAMES.zone}/${PLACES.probe}@${address}`],
      ...[`--host-record=${NAMES.probe},${PLACES.probe}`, `--host-record=${NAMES.proxy},${PLACES.proxy}`],
    ])
    this.#resolvers.push(resolver)
    await resolver.err.line(/started/)
  }
}
