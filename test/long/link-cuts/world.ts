// A client and a gateway, each in its namespace, with traffic between them and a capture of what leaves the client.
// Rule: everything that is told carries the machine's one clock, so that what each process says can be put in order.
import type { ChildProcess } from 'node:child_process'
import path from 'node:path'
import {
  Lines,
  serve,
  sightline,
  startSightline,
  type SightlineProcess,
} from '../../support/gateway-process.ts'
import { start } from '../../support/programs.ts'
import { tempDir, type TempDir } from '../../support/temp-dir.ts'
import { CLIENT, GATEWAY, Network, ORIGIN } from './network.ts'

const PORT = 8443
const ORIGIN_PORT = 9000

export interface StreamReport {
  readonly kind: 'download' | 'upload' | 'echo' | 'idle'
  readonly ending: 'end' | 'reset' | 'closed' | 'stopped'
  readonly bytes: number
  readonly whole: boolean
  /** What came is the beginning of what was to come. */
  readonly good: boolean
  readonly startedMs: number
  readonly lastMs: number
  readonly endedMs: number
}

export interface RequestReport {
  readonly protocol: string
  readonly result: string
  readonly startedMs: number
  readonly endedMs: number
}

export interface UploadReport {
  readonly bytes: number
  readonly good: boolean
  readonly ending: string
  readonly atMs: number
}

export class World implements AsyncDisposable {
  readonly network: Network
  readonly client: SightlineProcess
  gateway: SightlineProcess
  readonly streams: StreamReport[] = []
  readonly requests: RequestReport[] = []
  readonly uploads: UploadReport[] = []
  readonly idle: string[] = []
  /** What left the client's machine for anywhere but the gateway's port. */
  readonly strays: readonly string[]
  #directory: TempDir
  #children: ChildProcess[]
  #traffic: ChildProcess

  private constructor(parts: {
    network: Network
    directory: TempDir
    gateway: SightlineProcess
    client: SightlineProcess
    capture: ChildProcess
    origin: ChildProcess
    traffic: ChildProcess
  }) {
    this.network = parts.network
    this.gateway = parts.gateway
    this.client = parts.client
    this.#directory = parts.directory
    this.#traffic = parts.traffic
    this.#children = [parts.traffic, parts.origin, parts.capture]
    this.strays = new Lines(parts.capture.stdout).all
    eachLine(parts.origin, (line) => this.uploads.push(JSON.parse(line) as UploadReport))
    eachLine(parts.traffic, (line) => {
      const { event, ...report } = JSON.parse(line) as { event: string }
      if (event === 'stream') this.streams.push(report as unknown as StreamReport)
      else if (event === 'request') this.requests.push(report as unknown as RequestReport)
      else this.idle.push((report as unknown as { state: string }).state)
    })
  }

  static async make(): Promise<World> {
    const network = await Network.make()
    const directory = await tempDir()
    await makeClientPki(directory, GATEWAY)
    const origin = within(network, network.gateway, [
      process.execPath,
      script('origin.ts'),
      ORIGIN,
      `${ORIGIN_PORT}`,
    ])
    await new Lines(origin.stdout).line(/listening/)
    const gateway = await serveGateway(network, directory)
    const capture = within(network, network.client, [
      ...['tcpdump', '-i', 'any', '-Q', 'out', '-n', '-l', '--immediate-mode'],
      `not arp and not net 127.0.0.0/8 and not dst host ${CLIENT} and not (dst host ${GATEWAY} and tcp dst port ${PORT})`,
    ])
    await new Lines(capture.stderr).line(/listening on/)
    const client = await startSightline(
      [
        ...['connect', `wss://${GATEWAY}:${PORT}/tunnel`, '--listen', '127.0.0.1:0'],
        ...['--certificate', directory.file('alice.crt'), '--key', directory.file('alice.key')],
        ...['--authority', directory.file('ca.crt')],
      ],
      network.within(network.client),
    )
    const traffic = within(network, network.client, [
      ...[process.execPath, script('traffic.ts'), `${client.port('client')}`, ORIGIN, `${ORIGIN_PORT}`],
    ])
    return new World({ network, directory, gateway, client, capture, origin, traffic })
  }

  poke(): void {
    this.#traffic.stdin?.write('poke\n')
  }

  /** Ends the traffic, and waits until all has been told. */
  async stop(): Promise<void> {
    const exited = new Promise((resolve) => this.#traffic.once('close', resolve))
    this.#traffic.stdin?.write('stop\n')
    await exited
  }

  async restartGateway(): Promise<void> {
    await this.gateway.exited
    this.gateway = await serveGateway(this.network, this.#directory)
  }

  /** Goes past the tunnel on purpose; the capture has to see it. */
  async leak(): Promise<void> {
    const child = within(this.network, this.network.client, [
      'curl',
      '-s',
      '-m',
      '2',
      `http://${ORIGIN}:${ORIGIN_PORT}/0`,
    ])
    await new Promise((resolve) => child.once('close', resolve))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) child.kill('SIGKILL')
    this.gateway.kill('SIGCONT')
    await this.client[Symbol.asyncDispose]()
    await this.gateway[Symbol.asyncDispose]()
    await this.network[Symbol.asyncDispose]()
    await this.#directory[Symbol.asyncDispose]()
  }
}

function script(name: string): string {
  return path.join(import.meta.dirname, name)
}

function within(network: Network, namespace: string, words: readonly string[]): ChildProcess {
  const [program = '', ...rest] = [...network.within(namespace), ...words]
  return start(program, rest)
}

function eachLine(child: ChildProcess, take: (line: string) => void): void {
  let rest = ''
  child.stdout?.setEncoding('utf8')
  child.stdout?.on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) take(line)
  })
}

/** An authority, `gateway` for `host`, and the client `alice`, with the commands that a person would use. */
export async function makeClientPki(directory: TempDir, host: string): Promise<void> {
  for (const words of [
    ['init'],
    ['issue', 'gateway', '--server', '--host', host],
    ['issue', 'alice', '--client'],
  ]) {
    const { code, stderr } = await sightline(['pki', ...words, '--dir', directory.path])
    if (code !== 0) throw new Error(stderr)
  }
}

function serveGateway(network: Network, directory: TempDir): Promise<SightlineProcess> {
  const tls = {
    certificate: directory.file('gateway.crt'),
    key: directory.file('gateway.key'),
    clientAuthority: directory.file('ca.crt'),
    revocationList: directory.file('ca.crl'),
  }
  return serve(
    directory.file('gateway.json'),
    {
      inbounds: [{ type: 'tunnel', listen: `${GATEWAY}:${PORT}`, tls }],
      egress: { allow: [`${ORIGIN}/32`] },
      log: { level: 'silent' },
    },
    network.within(network.gateway),
  )
}
