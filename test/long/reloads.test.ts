// 50 reloads under 200 requests a second: gateway certificate, authority and revocation list in turn, half of them by
// SIGHUP and half by the files alone. Not one request fails: not those on the open tunnel, nor those that come with a TLS
// handshake of their own, to the encrypted proxy and to the tunnel.
import { copyFile, readFile, rename, writeFile } from 'node:fs/promises'
import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createAuthority } from '../../src/pki/authority.ts'
import { ensureDevelopmentPki, issue, refreshRevocationList, renew, revoke } from '../../src/pki/store.ts'
import { eventually } from '../support/eventually.ts'
import { get, serve, startSightline, type SightlineProcess } from '../support/gateway-process.ts'
import { sum } from '../support/metrics.ts'
import { startOrigin, type Origin } from '../support/origin.ts'
import { everyInbound, LOOPBACK_EGRESS } from '../support/stacks.ts'
import { tempDir, type TempDir } from '../support/temp-dir.ts'
import { connectHead } from '../support/through.ts'
import { UPGRADE } from '../support/tunnel-peer.ts'
import { Wire } from '../support/wire.ts'

const RELOADS = 50
const PER_SECOND = 200
const REQUEST_MS = 5_000

let pki: TempDir
let origin: Origin
let gateway: SightlineProcess
let client: SightlineProcess
beforeAll(async () => {
  pki = await tempDir()
  await ensureDevelopmentPki(pki.path)
  await copyFile(pki.file('ca.crt'), pki.file('trust.crt'))
  origin = await startOrigin()
  const inbounds = (everyInbound(pki) ?? []).map((inbound) =>
    inbound.tls?.clientAuthority === undefined
      ? inbound
      : { ...inbound, tls: { ...inbound.tls, clientAuthority: pki.file('trust.crt') } },
  )
  gateway = await serve(pki.file('gateway.json'), {
    inbounds,
    egress: LOOPBACK_EGRESS,
    log: { level: 'warn' },
  })
  client = await startSightline([
    ...['connect', `wss://localhost:${gateway.port('tunnel')}/tunnel`, '--listen', '127.0.0.1:0'],
    ...[
      '--certificate',
      pki.file('client.crt'),
      '--key',
      pki.file('client.key'),
      '--authority',
      pki.file('ca.crt'),
    ],
  ])
})
afterAll(async () => {
  await client[Symbol.asyncDispose]()
  await gateway[Symbol.asyncDispose]()
  await origin.close()
  await pki[Symbol.asyncDispose]()
})

interface Credentials {
  readonly ca: string
  readonly cert: string
  readonly key: string
}

/** Each rejects where the answer is not the right one. */
const REQUESTS: Readonly<Record<string, (credentials: Credentials) => Promise<void>>> = {
  'a stream of the open tunnel': async () => {
    using wire = await Wire.connect(client.port('client'))
    await download(wire)
  },
  'a new connection to the encrypted proxy': async ({ ca }) => {
    using wire = await Wire.connectTls(gateway.port('https'), { ca })
    await download(wire)
  },
  'a new tunnel': async (credentials) => {
    using wire = await Wire.connectTls(gateway.port('tunnel'), credentials)
    wire.send(UPGRADE)
    await wire.untilText(' 101 ')
  },
}

