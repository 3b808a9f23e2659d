// The far end of an audit: a site with and without TLS, a name server and a UDP echo, that write down what arrives. Rules:
// it serves and keeps only what carries an identity made with its token; it answers a datagram with as many bytes and no
// more; what it reports is sealed with the token.
import { createHash, X509Certificate } from 'node:crypto'
import type dgram from 'node:dgram'
import http from 'node:http'
import https from 'node:https'
import type { Socket } from 'node:net'
import { GatewayError } from '../../errors.ts'
import { createAuthority } from '../../pki/authority.ts'
import { issueLeaf } from '../../pki/leaf.ts'
import { awaitClientHello } from '../../transport/client-hello.ts'
import { listenTcp, type Listener } from '../../transport/listener.ts'
import { dissectClientHello } from '../dissect/client-hello.ts'
import { ja4 } from '../dissect/ja4.ts'
import { attempt } from '../layer.ts'
import { startNameServer, type NameServer } from '../name-server.ts'
import { Strangers, type StrangerLimits } from '../strangers.ts'
import { bindUdp } from '../udp-tap.ts'
import type { ProbeAddress } from './probe-url.ts'
import { hashOf, Ledger, type Arrived, type Header } from './probe-report.ts'
import { isIdOf, newToken, seal } from './seal.ts'

export interface ProbeOptions {
  /** An address of this machine. */
  readonly listen: string
  /** What the proxy is to be told: a name or an address. */
  readonly host: string
  /** 0 takes any. */
  readonly ports: { readonly http: number; readonly https: number; readonly echo: number }
  /** A zone that is delegated to this host, the port that its name server takes, and the address that its names have. */
  readonly names?:
    | { readonly zone: string | undefined; readonly port: number; readonly address: string }
    | undefined
  /** Of connections for http and https together. */
  readonly limits?: StrangerLimits
}

export interface Probe {
  readonly address: ProbeAddress
  /** Of its name server, on UDP and TCP; undefined where it has none. */
  readonly dns: number | undefined
  close(): void
}

/** The header whose value the answer's body repeats. */
export const ECHO_HEADER = 'x-canary-for-the-answer'
const PROBE_NAME = 'probe.sightline.test'
/** An identity of an audit, in hex. */
const ID_CHARACTERS = 40
const MAX_BODY_BYTES = 64 * 1024
const HELLO_TIMEOUT_MS = 10_000
/** An audit has a few connections at a time, each for half a minute at most. */
const LIMITS: StrangerLimits = { connections: 512, idleMs: 30_000, lifeMs: 60_000 }

