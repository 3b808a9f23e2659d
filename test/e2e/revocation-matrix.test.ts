// Revocation acts at four points: a new connection, a resumed TLS session, a new stream on an open tunnel, a live stream.
// Each is tried with session tickets and without, and with a list that the gateway reads by itself and one that it reads
// on SIGHUP only. Every case has a client and an end of its own, so that a check that is missing at one point is missed
// there, whatever the others do.
import { readFile } from 'node:fs/promises'
import type { TLSSocket } from 'node:tls'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { errorCodeFromMux } from '../../src/errors.ts'
import { ensureDevelopmentPki, issue, revoke } from '../../src/pki/store.ts'
import { decodeFrame, encodeFrame, SUBPROTOCOL, type Frame } from '../../src/protocol/mux/frame.ts'
import { eventually } from '../support/eventually.ts'
import { get, serve, type SightlineProcess } from '../support/gateway-process.ts'
import { sum } from '../support/metrics.ts'
import { LOOPBACK_EGRESS } from '../support/stacks.ts'
import { tempDir, type TempDir } from '../support/temp-dir.ts'
import { UPGRADE } from '../support/tunnel-peer.ts'
import { startRawOrigin, Wire, type RawOrigin } from '../support/wire.ts'

const TRIGGERS = ['file watch', 'SIGHUP'] as const
type Trigger = (typeof TRIGGERS)[number]
const WITHIN_MS = 2_000
const REFUSED = /^HTTP\/1\.1 403 .*\r\nsightline-error: certificate-revoked\r\n/s

let pki: TempDir
let origin: RawOrigin
const gateways = new Map<Trigger, SightlineProcess>()

beforeAll(async () => {
  pki = await tempDir()
  await ensureDevelopmentPki(pki.path)
  origin = await startRawOrigin()
  const tls = {
    certificate: pki.file('gateway.crt'),
    key: pki.file('gateway.key'),
    clientAuthority: pki.file('ca.crt'),
    revocationList: pki.file('ca.crl'),
  }
  await Promise.all(
    TRIGGERS.map(async (trigger) => {
      const gateway = await serve(pki.file(`${trigger}.json`), {
        inbounds: [true, false].map((sessionTickets) => ({
          type: 'tunnel',
          listen: '127.0.0.1:0',
          tls: { ...tls, sessionTickets },
        })),
        egress: LOOPBACK_EGRESS,
        watchFiles: trigger === 'file watch',
      })
      gateways.set(trigger, gateway)
    }),
  )
})
afterAll(async () => {
  for (const gateway of gateways.values()) await gateway[Symbol.asyncDispose]()
  await origin[Symbol.asyncDispose]()
  await pki[Symbol.asyncDispose]()
})

const CASES = TRIGGERS.flatMap((trigger) => [true, false].map((tickets) => ({ trigger, tickets })))

describe.each(CASES)('a revoked client, by $trigger, session tickets: $tickets', ({ trigger, tickets }) => {
  const suspect = (point: string): Promise<Suspect> =>
    Suspect.issue(`${point}-${trigger[0]}-${tickets}`, trigger, tickets)

  it('is refused on a new connection', async () => {
    const mallory = await suspect('connection')
    using before = await mallory.reach()
    before.send(UPGRADE)
    await before.untilText(' 101 ')
    await mallory.revoked()
    using after = await mallory.reach()
    await after.ended()
    expect((after.socket as TLSSocket).isSessionReused()).toBe(false)
    expect(after.text).toMatch(REFUSED)
  })

  it('is refused on a resumed TLS session', async () => {
    const mallory = await suspect('resumed')
    using first = await mallory.reach()
    const ticket = new Promise<Buffer>((resolve) => first.socket.once('session', resolve))
    first.send(UPGRADE)
    await first.untilText(' 101 ')
    const session = await ticket
    using second = await mallory.reach(session)
    second.send(UPGRADE)
    await second.untilText(' 101 ')
    expect((second.socket as TLSSocket).isSessionReused()).toBe(tickets)
    await mallory.revoked()
    using after = await mallory.reach(session)
    await after.ended()
    expect((after.socket as TLSSocket).isSessionReused()).toBe(tickets)
    expect(after.text).toMatch(REFUSED)
  })

  // The session that was being set up while the list was read: its connection was let in before, its tunnel is open after.
  it('is refused a new stream on an open tunnel', async () => {
    const mallory = await suspect('stream')
    using wire = await mallory.reach()
    await mallory.revoked()
    using tunnel = await Tunnel.open(wire)
    tunnel.open(origin.port)
    const frame = await tunnel.next()
    expect(frame).toMatchObject({ type: 'refused', reference: expect.stringMatching(/^[0-9a-f]{12}$/) })
    expect(frame.type === 'refused' && errorCodeFromMux(frame.error)).toBe('certificate-revoked')
  })

  it('loses a live stream within 2 s, and is told why', async () => {
    const mallory = await suspect('live')
    using wire = await mallory.reach()
    using tunnel = await Tunnel.open(wire)
    const known = origin.wires.length
    tunnel.open(origin.port)
    expect((await tunnel.next()).type).toBe('opened')
    const atOrigin = await origin.wire(known)
    const startedMs = performance.now()
    await mallory.revokeOnly()
    const frame = await tunnel.next()
    expect(frame.type === 'goaway' && errorCodeFromMux(frame.error)).toBe('certificate-revoked')
    expect(await atOrigin.ended()).toBe('reset')
    expect(performance.now() - startedMs).toBeLessThan(WITHIN_MS)
    await wire.ended()
  })
})

