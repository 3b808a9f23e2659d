// A client's machine, a router and a gateway's in network namespaces, with real programs: curl, or for datagrams a program of
// the test, visits a site through `sightline serve` and `sightline connect`, and tcpdump records the client's link. Rules: the taps of the lab have no part in it; what
// is started is ended by whoever started it, and nothing is left in /etc.
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { hashPassword } from '../../../src/gateway/users.ts'
import type { Canaries } from '../../../src/lab/canary.ts'
import { initAuthority, issue } from '../../../src/pki/store.ts'
import { serve, startSightline, type SightlineProcess } from '../../support/gateway-process.ts'
import { succeed } from '../../support/programs.ts'
import { tempDir, type TempDir } from '../../support/temp-dir.ts'
import { GATEWAY, Network, ORIGIN } from '../link-cuts/network.ts'
import { Capture, Program } from '../namespaces.ts'

export type Way = 'direct' | 'http-proxy' | 'socks5' | 'socks5h' | 'https-proxy' | 'tunnel'
/** How the site is visited: http, https, https in TLS 1.2, or a look-up and an echo by datagrams. */
export type Kind = 'http' | 'https' | 'tls12' | 'udp'

const GATEWAY_NAME = 'gateway.sightline.test'
const TIMEOUT_MS = 20_000

export interface Recorded {
  /** The file that tcpdump wrote. */
  readonly file: Buffer
  /** What curl wrote of its own TLS, in the form of NSS key logs. */
  readonly keylog: string
  readonly body: string
}

export class AccessStage implements AsyncDisposable {
  readonly #canaries: Canaries
  readonly #network: Network
  readonly #directory: TempDir
  readonly #started: Array<AsyncDisposable> = []
  #ports = { http: 0, https: 0, echo: 0 }
  #gateway: SightlineProcess | undefined
  #client: SightlineProcess | undefined

  private constructor(canaries: Canaries, network: Network, directory: TempDir) {
    this.#canaries = canaries
    this.#network = network
    this.#directory = directory
  }

