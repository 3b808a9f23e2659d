// The way through the proxy that is audited: its link passes a tap of the audit's own, and streams to the probe are opened
// on it as any program would. Rules: what TLS on the link shows is noted, not believed; a password goes to no https proxy
// whose certificate does not stand.
import net from 'node:net'
import tls from 'node:tls'
import http from 'node:http'
import type { Duplex } from 'node:stream'
import { SocksClient } from 'socks'
import type { ProxyUrl } from '../../config/proxy-url.ts'
import { GatewayError, toGatewayError } from '../../errors.ts'
import { formatAddress } from '../../transport/listener.ts'
import { Recorder, type CapturedConnection, type Endpoint } from '../capture.ts'
import { Tap } from '../tap.ts'
import { UdpTap } from '../udp-tap.ts'

export const TIMEOUT_MS = 10_000
const LOOPBACK = '127.0.0.1'

type Established = Awaited<ReturnType<typeof SocksClient.createConnection>>

/** The certificate that the proxy showed on its link. */
export interface LinkCertificate {
  readonly isVerified: boolean
  /** Why not, in Node's words. */
  readonly problem: string | undefined
}

export interface Link {
  readonly connections: readonly CapturedConnection[]
  /** NSS key log lines of the link's own TLS. */
  readonly keylog: string
}

export interface PassageOptions {
  /** PEM of who vouches for an https proxy, beside those that the system trusts. */
  readonly authority?: string | undefined
  /** What the program calls itself to the proxy, in CONNECT, as curl and browsers do. */
  readonly program: string
}

export class Passage {
  readonly proxy: ProxyUrl
  /** The address that this machine reaches the proxy from, and the proxy's. */
  readonly local: string
  readonly remote: string
  certificate: LinkCertificate | undefined
  #recorder = new Recorder()
  #tap: Tap
  #authority: string | undefined
  #program: string
  #keylog = ''

  private constructor(
    proxy: ProxyUrl,
    tap: Tap,
    ends: { local: string; remote: string },
    { authority, program }: PassageOptions,
  ) {
    this.proxy = proxy
    this.#tap = tap
    this.local = ends.local
    this.remote = ends.remote
    this.#authority = authority
    this.#program = program
  }

  /** Errors: those of dialling. */
  static async open(proxy: ProxyUrl, options: PassageOptions): Promise<Passage> {
    const ends = await tryToReach(proxy)
    const tap: Tap = await Tap.start({
      listen: { address: LOOPBACK, port: 0 },
      onward: { address: ends.remote, port: proxy.port },
      recorder: () => passage.#recorder,
      carries: { address: ends.remote, port: proxy.port },
      fromAnyAddress: true,
    })
    const passage = new Passage(proxy, tap, ends, options)
    return passage
  }

  get isHttp(): boolean {
    return this.proxy.scheme === 'http' || this.proxy.scheme === 'https'
  }

