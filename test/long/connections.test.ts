// What more than one connection to a gateway is worth: twelve downloads at a time over a link that delays and loses packets, on one,
// two and four connections, and on `auto`. Prints the speeds, which are this machine's. Needs root. By hand:
// npx vitest run --config test/long/vitest.config.ts connections
import type { ChildProcess } from 'node:child_process'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Lines, serve, startSightline, type SightlineProcess } from '../support/gateway-process.ts'
import { isMissing, run, start, succeed } from '../support/programs.ts'
import { everyInbound } from '../support/stacks.ts'
import { tempDir, type TempDir } from '../support/temp-dir.ts'
import { makeClientPki } from './link-cuts/world.ts'

const [CLIENT, GATEWAY] = ['10.78.1.1', '10.78.1.2']
const DOWNLOADS = 12
const SECONDS = 8
const LINKS = [
  { delayMs: 20, loss: 0 },
  { delayMs: 20, loss: 0.005 },
  { delayMs: 20, loss: 0.02 },
] as const
const cannot = process.getuid?.() !== 0 || isMissing('ip', 'python3')
const script = (name: string): string => path.join(import.meta.dirname, name)

describe.skipIf(cannot)('twelve downloads', () => {
  const [near, far] = [`sll${process.pid}c`, `sll${process.pid}g`]
  const within = (namespace: string): string[] => ['ip', 'netns', 'exec', namespace]
  let pki: TempDir
  let origin: ChildProcess
  let gateway: SightlineProcess

  beforeAll(async () => {
    pki = await tempDir()
    await makeClientPki(pki, GATEWAY)
    for (const namespace of [near, far]) {
      await succeed('ip', ['netns', 'add', namespace])
      await succeed('ip', ['-n', namespace, 'link', 'set', 'lo', 'up'])
    }
    // Where the gateway is to be before there is a link.
    await succeed('ip', ['-n', far, 'addr', 'add', `${GATEWAY}/32`, 'dev', 'lo'])
    origin = start('ip', [
      ...within(far).slice(1),
      process.execPath,
      script('link-cuts/origin.ts'),
      GATEWAY,
      '9000',
    ])
    await new Lines(origin.stdout).line(/listening/)
    const tunnel = everyInbound(pki).filter(({ type }) => type === 'tunnel')
    const inbounds = tunnel.map((one) => ({ ...one, listen: `${GATEWAY}:8443` }))
    gateway = await serve(
      pki.file('gateway.json'),
      { inbounds, egress: { allow: [`${GATEWAY}/32`] } },
      within(far),
    )
  })
  afterAll(async () => {
    origin.kill('SIGKILL')
    await gateway[Symbol.asyncDispose]()
    for (const namespace of [near, far]) await run('ip', ['netns', 'del', namespace])
    await pki[Symbol.asyncDispose]()
  })

  async function megabitsPerSecond(connections: string): Promise<number> {
    const files = [
      '--certificate',
      pki.file('alice.crt'),
      '--key',
      pki.file('alice.key'),
      '--authority',
      pki.file('ca.crt'),
    ]
    await using client = await startSightline(
      [
        'connect',
        `wss://${GATEWAY}:8443/tunnel`,
        ...files,
        '--listen',
        '127.0.0.1:0',
        '--connections',
        connections,
      ],
      within(near),
    )
    const words = [`${client.port('client')}`, GATEWAY, '9000', `${DOWNLOADS}`, `${SECONDS}`]
    const { stdout } = await succeed(
      'ip',
      [...within(near).slice(1), process.execPath, script('lossy-link/downloads.ts'), ...words],
      { timeoutMs: 60_000 },
    )
    return (Number(stdout.toString()) * 8) / SECONDS / 1_000_000
  }

  it.each(LINKS)(
    'with $delayMs ms each way and a loss of $loss',
    { timeout: 240_000 },
    async ({ delayMs, loss }) => {
      const link = start('python3', [
        script('lossy-link/link.py'),
        near,
        CLIENT,
        far,
        GATEWAY,
        `${delayMs}`,
        `${loss}`,
      ])
      const ended = new Promise((resolve) => link.once('close', resolve))
      try {
        await new Lines(link.stdout).line(/^up$/)
        const speeds: string[] = []
        for (const connections of ['1', '2', '4', 'auto']) {
          const speed = await megabitsPerSecond(connections)
          expect(speed).toBeGreaterThan(0)
          speeds.push(`${connections}: ${speed.toFixed(1)} Mbit/s`)
        }
        console.log(`${2 * delayMs} ms, ${loss * 100} % lost: ${speeds.join(', ')}`)
      } finally {
        link.stdin?.end()
        await ended
      }
    },
  )
})
