// Reloading: a config that is not good changes nothing; one that is good applies to the next request, and what it
// revokes ends at once.
import { copyFile, readFile, rm, writeFile } from 'node:fs/promises'
import { beforeAll, describe, expect, it } from 'vitest'
import { configSchema, type ConfigInput } from '../../src/config/schema.ts'
import { GatewayError } from '../../src/errors.ts'
import { Gateway } from '../../src/gateway/gateway.ts'
import { hashPassword } from '../../src/gateway/users.ts'
import { Metrics } from '../../src/telemetry/metrics.ts'
import { eventually } from '../support/eventually.ts'
import { samples, sum } from '../support/metrics.ts'
import { makeTestPki, type TestPki } from '../support/pki.ts'
import { everyInbound, LOOPBACK_EGRESS, startStack, writePki, type Stack } from '../support/stacks.ts'
import { tempDir, type TempDir } from '../support/temp-dir.ts'
import { connectHead, open, WAYS } from '../support/through.ts'
import { startRawOrigin, Wire } from '../support/wire.ts'

let pki: TestPki
beforeAll(async () => {
  pki = await makeTestPki()
})

interface Reloadable extends AsyncDisposable {
  readonly gateway: Gateway
  readonly dir: TempDir
  readonly port: number
  /** Reloads with these changes; gives the code of what was wrong. */
  reload(changes?: Partial<ConfigInput>): Promise<string>
  metrics(): Promise<string>
}

async function start(options: { clientAuthority?: boolean } = {}): Promise<Reloadable> {
  const dir = await tempDir()
  await writePki(dir, pki)
  await writeFile(dir.file('users'), `alice:${await hashPassword('sesame')}\n`)
  const inbounds = everyInbound(dir, dir.file('users'))
  const trust = { clientAuthority: dir.file('ca.crt'), revocationList: dir.file('ca.crl') }
  const https = inbounds[2]
  if (options.clientAuthority === true && https?.tls !== undefined)
    inbounds[2] = { ...https, tls: { ...https.tls, ...trust }, auth: undefined }
  const config: ConfigInput = { inbounds, egress: LOOPBACK_EGRESS }
  const metrics = new Metrics('test')
  const gateway = await Gateway.start({ config: configSchema.parse(config), observer: metrics.observer })
  return {
    gateway,
    dir,
    port: gateway.addresses[0]?.address.port ?? 0,
    reload: async (changes = {}) => {
      try {
        await gateway.reload(configSchema.parse({ ...config, ...changes }))
        return 'ok'
      } catch (thrown) {
        return thrown instanceof GatewayError ? thrown.code : String(thrown)
      }
    },
    metrics: () => metrics.registry.metrics(),
    [Symbol.asyncDispose]: async () => {
      gateway.destroy()
      await dir[Symbol.asyncDispose]()
    },
  }
}

/** The status of a CONNECT with this user. */
async function connect(port: number, target: number, user = 'alice', password = 'sesame'): Promise<number> {
  using wire = await Wire.connect(port)
  const credentials = Buffer.from(`${user}:${password}`).toString('base64')
  wire.send(
    `CONNECT 127.0.0.1:${target} HTTP/1.1\r\nHost: x\r\nProxy-Authorization: Basic ${credentials}\r\n\r\n`,
  )
  await wire.untilText('\r\n\r\n')
  return Number(wire.text.split(' ')[1])
}

