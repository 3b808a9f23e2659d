// The measurement of an audit: the same request over http and https through the proxy, datagrams where it takes them, one
// request beside it, and the probe's report. Rules: what fails is noted and the rest still runs; a report that is not
// sealed with the token counts for nothing; nothing is judged here.
import dgram from 'node:dgram'
import { lookup } from 'node:dns/promises'
import net from 'node:net'
import { GatewayError } from '../../errors.ts'
import type { ProxyUrl } from '../../config/proxy-url.ts'
import { decodeUdpMessage, encodeUdpHeader } from '../../protocol/socks/udp.ts'
import { makeCanaries, type Canaries } from '../canary.ts'
import { lookUp } from '../look-up.ts'
import { siteName } from '../parties.ts'
import { ask, hostOf, requestOf, secure, type Exchange } from './exchange.ts'
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
  /** The audit started the probe itself, on this machine. */
  readonly isOneMachine: boolean
  readonly local: string
  readonly remote: string
  readonly certificate: LinkCertificate | undefined
  readonly canaries: Canaries
  readonly http: Visited
  readonly https: Visited
  /** Whether it connects to what it is told by name; undefined where the probe has none. */
  readonly takesNames: boolean | undefined
  readonly udp: { readonly carried: boolean; readonly problem: string | undefined }
  /** What the probe says of what came through the proxy; undefined where no sealed report could be had. */
  readonly report: ProbeReport | undefined
  /** The answer that came through the proxy in the report's place was not the probe's. */
  readonly isReportForged: boolean
  /** The request beside the proxy, as it arrived. */
  readonly beside: ProbeReport | undefined
}

const UDP_TRIES = 3
const UDP_WAIT_MS = 700

export interface MeasureOptions {
  readonly proxy: ProxyUrl
  readonly probe: ProbeAddress
  readonly isOneMachine: boolean
  readonly seed: string
  readonly authority?: string | undefined
  readonly progress?: ((what: string) => void) | undefined
}

/** Errors: those of dialling the proxy, `upstream-untrusted`, `dial-failed` where nothing at all came through. */
export async function measure(options: MeasureOptions): Promise<Measured> {
  const { proxy, probe, isOneMachine, progress = () => {} } = options
  const passage = await Passage.open(proxy, options.authority)
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
    const { canaries } = audit
    const { local, remote, certificate } = passage
    const heard = { http, https, takesNames, udp, report, isReportForged: isForged, beside }
    return { proxy, probe, isOneMachine, local, remote, certificate, canaries, ...heard }
  } finally {
    passage.close()
  }
}

class Audit {
  readonly canaries: Canaries
  #passage: Passage
  #probe: ProbeAddress
  #isOneMachine: boolean
  #id: string
  #besideId: string
  #byName: boolean

  constructor(passage: Passage, { probe, seed, isOneMachine }: MeasureOptions) {
    this.canaries = makeCanaries(seed)
    this.#passage = passage
    this.#probe = probe
    this.#isOneMachine = isOneMachine
    this.#id = newId(probe.token)
    this.#besideId = newId(probe.token)
    this.#byName = passage.proxy.scheme !== 'socks5' && net.isIP(probe.host) === 0
  }