async function download(wire: Wire): Promise<void> {
  wire.send(connectHead('127.0.0.1', origin.port))
  await wire.untilText('HTTP/1.1 200 ')
  wire.send('GET /bytes/1000 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
  await wire.until((received) => received.length > 1_200 || wire.ending === 'end', 'the answer')
  if (!wire.text.includes('\r\ncontent-length: 1000\r\n') && !/content-length: 1000/i.test(wire.text))
    throw new Error(`came: ${wire.text.slice(0, 200)}`)
}

/** Asks at a steady rate, whatever becomes of the answers, until `stop`; gives what became of them. */
class Load {
  readonly failures: string[] = []
  readonly tookMs: number[] = []
  #credentials: Credentials
  #open = new Set<Promise<void>>()
  #startedMs = performance.now()
  #asked = 0
  #timer: NodeJS.Timeout

  constructor(credentials: Credentials) {
    this.#credentials = credentials
    this.#timer = setInterval(() => this.#catchUp(), 5)
  }

  get perSecond(): number {
    return (this.#asked / (performance.now() - this.#startedMs)) * 1000
  }

  #catchUp(): void {
    const due = ((performance.now() - this.#startedMs) / 1000) * PER_SECOND
    while (this.#asked < due) this.#ask()
  }

  #ask(): void {
    const kinds = Object.keys(REQUESTS)
    // Of eight: five on the tunnel, two by TLS, one a tunnel.
    const kind = kinds[[0, 1, 0, 2, 0, 1, 0, 0][this.#asked % 8] ?? 0] ?? ''
    this.#asked += 1
    const startedMs = performance.now()
    const timeout = wait(REQUEST_MS, undefined, { ref: false }).then(() => {
      throw new Error('no answer in time')
    })
    const asked = Promise.race([REQUESTS[kind]?.(this.#credentials) ?? Promise.resolve(), timeout])
      .then(() => void this.tookMs.push(performance.now() - startedMs))
      .catch((error: Error) => void this.failures.push(`${kind}: ${error.message}`))
      .finally(() => this.#open.delete(asked))
    this.#open.add(asked)
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    await Promise.all(this.#open)
  }
}

/** What changes in turn; each leaves whole files only. */
async function change(round: number): Promise<void> {
  if (round % 3 === 0) {
    await renew(pki.path, 'gateway')
  } else if (round % 3 === 1) {
    const other = (await createAuthority({ now: new Date() })).pem.certificate
    await writeFile(
      pki.file('next'),
      `${round % 2 === 0 ? other : ''}${await readFile(pki.file('ca.crt'), 'utf8')}`,
    )
    await rename(pki.file('next'), pki.file('trust.crt'))
  } else if (round % 2 === 0) {
    await refreshRevocationList(pki.path)
  } else {
    await issue(pki.path, `mallory-${round}`, { kind: 'client', hosts: [] })
    await revoke(pki.path, `mallory-${round}`)
  }
}

const reloads = async (name: string): Promise<number> =>
  sum((await get(gateway.port('admin'), '/metrics')).body, name, { outcome: 'ok' })

describe('50 reloads of certificates, authority and list', () => {
  it('under 200 requests a second fail not one of them', async () => {
    const [ca = '', cert = '', key = ''] = await Promise.all(
      ['ca.crt', 'client.crt', 'client.key'].map((file) => readFile(pki.file(file), 'utf8')),
    )
    const load = new Load({ ca, cert, key })
    for (let round = 0; round < RELOADS; round++) {
      const bySignal = round % 2 === 0
      const name = bySignal ? 'sightline_reloads_total' : 'sightline_file_reloads_total'
      const before = await reloads(name)
      await change(round)
      if (bySignal) gateway.kill('SIGHUP')
      await eventually(async () => expect(await reloads(name)).toBeGreaterThan(before))
    }
    const { perSecond } = load
    await load.stop()
    const sorted = load.tookMs.toSorted((one, other) => one - other)
    const at = (share: number): string => `${(sorted[Math.floor(sorted.length * share)] ?? 0).toFixed(0)} ms`
    console.log(
      `${RELOADS} reloads, ${sorted.length} requests at ${perSecond.toFixed(0)} a second: ${load.failures.length} failed; ` +
        `median ${at(0.5)}, p99 ${at(0.99)}, longest ${at(0.9999)}`,
    )
    expect(load.failures.slice(0, 5)).toEqual([])
    expect(perSecond).toBeGreaterThan(PER_SECOND * 0.95)
    const { body } = await get(gateway.port('admin'), '/metrics')
    const refused = (await eventually(async () => body)).match(
      /^sightline_file_reloads_total\{.*outcome="(?!ok).*$/gm,
    )
    expect(refused).toBeNull()
  })
})