describe('a reload', () => {
  it('uses a new users file from the next request on', async () => {
    await using origin = await startRawOrigin()
    await using running = await start()
    expect(await connect(running.port, origin.port)).toBe(200)
    await writeFile(running.dir.file('users'), `bob:${await hashPassword('other')}\n`)
    expect(await connect(running.port, origin.port, 'bob', 'other')).toBe(407)
    expect(await running.reload()).toBe('ok')
    expect(await connect(running.port, origin.port, 'bob', 'other')).toBe(200)
    expect(await connect(running.port, origin.port)).toBe(407)
    expect(sum(await running.metrics(), 'sightline_reloads_total', { outcome: 'ok' })).toBe(1)
  })

  it('uses new egress rules from the next request on', async () => {
    await using origin = await startRawOrigin()
    await using running = await start()
    expect(await running.reload({ egress: { deny: ['127.0.0.0/8'] } })).toBe('ok')
    expect(await connect(running.port, origin.port)).toBe(403)
    expect(await running.reload()).toBe('ok')
    expect(await connect(running.port, origin.port)).toBe(200)
  })

  const NEW_RULES = { egress: { allow: [], deny: ['127.0.0.0/8'] } }
  it.each([
    ['an egress rule that is none', 'config-invalid', async () => {}, { egress: { allow: ['300.0.0.0/8'] } }],
    ['a users file that is gone', 'file-unusable', (dir: TempDir) => rm(dir.file('users')), NEW_RULES],
    [
      'a users file that is none',
      'config-invalid',
      (dir: TempDir) => writeFile(dir.file('users'), 'alice:sesame\n'),
      NEW_RULES,
    ],
    ['a key that is gone', 'file-unusable', (dir: TempDir) => rm(dir.file('gateway.key')), NEW_RULES],
    [
      'an authority that is none',
      'pki-invalid',
      (dir: TempDir) => writeFile(dir.file('ca.crt'), 'what is this'),
      NEW_RULES,
    ],
    [
      'a revocation list that is none',
      'pki-invalid',
      (dir: TempDir) => writeFile(dir.file('ca.crl'), 'what is this'),
      NEW_RULES,
    ],
    [
      'a revocation list that is empty',
      'pki-invalid',
      (dir: TempDir) => writeFile(dir.file('ca.crl'), ''),
      NEW_RULES,
    ],
    [
      'a key of another certificate',
      'pki-invalid',
      async (dir: TempDir) => writeFile(dir.file('gateway.key'), await readFile(dir.file('client.key'))),
      NEW_RULES,
    ],
  ] as ReadonlyArray<readonly [string, string, (dir: TempDir) => Promise<void>, Partial<ConfigInput>]>)(
    'with %s changes nothing and says %s',
    async (_name, code, spoil, changes) => {
      await using origin = await startRawOrigin()
      await using running = await start()
      await spoil(running.dir)
      expect(await running.reload(changes)).toBe(code)
      expect(await connect(running.port, origin.port)).toBe(200)
      expect(sum(await running.metrics(), 'sightline_reloads_total', { outcome: code })).toBe(1)
      using https = await Wire.connectTls(running.gateway.addresses[2]?.address.port ?? 0, {
        ca: pki.authority.certificate,
      })
      expect(https.socket.destroyed).toBe(false)
    },
  )
})

describe('a certificate that a reload revokes', () => {
  const way = WAYS.find(({ name }) => name === 'tunnel by HTTP')
  const config = (stack: Stack): ConfigInput => ({
    inbounds: everyInbound(stack.pki),
    egress: LOOPBACK_EGRESS,
  })

  it('ends its live session and every stream of it, and is not let in again', async () => {
    await using origin = await startRawOrigin()
    await using stack = await startStack({ pki })
    using wire = await open(stack, way!, '127.0.0.1', origin.port)
    wire.send('a transfer')
    await (await origin.wire()).untilText('a transfer')
    await writeFile(stack.pki.file('ca.crl'), await pki.revoke(pki.client))
    await stack.gateway.reload(configSchema.parse(config(stack)))
    expect(await wire.ended()).toBe('reset')
    expect(await (await origin.wire()).ended()).toBe('reset')
    await eventually(async () => {
      const metrics = await stack.gatewayMetrics()
      expect(sum(metrics, 'sightline_tunnel_sessions')).toBe(0)
      expect(sum(metrics, 'sightline_tunnel_sessions_closed_total', { code: 'certificate-revoked' })).toBe(1)
    })
    await expect(open(stack, way!, '127.0.0.1', origin.port)).rejects.toThrow('refused with 403')
    expect(origin.wires.length).toBe(1)
  })

  it.each([
    ['a list', { revocationList: 'next.crl' }, 'certificate-revoked'],
    ['a list that is changed later', { revocationList: 'later.crl' }, 'certificate-revoked'],
    ['an authority', { clientAuthority: 'other.crt', revocationList: undefined }, 'certificate-untrusted'],
  ])('ends it too where the config names %s in another file', async (_what, named, code) => {
    await using origin = await startRawOrigin()
    await using stack = await startStack({ pki })
    using wire = await open(stack, way!, '127.0.0.1', origin.port)
    const inbounds = everyInbound(stack.pki)
    const reload = (changes: object): Promise<void> =>
      stack.gateway.reload(
        configSchema.parse({
          inbounds: inbounds.map((one) => (one.type === 'tunnel' ? { ...one, ...changes } : one)),
          egress: LOOPBACK_EGRESS,
        }),
      )
    // Its listener has had two others since it came.
    for (const cidr of ['127.0.0.0/8', '127.0.0.1/32']) await reload({ auth: { sources: [cidr] } })
    const revoked = await pki.revoke(pki.client)
    await copyFile(stack.pki.file('ca.crl'), stack.pki.file('later.crl'))
    await writeFile(stack.pki.file('next.crl'), revoked)
    await writeFile(stack.pki.file('other.crt'), pki.otherAuthority.certificate)
    wire.send('unharmed')
    await (await origin.wire()).untilText('unharmed')
    const files = Object.entries(named).map(([name, file]) => [name, file && stack.pki.file(file)])
    const tls = inbounds.find(({ type }) => type === 'tunnel')?.tls
    await reload({ tls: { ...tls, ...Object.fromEntries(files) } })
    await writeFile(stack.pki.file('later.crl'), revoked)
    expect(await wire.ended()).toBe('reset')
    await eventually(async () => {
      const closed = samples(await stack.gatewayMetrics(), 'sightline_tunnel_sessions_closed_total', { code })
      expect(closed.length).toBe(1)
    })
  })

  it('ends the connections to an encrypted proxy that it opened', async () => {
    await using origin = await startRawOrigin()
    await using running = await start({ clientAuthority: true })
    const port = running.gateway.addresses[2]?.address.port ?? 0
    const { certificate: cert, key } = pki.client
    const reach = (): Promise<Wire> => Wire.connectTls(port, { ca: pki.authority.certificate, cert, key })
    using live = await reach()
    live.send(connectHead('127.0.0.1', origin.port))
    await live.untilText('\r\n\r\n')
    using idle = await reach()
    await writeFile(running.dir.file('ca.crl'), await pki.revoke(pki.client))
    expect(await running.reload()).toBe('ok')
    expect(await live.ended()).toBe('reset')
    expect(await (await origin.wire()).ended()).toBe('reset')
    expect(await idle.ended()).toBe('reset')
    using again = await reach()
    await again.ended()
    expect(again.text).toContain('sightline-error: certificate-revoked')
    const metrics = await running.metrics()
    expect(sum(metrics, 'sightline_refusals_total', { mode: 'https-proxy' })).toBe(3)
  })

  it("is none of the others' business", async () => {
    await using origin = await startRawOrigin()
    await using stack = await startStack({ pki })
    using wire = await open(stack, way!, '127.0.0.1', origin.port)
    await writeFile(stack.pki.file('ca.crl'), await pki.revoke(pki.expired))
    await stack.gateway.reload(configSchema.parse(config(stack)))
    wire.send('unharmed')
    await (await origin.wire()).untilText('unharmed')
    expect(sum(await stack.gatewayMetrics(), 'sightline_tunnel_sessions')).toBe(1)
  })
})