  /** By name where the proxy is one to resolve names, and by address where that fails. */
  async visit(scheme: 'http' | 'https'): Promise<Visited> {
    const first = await this.#visit(scheme, this.#byName)
    if (first.exchange !== undefined || !this.#byName) return first
    const second = await this.#visit(scheme, false)
    if (second.exchange === undefined) return first
    this.#byName = false
    return second
  }

  async #visit(scheme: 'http' | 'https', byName: boolean): Promise<Visited> {
    const port = this.#probe[scheme]
    let siteKeylog = ''
    let told = this.#probe.host
    this.#passage.takeLink()
    let exchange: Exchange | undefined
    let problem: string | undefined
    try {
      if (!byName) told = await this.#address()
      const host = hostOf(
        { ...this.#probe, host: byName || this.#passage.isHttp ? told : this.#probe.host },
        port,
      )
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

  /** The probe's address as this machine finds it. On one machine its own name server is asked, so that the look-up is seen. */
  async #address(): Promise<string> {
    const { host, dns } = this.#probe
    if (net.isIP(host) !== 0) return host
    if (!this.#isOneMachine) return (await lookup(host)).address
    return lookUp(siteName(this.#id), { resolver: { address: '127.0.0.1', port: dns }, from: '127.0.0.1' })
  }

  /** Undefined where the probe has no name, or the proxy is told names anyway and took none. */
  async takesNames(): Promise<boolean | undefined> {
    if (net.isIP(this.#probe.host) !== 0) return undefined
    if (this.#passage.proxy.scheme !== 'socks5') return this.#byName
    try {
      const stream = await this.#passage.connect({ address: this.#probe.host, port: this.#probe.http })
      stream.destroy()
      return true
    } catch {
      return false
    }
  }

  async datagrams(): Promise<Measured['udp']> {
    const { scheme } = this.#passage.proxy
    if (!scheme.startsWith('socks5')) {
      return {
        carried: false,
        problem: scheme === 'socks4a' ? 'SOCKS4 has no way for it' : 'HTTP CONNECT carries TCP alone',
      }
    }
    let control: net.Socket | undefined
    try {
      const association = await this.#passage.associate()
      control = association.control
      control.on('error', () => {})
      const carried = await this.#echo(association.relay)
      return { carried, problem: carried ? undefined : 'it took the association, and no datagram came back' }
    } catch (thrown) {
      return { carried: false, problem: thrown instanceof Error ? thrown.message : 'no reason given' }
    } finally {
      control?.destroy()
    }
  }

  async #echo(relay: { address: string; port: number }): Promise<boolean> {
    const question = Buffer.from(this.#id + this.canaries.datagram)
    const header = encodeUdpHeader({ address: await this.#address(), port: this.#probe.echo })
    const socket = dgram.createSocket(net.isIPv6(relay.address) ? 'udp6' : 'udp4')
    const came = Promise.withResolvers<boolean>()
    socket.on('error', () => came.resolve(false))
    socket.on('message', (bytes) => {
      try {
        if (Buffer.from(decodeUdpMessage(bytes).payload).equals(question)) came.resolve(true)
      } catch {
        // What is no datagram of SOCKS is none of the probe's.
      }
    })
    const send = (): void =>
      socket.send(Buffer.concat([header, question]), relay.port, relay.address, () => {})
    let tries = 1
    const timer = setInterval(() => {
      if (tries === UDP_TRIES) return came.resolve(false)
      tries += 1
      send()
    }, UDP_WAIT_MS)
    send()
    try {
      return await came.promise
    } finally {
      clearInterval(timer)
      socket.close()
    }
  }

  /** What an application does that was not told of the proxy. Undefined where the probe cannot be reached so. */
  async goBeside(): Promise<ProbeReport | undefined> {
    try {
      const sent = requestOf(this.#besideId, this.canaries, hostOf(this.#probe, this.#probe.http))
      await ask(await this.#direct(), { sent, body: this.canaries.requestBody, absolute: '', forProxy: {} })
      return await this.#report(await this.#direct(), this.#besideId, '')
    } catch {
      return undefined
    }
  }

  /** Through the proxy; where what comes is not the probe's, and the probe can be reached beside it, from there. */
  async fetchReport(canGoBeside: boolean): Promise<{ report: ProbeReport | undefined; isForged: boolean }> {
    let answered = false
    try {
      const { isHttp } = this.#passage
      const port = this.#probe.http
      const stream = isHttp
        ? await this.#passage.toProxy()
        : await this.#passage.connect({
            address: this.#byName ? this.#probe.host : await this.#address(),
            port,
          })
      const report = await this.#report(
        stream,
        this.#id,
        isHttp ? `http://${hostOf(this.#probe, port)}` : '',
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
    const host = hostOf(this.#probe, this.#probe.http)
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
    const host = this.#isOneMachine ? '127.0.0.1' : this.#probe.host
    const socket = net.connect({ host, port: this.#probe.http, timeout: TIMEOUT_MS })
    return new Promise((resolve, reject) => {
      socket.once('connect', () => resolve(socket))
      socket.once('timeout', () => socket.destroy(new GatewayError('dial-timeout')))
      socket.on('error', reject)
    })
  }
}

function nothingCame(http: Visited, https: Visited): GatewayError {
  const detail = `nothing came through the proxy: ${http.problem ?? ''} (http); ${https.problem ?? ''} (https)`
  return new GatewayError('dial-failed', {
    detail,
    hint: 'can it reach the probe? run sightline probe on a host that it reaches, and give its address with --origin; does it want a user?',
  })
}
