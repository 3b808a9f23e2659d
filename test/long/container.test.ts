// The image, from a fresh clone to its last exit code: it builds, stays small, says what it lacks, runs without any
// privilege on a file system that it cannot write, carries curl through each proxy and a second container's client through its
// tunnel, and on a stop lets a download finish. The engine: docker or podman, or CONTAINER_TOOL (container/engine.ts).
import { createHash } from 'node:crypto'
import { chmod, chown, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ConfigInput } from '../../src/config/schema.ts'
import { ensureDevelopmentPki } from '../../src/pki/store.ts'
import { eventually } from '../support/eventually.ts'
import { run, start as startProgram, succeed } from '../support/programs.ts'
import { tempDir, type TempDir } from '../support/temp-dir.ts'
import {
  ask,
  build,
  ENGINE,
  engine,
  imageBytes,
  start,
  startNetwork,
  type Container,
} from './container/engine.ts'

const ROOT = path.join(import.meta.dirname, '../..')
const BASE = 'docker.io/library/node:24-bookworm-slim'
const MOST_BYTES_ABOVE_BASE = 60_000_000
/** What `docker stop` gives before it kills. */
const STOP_SECONDS = 10
const USER = 1000
const HARDENED = [
  '--read-only',
  '--cap-drop=ALL',
  '--user',
  String(USER),
  '--security-opt',
  'no-new-privileges',
]
const SITE_BYTES = 8_000_000
/** An origin, run by the image's own Node: a greeting, and a body of zeros for any other path. */
const SITE = `require('http').createServer((q, r) => r.end(q.url === '/' ? 'hello from the site' : Buffer.alloc(${SITE_BYTES}))).listen(8080)`

const EVERY_SOURCE = { sources: ['0.0.0.0/0'] }
const TLS = { certificate: 'certs/gateway.crt', key: 'certs/gateway.key' }
const GATEWAY: ConfigInput = {
  inbounds: [
    { type: 'http', listen: '0.0.0.0:3128', auth: EVERY_SOURCE },
    { type: 'socks', listen: '0.0.0.0:1080', auth: EVERY_SOURCE },
    { type: 'http', listen: '0.0.0.0:3129', tls: TLS, auth: EVERY_SOURCE },
    {
      type: 'tunnel',
      listen: '${SIGHTLINE_TUNNEL_LISTEN}',
      tls: { ...TLS, clientAuthority: 'certs/ca.crt', revocationList: 'certs/ca.crl' },
    },
  ],
  egress: { allow: ['10.0.0.0/8:8080', '172.16.0.0/12:8080', '192.168.0.0/16:8080'] },
  admin: { listen: '0.0.0.0:9901', allowFrom: ['0.0.0.0/0'] },
  usage: { store: '/var/lib/sightline/usage.db' },
  drainDelayMs: 1_000,
  drainTimeoutMs: 8_000,
}
const CLIENT: ConfigInput = {
  inbounds: [{ type: 'mixed', listen: '0.0.0.0:1081', auth: EVERY_SOURCE, outbound: 'gateway' }],
  outbounds: {
    gateway: {
      type: 'tunnel',
      url: 'wss://gateway:8443/tunnel',
      certificate: 'certs/client.crt',
      key: 'certs/client.key',
      authority: 'certs/ca.crt',
    },
  },
}

let work: TempDir
let image: string
let network: Awaited<ReturnType<typeof startNetwork>>
const containers: Container[] = []

/** A directory as a deployment mounts it: a config, and certificates that user 1000 can read. */
async function mounted(name: string, config: ConfigInput): Promise<string> {
  const directory = work.file(name)
  await mkdir(directory)
  await writeFile(path.join(directory, 'gateway.yaml'), JSON.stringify(config))
  return directory
}

async function curl(...args: readonly string[]): Promise<string> {
  const { stdout } = await succeed('curl', ['-sS', '--max-time', '20', ...args])
  return stdout.toString()
}