describe('a user who is removed', () => {
  it.each([
    ['is gone', 'a reload', ''],
    ['is gone', 'a change of the file', ''],
    ['has another password', 'a change of the file', 'new'],
  ] as const)('(%s, by %s) loses what is open, and others do not', async (_how, trigger, password) => {
    await using origin = await startRawOrigin()
    await using running = await start()
    const bobs = `bob:${await hashPassword('his')}\n`
    await writeFile(running.dir.file('users'), `alice:${await hashPassword('sesame')}\n${bobs}`)
    expect(await running.reload()).toBe('ok')
    using alice = await signedIn(running.port, origin.port, 'alice', 'sesame')
    using bob = await signedIn(running.port, origin.port, 'bob', 'his')
    const alices = password === '' ? '' : `alice:${await hashPassword(password)}\n`
    await writeFile(running.dir.file('users'), alices + bobs)
    if (trigger === 'a reload') expect(await running.reload()).toBe('ok')
    expect(await alice.ended()).toBe('reset')
    expect(await (await origin.wire(0)).ended()).toBe('reset')
    bob.send('still here')
    await (await origin.wire(1)).untilText('still here')
    const metrics = await running.metrics()
    expect(sum(metrics, 'sightline_streams_total', { mode: 'http-proxy', outcome: 'user-removed' })).toBe(1)
    expect(await connect(running.port, origin.port)).toBe(407)
  })

  it('loses what is open where the config names another file too, now or when that is changed', async () => {
    await using origin = await startRawOrigin()
    await using running = await start()
    const lineOf = async (name: string): Promise<string> => `${name}:${await hashPassword(name)}\n`
    const alices = await lineOf('alice')
    const bobs = await lineOf('bob')
    const carols = await lineOf('carol')
    await writeFile(running.dir.file('users'), `${alices}${bobs}${carols}`)
    expect(await running.reload()).toBe('ok')
    using alice = await signedIn(running.port, origin.port, 'alice', 'alice')
    using bob = await signedIn(running.port, origin.port, 'bob', 'bob')
    using carol = await signedIn(running.port, origin.port, 'carol', 'carol')
    const next = running.dir.file('next')
    await writeFile(next, `${bobs}${carols}`)
    expect(await running.reload({ inbounds: everyInbound(running.dir, next) })).toBe('ok')
    expect(await alice.ended()).toBe('reset')
    expect(bob.ending).toBe(undefined)
    await writeFile(next, carols)
    expect(await bob.ended()).toBe('reset')
    carol.send('still here')
    await (await origin.wire(2)).untilText('still here')
  })
})

async function signedIn(port: number, target: number, user: string, password: string): Promise<Wire> {
  const wire = await Wire.connect(port)
  const credentials = Buffer.from(`${user}:${password}`).toString('base64')
  wire.send(
    `CONNECT 127.0.0.1:${target} HTTP/1.1\r\nHost: x\r\nProxy-Authorization: Basic ${credentials}\r\n\r\n`,
  )
  await wire.untilText(' 200 ')
  return wire
}
