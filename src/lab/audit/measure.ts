// The measurement of an audit: the same request over http and https through the proxy, datagrams where it takes them, one
// request beside it, and the probe's report. Rules: what fails is noted and the rest still runs; a report that is not
// sealed with the token counts for nothing; nothing is judged here.
import { lookup } from 'node:dns/promises'
import net from 'node:net'
import { GatewayError } from '../../errors.ts'
import type { ProxyUrl } from '../../config/proxy-url.ts'
import { isLoopbackAddress } from '../../policy/egress-upstream.ts'
import { makeCanaries, type Canaries } from '../canary.ts'
import { lookUp } from '../look-up.ts'
import { siteName } from '../parties.ts'
import { ask, hostOf, requestOf, secure, type Exchange } from './exchange.ts'
import { sendDatagrams, type Datagrams } from './datagrams.ts'
import { Passage, TIMEOUT_MS, type Link, type LinkCertificate } from './passage.ts'
import type { ProbeAddress } from './probe-url.ts'
import { REPORT, hashOf, type ProbeReport } from './probe-report.ts'
import { newId, unseal } from './seal.ts'

export interface Visited {
  /** Undefined where it failed, for the reason in `problem`. */
  readonly exchange: Exchange | undefined
  readonly problem: string | undefined
  readonly link: Link
  /** NSS key log lines of the application's TLS to the site. */
  readonly siteKeylog: string
  /** What the proxy was told to connect to: a name or an address. */
  readonly told: string
}

export interface Measured {
  readonly proxy: ProxyUrl
  readonly probe: ProbeAddress
  /** The probe is on this machine: the audit started it, or the probe sees it come from a loopback address. */
  readonly isOneMachine: boolean
  /** The name of the site: of this audit alone where the probe has a zone, else the probe's own name or address. */
  readonly site: string
  readonly local: string
  readonly remote: string
  readonly certificate: LinkCertificate | undefined
  readonly canaries: Canaries
  /** What the audit's program calls itself in CONNECT. */
  readonly program: string
  readonly http: Visited
  readonly https: Visited
  /** Whether it connects to what it is told by name; undefined where the probe has none. */
  readonly takesNames: boolean | undefined
  readonly udp: Datagrams
  /** What the probe says of what came through the proxy; undefined where no sealed report could be had. */
  readonly report: ProbeReport | undefined
  /** The answer that came through the proxy in the report's place was not the probe's. */
  readonly isReportForged: boolean
  /** The request beside the proxy, as it arrived. */
  readonly beside: ProbeReport | undefined
}

export interface MeasureOptions {
  readonly proxy: ProxyUrl
  readonly probe: ProbeAddress
  /** Port of the name server of a probe on this machine, which the audit started itself. */
  readonly ownDns?: number | undefined
  readonly seed: string
  readonly authority?: string | undefined
  readonly progress?: ((what: string) => void) | undefined
}

/** Errors: those of dialling the proxy, `upstream-untrusted`, `dial-failed` where nothing at all came through. */
export async function measure(options: MeasureOptions): Promise<Measured> {
  const { proxy, probe, ownDns, seed, authority, progress = () => {} } = options
  // Not the word of the request's own User-Agent: who reads the one need not read the other.
  const program = makeCanaries(`the program of ${seed}`).userAgent
  const passage = await Passage.open(proxy, { authority, program })
  try {
    const audit = new Audit(passage, options)
    progress('a request over http')
    const http = await audit.visit('http')
    progress('a request over https')
    const https = await audit.visit('https')
    if (http.exchange === undefined && https.exchange === undefined) throw nothingCame(http, https)
    const takesNames = await audit.takesNames()
    progress('datagrams')
    const udp = await audit.datagrams()
    progress('what the probe received')
    const beside = await audit.goBeside()
    const { report, isForged } = await audit.fetchReport(beside !== undefined)
    const { canaries, site } = audit
    const { local, remote, certificate } = passage
    const given = {
      proxy,
      probe,
      isOneMachine: ownDns !== undefined || isBesideUs(beside),
      site,
      canaries,
      program,
    }
    const heard = { http, https, takesNames, udp, report, isReportForged: isForged, beside }
    return { ...given, local, remote, certificate, ...heard }
  } finally {
    passage.close()
  }
}