// Where there is no engine all of it is skipped, by this name; CI has none either, so its `no skips` does not hold for this file.
describe.skipIf(ENGINE === undefined)(
  `the image, with ${ENGINE} (needs docker or podman, curl)`,
  { timeout: 120_000 },
  () => {
    let gateway: Container
    let client: Container

    beforeAll(async () => {
      work = await tempDir()
      await succeed('git', ['clone', '--quiet', ROOT, work.file('clone')], { timeoutMs: 60_000 })
      image = await build('sightline-test', work.file('clone'))
      network = await startNetwork()
      const certificates = work.file('certs')
      await ensureDevelopmentPki(certificates, { hosts: ['gateway'] })
      for (const file of await readdir(certificates)) await chown(path.join(certificates, file), USER, USER)
      await chmod(certificates, 0o755)
      await chmod(work.path, 0o755)
      const certs = ['-v', `${certificates}:/etc/sightline/certs:ro`]
      const configured = async (name: string, config: ConfigInput): Promise<string[]> => [
        ...HARDENED,
        ...['-v', `${await mounted(name, config)}/gateway.yaml:/etc/sightline/gateway.yaml:ro`],
        ...certs,
      ]
      const publish = (...ports: number[]): string[] => ports.flatMap((port) => ['-p', `127.0.0.1::${port}`])
      containers.push(await start('site', network.name, ['--entrypoint', 'node', image], ['-e', SITE]))
      gateway = await start(
        'gateway',
        network.name,
        [
          ...(await configured('gateway', GATEWAY)),
          ...['-e', 'SIGHTLINE_TUNNEL_LISTEN=0.0.0.0:8443'],
          ...['-v', `${network.name}-usage:/var/lib/sightline`],
          ...publish(3128, 1080, 3129, 9901),
          image,
        ],
        [],
      )
      containers.push(gateway)
      client = await start(
        'client',
        network.name,
        [...(await configured('client', CLIENT)), ...publish(1081), image],
        [],
      )
      containers.push(client)
      for (const container of [gateway, client])
        await eventually(async () => expect(await container.logs()).toMatch(/^ready /m), 400)
    }, 660_000)

    afterAll(async () => {
      for (const container of containers.toReversed()) await container[Symbol.asyncDispose]()
      await network?.[Symbol.asyncDispose]()
      await engine('volume', 'rm', '-f', `${network.name}-usage`)
      if (image !== undefined) await engine('rmi', '-f', image)
      await work?.[Symbol.asyncDispose]()
    }, 120_000)

    it('is small above its base', async () => {
      const above = (await imageBytes(image)) - (await imageBytes(BASE))
      console.log(`image: ${(above / 1e6).toFixed(1)} MB above ${BASE}`)
      expect(above).toBeGreaterThan(1_000_000)
      expect(above).toBeLessThan(MOST_BYTES_ABOVE_BASE)
    })

    it('says of itself what OCI asks for, and has no compiler, source or key in it', async () => {
      const labels = JSON.parse(
        await ask('image', 'inspect', image, '--format', '{{json .Config.Labels}}'),
      ) as Record<string, string>
      const { version } = JSON.parse(await readFile(path.join(ROOT, 'package.json'), 'utf8')) as {
        version: string
      }
      expect(labels['org.opencontainers.image.version']).toBe(version)
      expect(labels['org.opencontainers.image.title']).toBe('sightline')
      const { stdout, code } = await gateway.exec(
        'node',
        '-e',
        "console.log(require('fs').readdirSync('/app').join(), require('fs').readdirSync('/app/node_modules').join())",
      )
      expect(code).toBe(0)
      expect(stdout.toString()).toMatch(/^LICENSE,dist,node_modules,package\.json /)
      expect(stdout.toString()).not.toMatch(/typescript|vitest/)
    })

    it('without certificates says what is missing and how to make it, and makes them only when asked', async () => {
      const without = await engine('run', '--rm', ...HARDENED, image)
      expect(without.code).toBe(1)
      expect(without.stderr).toMatch(
        /^error: missing: .*\/gateway\.crt.*\/ca\.crl; hint: .*sightline pki init.*SIGHTLINE_DEV_PKI=1/m,
      )
      await using made = await start(
        'made',
        network.name,
        [...HARDENED, '-v', `${network.name}:/etc/sightline/certs`, '-e', 'SIGHTLINE_DEV_PKI=1', image],
        [],
      )
      await eventually(async () => expect(await made.logs()).toMatch(/^ready /m), 400)
      expect(await made.logs()).toMatch(
        /^made certificates for development in \/etc\/sightline\/certs: ca\.crt/m,
      )
      expect(await made.stop(STOP_SECONDS)).toBe(0)
    })

    it('checks its own config', async () => {
      const { code, stdout } = await gateway.exec('node', '/app/dist/main.js', 'config', 'check')
      expect({ code, out: stdout.toString() }).toMatchObject({
        code: 0,
        out: expect.stringMatching(/^ok: .*http 0\.0\.0\.0:3128.*tunnel\+tls 0\.0\.0\.0:8443/) as string,
      })
    })

    it('is healthy, and cannot write', async () => {
      const health = JSON.parse(
        await ask('image', 'inspect', image, '--format', '{{json .Config.Healthcheck.Test}}'),
      ) as string[]
      expect(health[0]).toBe('CMD')
      expect((await gateway.exec(...health.slice(1))).code).toBe(0)
      const write = await gateway.exec('node', '-e', "require('fs').writeFileSync('/app/x', '')")
      expect(write.code).not.toBe(0)
      expect(write.stderr).toContain('EROFS')
      const maps = await gateway.exec('node', '-p', "require('fs').readFileSync('/proc/1/maps', 'utf8')")
      expect(maps.stdout.toString()).toContain('libjemalloc')
    })

    it('carries curl through each proxy, and through the tunnel of another container', async () => {
      const ways = [
        ['-x', `http://127.0.0.1:${await gateway.port(3128)}`],
        ['-p', '-x', `http://127.0.0.1:${await gateway.port(3128)}`],
        ['--socks5-hostname', `127.0.0.1:${await gateway.port(1080)}`],
        ['--proxy-cacert', work.file('certs/ca.crt'), '-x', `https://127.0.0.1:${await gateway.port(3129)}`],
        ['--socks5-hostname', `127.0.0.1:${await client.port(1081)}`],
        ['-x', `http://127.0.0.1:${await client.port(1081)}`],
      ]
      for (const way of ways)
        expect(await curl(...way, 'http://site:8080/'), way.join(' ')).toBe('hello from the site')
      const metrics = await curl(`http://127.0.0.1:${await gateway.port(9901)}/metrics`)
      for (const mode of ['http-proxy', 'socks-proxy', 'https-proxy', 'tunnel'])
        expect(metrics).toMatch(
          new RegExp(`^sightline_streams_total\\{mode="${mode}",outcome="ok"\\} [1-9]`, 'm'),
        )
    })

    it('says while it runs who moved how much, from a volume', async () => {
      const usage = ['node', '/app/dist/main.js', 'usage', '--since', 'yesterday', '--json']
      await eventually(async () => {
        const { stdout } = await gateway.exec(...usage)
        const rows = JSON.parse(stdout.toString()) as Array<{ name: string; bytesDown: number }>
        expect(rows.find(({ name }) => name === 'client')?.bytesDown).toBeGreaterThan(0)
      }, 400)
    })

    it('finishes a download when it is stopped, and ends with 0 within the time-out', async () => {
      const before = await gateway.port(1080)
      const download = startProgram('curl', [
        '-sS',
        '--limit-rate',
        '2M',
        '--socks5-hostname',
        `127.0.0.1:${before}`,
        'http://site:8080/zeros',
      ])
      const hash = createHash('sha256')
      let received = 0
      const done = new Promise<number | null>((resolve) => download.on('close', resolve))
      const begun = new Promise<void>((resolve) =>
        download.stdout?.on('data', (chunk: Buffer) => {
          hash.update(chunk)
          received += chunk.length
          resolve()
        }),
      )
      await begun
      const startedMs = performance.now()
      const exit = await gateway.stop(STOP_SECONDS)
      const seconds = (performance.now() - startedMs) / 1000
      expect(await done).toBe(0)
      expect(received).toBe(SITE_BYTES)
      expect(hash.digest('hex')).toBe(createHash('sha256').update(Buffer.alloc(SITE_BYTES)).digest('hex'))
      console.log(
        `stop: exit ${exit} after ${seconds.toFixed(1)} s, with a download of 8 MB at 2 MB/s under way`,
      )
      expect(exit).toBe(0)
      expect(seconds).toBeLessThan(STOP_SECONDS)
      expect(await gateway.logs()).toMatch(/"finished":true/)
      expect(
        (
          await run('curl', [
            '-sS',
            '--max-time',
            '5',
            '-x',
            `http://127.0.0.1:${before}`,
            'http://site:8080/',
          ])
        ).code,
      ).not.toBe(0)
    })
  },
)