  static async make(canaries: Canaries): Promise<AccessStage> {
    const stage = new AccessStage(canaries, await Network.make(), await tempDir())
    try {
      await stage.#compose()
      return stage
    } catch (thrown) {
      await stage[Symbol.asyncDispose]()
      throw thrown
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const one of this.#started.toReversed()) await one[Symbol.asyncDispose]()
    await rm(this.#etc(), { recursive: true, force: true })
    await this.#network[Symbol.asyncDispose]()
    await this.#directory[Symbol.asyncDispose]()
  }

  /** One visit, with a canary in every field, while tcpdump records the client's link. */
  async visit(way: Way, kind: Kind): Promise<Recorded> {
    // The tunnel's handshake is part of what the link carries.
    this.#client = undefined
    const capture = await Capture.start({
      within: this.#within('client'),
      device: 'up0',
      file: this.#directory.file(`${way}-${kind}.pcap`),
      beyond: GATEWAY,
    })
    const keylog = this.#directory.file(`${way}-${kind}.keys`)
    await writeFile(keylog, '')
    try {
      await using client = way === 'tunnel' ? await this.#connect() : undefined
      this.#client = client
      const command = kind === 'udp' ? this.#datagrams(way) : ['curl', ...this.#curl(way, kind)]
      const [program = '', ...words] = [...this.#within('client'), ...command]
      const { stdout } = await succeed(program, words, {
        env: { SSLKEYLOGFILE: keylog },
        timeoutMs: TIMEOUT_MS,
      })
      return { file: await capture.end(), keylog: await readFile(keylog, 'utf8'), body: stdout.toString() }
    } finally {
      await capture[Symbol.asyncDispose]()
    }
  }

  #datagrams(way: Way): string[] {
    const { proxyUser, proxyPassword, requestBody } = this.#canaries
    const ways: Partial<Record<Way, string>> = {
      direct: 'direct',
      socks5h: `${GATEWAY}:${this.#port('socks')} ${proxyUser} ${proxyPassword}`,
      tunnel: `127.0.0.1:${this.#client?.port('client') ?? 0}`,
    }
    const script = path.join(import.meta.dirname, 'datagrams.ts')
    const resolver = `${GATEWAY}:53`
    const site = [this.#name(), `${this.#ports.echo}`, requestBody]
    return [process.execPath, script, resolver, ...site, ...(ways[way]?.split(' ') ?? [])]
  }

  #curl(way: Way, kind: Exclude<Kind, 'udp'>): string[] {
    const words = this.#canaries
    const scheme = kind === 'http' ? 'http' : 'https'
    const proxies: Record<Way, string[]> = {
      direct: [],
      'http-proxy': ['-x', `http://${GATEWAY}:${this.#port('http')}`],
      socks5: ['-x', `socks5://${GATEWAY}:${this.#port('socks')}`],
      socks5h: ['-x', `socks5h://${GATEWAY}:${this.#port('socks')}`],
      'https-proxy': [
        '-x',
        `https://${GATEWAY}:${this.#port('https')}`,
        '--proxy-cacert',
        this.#directory.file('ca.crt'),
      ],
      tunnel: ['-x', `socks5h://127.0.0.1:${this.#client?.port('client') ?? 0}`],
    }
    const credentials = ['direct', 'tunnel'].includes(way)
      ? []
      : ['-U', `${words.proxyUser}:${words.proxyPassword}`]
    return [
      ...['-sS', '--http1.1', '--fail', '--cacert', this.#directory.file('ca.crt')],
      // Of its TLS to the site alone.
      ...(kind === 'tls12' ? ['--tls-max', '1.2'] : []),
      ...proxies[way],
      // curl says its user agent in CONNECT too; the lab's application does not.
      ...['--proxy-header', 'User-Agent:'],
      ...credentials,
      ...[
        '-A',
        `curl (${words.userAgent})`,
        '-b',
        `session=${words.cookie}`,
        '-H',
        `x-note: ${words.header}`,
      ],
      ...['-u', `${words.siteUser}:${words.sitePassword}`, '--data-raw', words.requestBody],
      `${scheme}://${this.#name()}:${this.#ports[scheme]}/${words.path}?q=${words.query}`,
    ]
  }

  async #compose(): Promise<void> {
    const { path: directory } = this.#directory
    const { proxyUser, proxyPassword, certificateSubject, responseBody } = this.#canaries
    const file = (name: string): string => this.#directory.file(name)
    await initAuthority(directory)
    await issue(directory, 'gateway', { kind: 'server', hosts: [GATEWAY_NAME, GATEWAY] })
    await issue(directory, 'site', { kind: 'server', hosts: [this.#name()] })
    await issue(directory, certificateSubject, { kind: 'client', hosts: [] })
    await writeFile(file('users'), `${proxyUser}:${await hashPassword(proxyPassword)}\n`, { mode: 0o600 })
    await mkdir(this.#etc(), { recursive: true })
    await writeFile(path.join(this.#etc(), 'resolv.conf'), `nameserver ${GATEWAY}\n`)

    const script = path.join(import.meta.dirname, 'far-end.ts')
    const args = [script, ORIGIN, GATEWAY, file('site.crt'), file('site.key'), responseBody]
    const farEnd = new Program(this.#within('gateway'), process.execPath, args)
    this.#started.push(farEnd)
    const line = await farEnd.out.line(/^listening /)
    const [http = 0, https = 0, echo = 0] = [...line.matchAll(/\d+/g)].map(Number)
    this.#ports = { http, https, echo }

    const tls = { certificate: file('gateway.crt'), key: file('gateway.key') }
    const trust = { clientAuthority: file('ca.crt'), revocationList: file('ca.crl') }
    const listen = `${GATEWAY}:0`
    const auth = { users: file('users') }
    this.#gateway = await serve(
      file('gateway.json'),
      {
        inbounds: [
          { type: 'http', listen, auth },
          { type: 'socks', listen, auth },
          { type: 'http', listen, auth, tls },
          { type: 'tunnel', listen, tls: { ...tls, ...trust } },
        ],
        // The site's address is one of this machine's own, from which its kernel would dial too.
        outbounds: { direct: { type: 'direct', localAddress: GATEWAY } },
        dns: { servers: [`${GATEWAY}:53`] },
        egress: { allow: [`${ORIGIN}/32`, `${GATEWAY}/32:53`] },
      },
      this.#within('gateway'),
    )
    this.#started.push(this.#gateway)
  }

  #connect(): Promise<SightlineProcess> {
    const { certificateSubject } = this.#canaries
    const file = (name: string): string => this.#directory.file(name)
    return startSightline(
      [
        ...['connect', `wss://${GATEWAY}:${this.#port('tunnel')}/tunnel`],
        ...['--certificate', file(`${certificateSubject}.crt`), '--key', file(`${certificateSubject}.key`)],
        ...['--authority', file('ca.crt'), '--listen', '127.0.0.1:0'],
      ],
      this.#within('client'),
    )
  }

  #port(name: string): number {
    return this.#gateway?.port(name) ?? 0
  }

  #name(): string {
    return `${this.#canaries.hostLabel}.sightline.test`
  }

  #within(who: 'client' | 'gateway'): string[] {
    return this.#network.within(this.#network[who])
  }

  /** `ip netns exec` puts what stands there over /etc, in that namespace alone. */
  #etc(): string {
    return path.join('/etc/netns', this.#network.client)
  }
}