interface Credentials {
  readonly ca: string
  readonly cert: string
  readonly key: string
}

/** A client that is about to be revoked, and the gateway that is to notice. */
class Suspect {
  #name: string
  #gateway: SightlineProcess
  #trigger: Trigger
  #port: number
  #files: Credentials

  private constructor(name: string, trigger: Trigger, tickets: boolean, files: Credentials) {
    const gateway = gateways.get(trigger)
    if (gateway === undefined) throw new Error('no gateway')
    this.#name = name
    this.#gateway = gateway
    this.#trigger = trigger
    this.#port = gateway.addresses.filter((one) => one.name === 'tunnel')[tickets ? 0 : 1]?.port ?? 0
    this.#files = files
  }

  static async issue(name: string, trigger: Trigger, tickets: boolean): Promise<Suspect> {
    await issue(pki.path, name, { kind: 'client', hosts: [] })
    const [ca = '', cert = '', key = ''] = await Promise.all(
      ['ca.crt', `${name}.crt`, `${name}.key`].map((file) => readFile(pki.file(file), 'utf8')),
    )
    return new Suspect(name, trigger, tickets, { ca, cert, key })
  }

  /** Finishes the TLS handshake. */
  reach(session?: Buffer): Promise<Wire> {
    return Wire.connectTls(this.#port, { ...this.#files, ...(session && { session }) })
  }

  async revokeOnly(): Promise<void> {
    await revoke(pki.path, this.#name)
    if (this.#trigger === 'SIGHUP') this.#gateway.kill('SIGHUP')
  }

  /** Revokes, and waits until the gateway says that it has read the list since. */
  async revoked(): Promise<void> {
    const before = await this.#reloads()
    await this.revokeOnly()
    await eventually(async () => expect(await this.#reloads()).toBeGreaterThan(before))
  }

  async #reloads(): Promise<number> {
    const { body } = await get(this.#gateway.port('admin'), '/metrics')
    return this.#trigger === 'SIGHUP'
      ? sum(body, 'sightline_reloads_total', { outcome: 'ok' })
      : sum(body, 'sightline_file_reloads_total', { part: 'client-authority', outcome: 'ok' })
  }
}

/** A tunnel client by hand: frames in and out, and nothing of our own client's good manners. */
class Tunnel implements Disposable {
  #webSocket: WebSocket
  #frames: Frame[] = []
  #waiting: Array<(frame: Frame) => void> = []

  private constructor(webSocket: WebSocket) {
    this.#webSocket = webSocket
    webSocket.on('error', () => {})
    webSocket.on('message', (data: Buffer) => {
      const frame = decodeFrame(data)
      if (frame.type === 'credit') return
      const waiting = this.#waiting.shift()
      if (waiting === undefined) this.#frames.push(frame)
      else waiting(frame)
    })
  }

  static open(wire: Wire): Promise<Tunnel> {
    const webSocket = new WebSocket('ws://localhost/tunnel', SUBPROTOCOL, {
      createConnection: () => wire.socket,
      perMessageDeflate: false,
    })
    const tunnel = new Tunnel(webSocket)
    return new Promise((resolve, reject) => {
      webSocket.once('open', () => resolve(tunnel))
      webSocket.once('error', reject)
    })
  }

  open(port: number): void {
    const destination = { host: '127.0.0.1', port }
    this.#webSocket.send(encodeFrame({ type: 'open', stream: 1, kind: 'tcp', destination }))
  }

  next(): Promise<Frame> {
    const frame = this.#frames.shift()
    return frame === undefined
      ? new Promise((resolve) => this.#waiting.push(resolve))
      : Promise.resolve(frame)
  }

  [Symbol.dispose](): void {
    this.#webSocket.terminate()
  }
}