/** Errors: `address-in-use`, `listen-failed`. */
export async function startProbe(options: ProbeOptions): Promise<Probe> {
  const { listen, host, ports, names: zoned, limits = LIMITS } = options
  const now = new Date()
  const leaf = await issueLeaf(await createAuthority({ now }), {
    name: PROBE_NAME,
    kind: 'server',
    hosts: [PROBE_NAME],
    now,
  })
  const token = newToken()
  const ledger = new Ledger()
  /** By who sent it. */
  const hellos = new Map<string, Arrived['hello']>()
  const strangers = new Strangers(limits)
  const plain = http.createServer((request, response) => serve(request, response, 'http', null))
  const secure = https.createServer({ cert: leaf.certificate, key: leaf.key }, (request, response) =>
    serve(request, response, 'https', hellos.get(peerOf(request.socket)) ?? null),
  )

  function serve(
    request: http.IncomingMessage,
    response: http.ServerResponse,
    scheme: Arrived['scheme'],
    hello: Arrived['hello'],
  ): void {
    const [, id = '', what = '', nonce = ''] = (request.url ?? '').split(/[/?]/)
    if (!isIdOf(token, id)) return void response.writeHead(404).end()
    if (what === 'report') {
      const text = seal(token, nonce, JSON.stringify(ledger.of(id)))
      return void response
        .writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-store' })
        .end(text)
    }
    void readBody(request).then((body) => {
      const page = pageFor(request.headers[ECHO_HEADER])
      const headers: Header[] = [
        ['Date', new Date().toUTCString()],
        ['Content-Type', 'text/html; charset=utf-8'],
        ['Content-Length', String(page.length)],
        ['Cache-Control', 'no-store'],
        ['X-Probe-Answer', hashOf(page).slice(0, 16)],
      ]
      ledger.note(id, 'arrived', {
        scheme,
        method: request.method ?? '',
        target: request.url ?? '',
        httpVersion: request.httpVersion,
        headers: pairsOf(request.rawHeaders),
        bodyBytes: body.length,
        bodyHash: hashOf(body),
        from: sourceOf(request.socket),
        hello,
        answer: { headers: headers.map(([name, value]) => [name, value]), bodyHash: hashOf(page) },
      })
      response.sendDate = false
      response.writeHead(200, headers.flat())
      response.end(page)
    }, ignore)
  }

  const listeners: Listener[] = []
  let names: NameServer | undefined
  let echo: dgram.Socket | undefined
  const close = (): void => {
    for (const listener of listeners) void listener.close()
    names?.close()
    echo?.close()
    strangers.close()
  }
  try {
    const onPlain = await listenTcp({ host: listen, port: ports.http }, (socket) => {
      if (strangers.admit(socket)) plain.emit('connection', socket)
    })
    listeners.push(onPlain)
    const onSecure = await listenTcp({ host: listen, port: ports.https }, (socket) => {
      if (!strangers.admit(socket)) return
      const heard: Buffer[] = []
      const hear = (chunk: Buffer): void => void heard.push(chunk)
      socket.on('data', hear)
      awaitClientHello(socket, HELLO_TIMEOUT_MS, {
        whole: () => {
          socket.off('data', hear)
          const peer = peerOf(socket)
          hellos.set(peer, helloOf(Buffer.concat(heard)))
          socket.on('close', () => hellos.delete(peer))
          secure.emit('connection', socket)
        },
        late: () => socket.destroy(),
        gone: () => socket.destroy(),
      })
    })
    listeners.push(onSecure)
    echo = await bindUdp({ address: listen, port: ports.echo })
    startEcho(echo, token, ledger)
    if (zoned !== undefined) {
      const { zone, address } = zoned
      names = await startNameServer(
        listen,
        (name, from) => {
          // Of the zone itself, so that a resolver that asks for it first goes on.
          if (name === zone) return [address]
          const [label = '', ...parents] = name.split('.')
          if (!isIdOf(token, label) || (zone !== undefined && parents.join('.') !== zone)) return undefined
          ledger.note(label, 'lookUps', { name, from: { ...from, address: withoutMapping(from.address) } })
          return [address]
        },
        zoned.port,
      )
    }
    const address: ProbeAddress = {
      host,
      http: onPlain.address.port,
      https: onSecure.address.port,
      echo: echo.address().port,
      certificate: createHash('sha256').update(new X509Certificate(leaf.certificate).raw).digest('hex'),
      token,
      ...(zoned?.zone !== undefined && { zone: zoned.zone }),
    }
    return { address, dns: names?.address.port, close }
  } catch (thrown) {
    close()
    throw thrown
  }
}

/** HTML, so that whoever adds to pages finds one to add to. */
function pageFor(canary: string | string[] | undefined): Buffer {
  const word = typeof canary === 'string' && /^[a-z0-9]{1,64}$/.test(canary) ? canary : ''
  return Buffer.from(
    `<!doctype html>\n<html><head><title>probe</title></head>\n<body><p>${word}</p></body></html>\n`,
  )
}

async function readBody(request: http.IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  let held = 0
  for await (const chunk of request) {
    held += (chunk as Buffer).length
    if (held > MAX_BODY_BYTES) throw new GatewayError('bad-request')
    chunks.push(chunk as Buffer)
  }
  return Buffer.concat(chunks)
}

function startEcho(socket: dgram.Socket, token: string, ledger: Ledger): void {
  socket.on('message', (bytes, { address, port }) => {
    const id = bytes.subarray(0, ID_CHARACTERS).toString('latin1')
    if (!isIdOf(token, id)) return
    ledger.note(id, 'datagrams', { hash: hashOf(bytes), from: { address, port } })
    socket.send(bytes, port, address)
  })
}

function helloOf(bytes: Buffer): Arrived['hello'] {
  const hello = attempt(() => dissectClientHello(bytes))
  if (hello === undefined) return null
  const random = Buffer.from(hello.random).toString('hex')
  return { random, ja4: ja4(hello), serverName: hello.serverName ?? null }
}

function pairsOf(raw: readonly string[]): Array<[string, string]> {
  return raw.flatMap((name, index) =>
    index % 2 === 0 ? [[name, raw[index + 1] ?? ''] as [string, string]] : [],
  )
}

function peerOf({ remoteAddress = '', remotePort = 0 }: Socket): string {
  return `${remoteAddress} ${remotePort}`
}

function sourceOf({ remoteAddress = '', remotePort = 0 }: Socket): Arrived['from'] {
  return { address: withoutMapping(remoteAddress), port: remotePort }
}

function withoutMapping(address: string): string {
  return address.replace(/^::ffff:/, '')
}

const ignore = (): void => {}
