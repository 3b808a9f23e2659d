// Three network namespaces in a row, client - router - gateway, with veth pairs between them, and what can happen to the
// link. Rules: nothing of it is seen outside, names are this process's own, and whoever makes it removes it.
import { run, succeed } from '../../support/programs.ts'

export const CLIENT = '10.77.1.2'
export const GATEWAY = '10.77.2.2'
/** In the gateway's namespace, and reachable from the client's without the tunnel: what leaks would get there. */
export const ORIGIN = '10.77.3.1'

export const CUTS = [
  'interface down',
  'cable pulled',
  'dropped',
  'rejected by ICMP',
  'rejected by RST',
] as const
export type Cut = (typeof CUTS)[number]

/** What the router does to all that it would forward. */
const VERDICTS: Partial<Record<Cut, string>> = {
  dropped: 'drop',
  'rejected by ICMP': 'reject',
  'rejected by RST': 'meta l4proto tcp reject with tcp reset',
}

let count = 0

export class Network implements AsyncDisposable {
  readonly client: string
  readonly router: string
  readonly gateway: string

  private constructor(name: string) {
    this.client = `${name}c`
    this.router = `${name}r`
    this.gateway = `${name}g`
  }

  static async make(): Promise<Network> {
    count += 1
    const network = new Network(`slt${process.pid}x${count}`)
    try {
      await network.#build()
      return network
    } catch (thrown) {
      await network[Symbol.asyncDispose]()
      throw thrown
    }
  }

  /** The words before a command that is to run in that namespace. */
  within(namespace: string): string[] {
    return ['ip', 'netns', 'exec', namespace]
  }

  async cut(how: Cut): Promise<void> {
    if (how === 'interface down') return this.#ip(this.client, 'link set up0 down')
    if (how === 'cable pulled') return this.#ip(this.router, 'link set down0 down')
    const rules = `table ip cut { chain forward { type filter hook forward priority 0; ${VERDICTS[how]}; }\n}\n`
    await succeed('ip', ['netns', 'exec', this.router, 'nft', '-f', '-'], { input: rules })
  }

  async mend(how: Cut): Promise<void> {
    if (how === 'interface down') {
      await this.#ip(this.client, 'link set up0 up')
      // The kernel forgot it with the interface; a machine's network service would put it back.
      return this.#ip(this.client, 'route add default via 10.77.1.1')
    }
    if (how === 'cable pulled') return this.#ip(this.router, 'link set down0 up')
    await succeed('ip', ['netns', 'exec', this.router, 'nft', 'delete', 'table', 'ip', 'cut'])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const namespace of [this.client, this.router, this.gateway])
      await run('ip', ['netns', 'del', namespace])
  }

  async #ip(namespace: string, words: string): Promise<void> {
    await succeed('ip', ['-n', namespace, ...words.split(' ')])
  }

  async #build(): Promise<void> {
    const { client, router, gateway } = this
    for (const namespace of [client, router, gateway]) {
      await succeed('ip', ['netns', 'add', namespace])
      const settings = [
        'net.ipv4.ip_forward=1',
        'net.ipv6.conf.all.disable_ipv6=1',
        'net.ipv6.conf.default.disable_ipv6=1',
      ]
      await succeed('ip', ['netns', 'exec', namespace, 'sysctl', '-qw', ...settings])
      await this.#ip(namespace, 'link set lo up')
    }
    await this.#ip(router, `link add down0 type veth peer name up0 netns ${client}`)
    await this.#ip(router, `link add up0 type veth peer name down0 netns ${gateway}`)
    await this.#ip(router, 'addr add 10.77.1.1/24 dev down0')
    await this.#ip(router, 'addr add 10.77.2.1/24 dev up0')
    await this.#ip(client, `addr add ${CLIENT}/24 dev up0`)
    await this.#ip(gateway, `addr add ${GATEWAY}/24 dev down0`)
    await this.#ip(gateway, `addr add ${ORIGIN}/32 dev lo`)
    for (const device of ['down0', 'up0']) await this.#ip(router, `link set ${device} up`)
    await this.#ip(client, 'link set up0 up')
    await this.#ip(gateway, 'link set down0 up')
    await this.#ip(client, 'route add default via 10.77.1.1')
    await this.#ip(gateway, 'route add default via 10.77.2.1')
    await this.#ip(router, `route add ${ORIGIN} via ${GATEWAY}`)
  }
}