class Audit {
  readonly canaries: Canaries
  #passage: Passage
  #probe: ProbeAddress
  #ownDns: number | undefined
  #id: string
  #besideId: string
  /** What the proxy is told, where it is one to resolve names: the next where one fails, and an address in the end. */
  #names: readonly string[]
  #found: Promise<string> | undefined

  constructor(passage: Passage, { probe, seed, ownDns }: MeasureOptions) {
    this.canaries = makeCanaries(seed)
    this.#passage = passage
    this.#probe = probe
    this.#ownDns = ownDns
    this.#id = newId(probe.token)
    this.#besideId = newId(probe.token)
    this.#names = passage.proxy.scheme === 'socks5' ? [] : this.#siteNames()
  }

  /** As `Measured.site`. */
  get site(): string {
    const [name = this.#probe.host] = this.#names.length > 0 ? this.#names : this.#siteNames()
    return name
  }

  async visit(scheme: 'http' | 'https'): Promise<Visited> {
    let first: Visited | undefined
    for (const [index, name] of [...this.#names, undefined].entries()) {
      const visited = await this.#visit(scheme, name)
      first ??= visited
      if (visited.exchange === undefined) continue
      this.#names = this.#names.slice(index)
      return visited
    }
    return first as Visited
  }

  #siteNames(): string[] {
    const { zone, host } = this.#probe
    return [...(zone === undefined ? [] : [`${this.#id}.${zone}`]), ...(net.isIP(host) === 0 ? [host] : [])]
  }

  async #visit(scheme: 'http' | 'https', name: string | undefined): Promise<Visited> {
    const port = this.#probe[scheme]
    let siteKeylog = ''
    let told = name ?? this.#probe.host
    this.#passage.takeLink()
    let exchange: Exchange | undefined
    let problem: string | undefined
    try {
      if (name === undefined) told = await this.#address()
      const isTold = name !== undefined || this.#passage.isHttp
      const host = hostOf({ ...this.#probe, host: isTold ? told : this.site }, port)
      const sent = requestOf(this.#id, this.canaries, host)
      const isAbsolute = scheme === 'http' && this.#passage.isHttp
      const stream = isAbsolute
        ? await this.#passage.toProxy()
        : await this.#passage.connect({ address: told, port })
      const site =
        scheme === 'https'
          ? await secure(stream, this.canaries.hostLabel, (line) => (siteKeylog += line.toString('latin1')))
          : stream
      exchange = await ask(site, {
        sent,
        body: this.canaries.requestBody,
        absolute: isAbsolute ? `http://${host}` : '',
        forProxy: isAbsolute ? this.#passage.authorization() : {},
      })
      if (exchange.status !== 200) {
        problem = `the answer was ${exchange.status}`
        exchange = undefined
      }
    } catch (thrown) {
      if (thrown instanceof GatewayError && thrown.code === 'upstream-untrusted') throw thrown
      problem = thrown instanceof Error ? thrown.message : 'no reason given'
    }
    return { exchange, problem, link: this.#passage.takeLink(), siteKeylog, told }
  }

  /** The probe's address as this machine finds it, once. */
  #address(): Promise<string> {
    this.#found ??= this.#findAddress()
    return this.#found
  }

  /** By a name of this audit only where that is what its user's machine does: with a proxy that is told addresses. */
  async #findAddress(): Promise<string> {
    const { host, zone } = this.#probe
    const id = this.#passage.proxy.scheme === 'socks5' ? this.#id : this.#besideId
    const ownDns = this.#ownDns
    if (ownDns !== undefined)
      return lookUp(siteName(id), { resolver: { address: '127.0.0.1', port: ownDns }, from: '127.0.0.1' })
    if (zone !== undefined) {
      const found = await lookup(`${id}.${zone}`, { family: 4 }).catch(() => undefined)
      if (found !== undefined) return found.address
    }
    return net.isIP(host) === 0 ? (await lookup(host)).address : host
  }

  /** Undefined where the probe has no name, or the proxy is told names anyway and took none. */
  async takesNames(): Promise<boolean | undefined> {
    const { site } = this
    if (net.isIP(site) !== 0) return undefined
    if (this.#passage.proxy.scheme !== 'socks5') return this.#names.length > 0
    try {
      const name =
        net.isIP(this.#probe.host) === 0 ? this.#probe.host : `${this.#besideId}.${this.#probe.zone}`
      const stream = await this.#passage.connect({ address: name, port: this.#probe.http })
      stream.destroy()
      return true
    } catch {
      return false
    }
  }

  /** Through the proxy, with what passed on the link. */
  async datagrams(): Promise<Datagrams> {
    const to = { address: await this.#address(), port: this.#probe.echo }
    return sendDatagrams(this.#passage, to, Buffer.from(this.#id + this.canaries.datagram))
  }

  /** What an application does that was not told of the proxy. Undefined where the probe cannot be reached so. */
  async goBeside(): Promise<ProbeReport | undefined> {
    try {
      // So that the resolver that this machine asks is known beside the one that the proxy asks.
      await this.#findBeside()
      const sent = requestOf(this.#besideId, this.canaries, hostOf(this.#probe, this.#probe.http))
      await ask(await this.#direct(), { sent, body: this.canaries.requestBody, absolute: '', forProxy: {} })
      return await this.#report(await this.#direct(), this.#besideId, '')
    } catch {
      return undefined
    }
  }

  async #findBeside(): Promise<void> {
    const { zone } = this.#probe
    if (zone !== undefined) await lookup(`${this.#besideId}.${zone}`, { family: 4 }).catch(() => undefined)
  }

  /** Through the proxy; where what comes is not the probe's, and the probe can be reached beside it, from there. */
  async fetchReport(canGoBeside: boolean): Promise<{ report: ProbeReport | undefined; isForged: boolean }> {
    let answered = false
    try {
      const { isHttp } = this.#passage
      const port = this.#probe.http
      const address = this.#names[0] ?? (await this.#address())
      const stream = isHttp ? await this.#passage.toProxy() : await this.#passage.connect({ address, port })
      const report = await this.#report(
        stream,
        this.#id,
        isHttp ? `http://${hostOf({ ...this.#probe, host: address }, port)}` : '',
        () => (answered = true),
      )
      if (report !== undefined) return { report, isForged: false }
    } catch {
      // No answer is no forged one.
    }
    const beside = canGoBeside
      ? await this.#report(await this.#direct(), this.#id, '').catch(() => undefined)
      : undefined
    return { report: beside, isForged: answered }
  }

  async #report(
    stream: net.Socket | Awaited<ReturnType<Passage['toProxy']>>,
    id: string,
    absolute: string,
    answered = (): void => {},
  ): Promise<ProbeReport | undefined> {
    const nonce = newId(this.#probe.token)
    const host = absolute === '' ? hostOf(this.#probe, this.#probe.http) : absolute.slice('http://'.length)
    const forProxy = absolute === '' ? {} : this.#passage.authorization()
    const { body, status } = await ask(stream, {
      sent: {
        method: 'GET',
        target: `/${id}/report/${nonce}`,
        headers: [
          ['Host', host],
          ['Connection', 'close'],
        ],
        bodyHash: hashOf(''),
      },
      body: '',
      absolute,
      forProxy,
    })
    if (status === 200) answered()
    const text = unseal(this.#probe.token, nonce, body)
    return text === undefined ? undefined : REPORT.parse(JSON.parse(text))
  }

  #direct(): Promise<net.Socket> {
    const host = this.#ownDns === undefined ? this.#probe.host : '127.0.0.1'
    const socket = net.connect({ host, port: this.#probe.http, timeout: TIMEOUT_MS })
    return new Promise((resolve, reject) => {
      socket.once('connect', () => resolve(socket))
      socket.once('timeout', () => socket.destroy(new GatewayError('dial-timeout')))
      socket.on('error', reject)
    })
  }
}

function isBesideUs(beside: ProbeReport | undefined): boolean {
  return beside?.arrived.some(({ from }) => isLoopbackAddress(from.address)) === true
}

function nothingCame(http: Visited, https: Visited): GatewayError {
  const detail = `nothing came through the proxy: ${http.problem ?? ''} (http); ${https.problem ?? ''} (https)`
  return new GatewayError('dial-failed', {
    detail,
    hint: 'can it reach the probe? run sightline probe on a host that it reaches, and give its address with --origin; does it want a user?',
  })
}