  /** What passed on the link since this was last asked. */
  takeLink(): Link {
    return { connections: this.#recorder.take(), keylog: this.#keylog }
  }

  /** A stream to the proxy itself, secured where its URL says so. */
  async toProxy(): Promise<Duplex> {
    const { address, port } = this.#tap.address
    const socket = net.connect({ host: address, port, noDelay: true })
    await opened(socket, 'connect')
    if (this.proxy.scheme !== 'https') return socket
    const { host } = this.proxy
    const secured = tls.connect({
      socket,
      rejectUnauthorized: false,
      ALPNProtocols: ['http/1.1'],
      checkServerIdentity: () => undefined,
      ...(net.isIP(host) === 0 && { servername: host }),
      ...(this.#authority !== undefined && { ca: [...tls.rootCertificates, this.#authority] }),
    })
    secured.on('keylog', (line: Buffer) => (this.#keylog += line.toString('latin1')))
    await opened(secured, 'secureConnect')
    const wrongName = tls.checkServerIdentity(host, secured.getPeerCertificate())
    const problem = secured.authorized ? wrongName?.message : String(secured.authorizationError)
    this.certificate = { isVerified: problem === undefined, problem }
    if (problem !== undefined && this.proxy.username !== undefined) {
      secured.destroy()
      throw new GatewayError('upstream-untrusted', {
        detail:
          "the proxy's certificate does not stand, and the user and password are not sent to whoever showed it",
        hint: 'give its authority with --authority, or audit it without a user',
      })
    }
    return secured
  }

  /** A stream to `to` through the proxy. Errors: `dial-failed` with what the proxy answered, those of dialling. */
  async connect(to: Endpoint): Promise<Duplex> {
    return this.isHttp ? this.#byConnect(to) : this.#bySocks(to)
  }

  /** A SOCKS5 association: the stream that keeps it open, and where its datagrams are to be sent: the tap before the relay. Errors as above. */
  async associate(): Promise<{ readonly control: net.Socket; readonly relay: UdpTap }> {
    const { socket, remoteHost } = await this.#socks('associate', { address: '0.0.0.0', port: 0 })
    const isUnspecified = remoteHost === undefined || /^(0\.0\.0\.0|::)$/.test(remoteHost.host)
    const address = isUnspecified ? this.remote : remoteHost.host
    const onward = { address, port: remoteHost?.port ?? 0 }
    const relay = await UdpTap.start({
      listen: { address: LOOPBACK, port: 0 },
      onward,
      carries: onward,
      recorder: () => this.#recorder,
      fromAnyAddress: true,
    })
    return { control: socket, relay }
  }

  /** The `Proxy-Authorization` of a request, where the URL has a user. */
  authorization(): Record<string, string> {
    const { username, password = '' } = this.proxy
    if (username === undefined) return {}
    return { 'Proxy-Authorization': `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}` }
  }

  close(): void {
    this.#tap.close()
  }

  async #byConnect(to: Endpoint): Promise<Duplex> {
    const stream = await this.toProxy()
    const target = formatAddress(to)
    return new Promise((resolve, reject) => {
      const request = http.request({
        createConnection: () => stream,
        method: 'CONNECT',
        path: target,
        headers: { Host: target, 'User-Agent': this.#program, ...this.authorization() },
        timeout: TIMEOUT_MS,
      })
      request.on('connect', ({ statusCode }, tunnel) => {
        if (statusCode !== undefined && statusCode >= 200 && statusCode < 300) return resolve(tunnel)
        tunnel.destroy()
        reject(new GatewayError('dial-failed', { detail: `the proxy answered ${statusCode} to CONNECT` }))
      })
      request.on('response', (response) => {
        response.resume()
        const detail = `the proxy answered ${response.statusCode} to CONNECT`
        reject(new GatewayError('dial-failed', { detail }))
        stream.destroy()
      })
      request.on('timeout', () => request.destroy(new GatewayError('dial-timeout')))
      request.on('error', (error) => reject(toGatewayError(error, 'upstream', 'dial-failed')))
      request.end()
    })
  }

  async #bySocks(to: Endpoint): Promise<Duplex> {
    return (await this.#socks('connect', to)).socket
  }

  async #socks(command: 'connect' | 'associate', to: Endpoint): Promise<Established> {
    const { scheme, username, password } = this.proxy
    const { address, port } = this.#tap.address
    const client = new SocksClient({
      proxy: {
        host: address,
        port,
        type: scheme === 'socks4a' ? 4 : 5,
        ...(username !== undefined && { userId: username, password: password ?? '' }),
      },
      command,
      destination: { host: to.address, port: to.port },
      timeout: TIMEOUT_MS,
      set_tcp_nodelay: true,
    })
    return new Promise((resolve, reject) => {
      client.once('established', resolve)
      client.once('error', (cause) =>
        reject(new GatewayError('dial-failed', { cause, detail: `the proxy refused: ${cause.message}` })),
      )
      client.connect()
    })
  }
}

/** One connection without a byte, so that a proxy that is not there is an error of its own. */
async function tryToReach({ host, port }: ProxyUrl): Promise<{ local: string; remote: string }> {
  const socket = net.connect({ host, port, timeout: TIMEOUT_MS })
  socket.on('timeout', () => socket.destroy(new GatewayError('dial-timeout')))
  try {
    await opened(socket, 'connect')
    const [local, remote] = [socket.localAddress ?? '', socket.remoteAddress ?? host]
    // A socket for both families names an IPv4 address inside an IPv6 one.
    return { local: local.replace(/^::ffff:/, ''), remote: remote.replace(/^::ffff:/, '') }
  } catch (thrown) {
    const { code } = toGatewayError(thrown, 'upstream', 'dial-failed')
    throw new GatewayError(code, {
      cause: thrown,
      detail: `the proxy at ${formatAddress({ address: host, port })} cannot be reached`,
      hint: 'check its address and port, and that it runs',
    })
  } finally {
    socket.destroy()
  }
}

function opened(socket: net.Socket, event: 'connect' | 'secureConnect'): Promise<void> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => socket.destroy(new GatewayError('dial-timeout')), TIMEOUT_MS)
    const settle = (say: () => void): void => {
      clearTimeout(late)
      say()
    }
    socket.once(event, () => settle(resolve))
    socket.once('close', () => settle(() => reject(new GatewayError('connection-reset'))))
    socket.on('error', (error) => settle(() => reject(error)))
  })
}
