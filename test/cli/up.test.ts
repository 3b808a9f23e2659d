// sightline up as a newcomer meets it: one command, and every line that it prints works as typed. Rule: the default
// addresses are what is being tested, so this test needs their ports free.
import net from 'node:net'
import { describe, expect, it } from 'vitest'
import { upCommand } from '../../src/cli/up.ts'
import { partiesOf } from '../../src/lab/parties.ts'
import { EN } from '../../src/lab/console/page/texts/en.ts'
import { UR } from '../../src/lab/console/page/texts/ur.ts'
import { plantedClientAddress } from '../support/console-seed.ts'
import { startSightline, sightline } from '../support/gateway-process.ts'
import { openPage } from '../support/page.ts'
import { isMissing, run } from '../support/programs.ts'
import { playLessonOne, playLessonTwo } from '../support/teacher.ts'
import { tempDir } from '../support/temp-dir.ts'

const ADDRESSES = [
  'http 127.0.0.1:3128',
  'socks 127.0.0.1:1080',
  'https 127.0.0.1:3129',
  'tunnel 127.0.0.1:8443',
  'client 127.0.0.1:1081',
  'console 127.0.0.1:9900',
  'admin 127.0.0.1:9901',
]
const PORTS = [...ADDRESSES.map((address) => Number(address.split(':')[1])), 9000, 9001]

async function isFree(port: number): Promise<boolean> {
  const server = net.createServer()
  return new Promise((resolve) => {
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

const taken = (await Promise.all(PORTS.map(async (port) => ((await isFree(port)) ? [] : [port])))).flat()
const mayRun = taken.length === 0 || process.env['SIGHTLINE_NO_SKIPS'] === '1'

/** What each printed line has to answer, in their order. */
const ANSWERS: readonly RegExp[] = [
  /^hello from the site: GET \/ reached me from 127\.0\.0\.1\n$/,
  /^hello from the site: GET \/ reached me from 127\.0\.0\.1\n$/,
  /^hello from the site: GET \/ reached me from 127\.0\.0\.1\n$/,
  /^hello from the site: GET \/ reached me from 127\.0\.0\.1\n$/,
  /^hello from the site: GET \/ reached me from 127\.0\.0\.1\n$/,
  /^hello from the site: GET \/ reached me from 127\.0\.0\.1\n$/,
  /^sightline_exposed_streams_total\{mode="tunnel",observer="gateway-operator",information="url-and-headers"\} 1$/m,
]

describe('sightline up', () => {
  it.skipIf(!mayRun || isMissing('curl'))(
    'prints ready, the seven addresses and lines that work as typed, and ends with 0 on SIGTERM (needs curl and the default ports free)',
    async () => {
      await using directory = await tempDir()
      // A space: a line that is not quoted does not work as typed.
      await using up = await startSightline(['up', '--dir', directory.file('my certs'), '--seed', 'maryam'])
      const ready = await up.outLine(/^ready /)
      expect(ready.slice('ready '.length).split('  ')).toEqual(ADDRESSES)
      await up.outLine(/^stop with control-c$/)

      const lines = up.out.filter((line) => /^ {4}curl /.test(line)).map((line) => line.trim())
      expect(lines).toHaveLength(ANSWERS.length)
      for (const [index, line] of lines.entries()) {
        const { code, stdout } = await run('/bin/sh', ['-c', line], { cwd: directory.path })
        expect({ line, code }).toEqual({ line, code: 0 })
        expect(stdout.toString()).toMatch(ANSWERS[index] ?? /^$/)
      }

      // Each line came through the mode that it names: one stream each, two of http-proxy.
      const { stdout } = await run('curl', ['-s', 'http://127.0.0.1:9901/metrics'])
      for (const [mode, streams] of [
        ['http-proxy', 2],
        ['socks-proxy', 1],
        ['https-proxy', 1],
        ['tunnel', 2],
      ] as const) {
        const sample = `sightline_exposed_streams_total{mode="${mode}",observer="destination",information="content"} ${streams}\n`
        expect(stdout.toString()).toContain(sample)
      }
      const page = await run('curl', ['-s', 'http://127.0.0.1:9900/'])
      expect(page.stdout.toString()).toContain('Who can read what')

      expect(await plantedClientAddress(up.port('console'))).toContain(partiesOf('maryam').client)

      const second = await sightline(['up', '--dir', directory.file('my certs')])
      expect(second).toMatchObject({ code: 1, signal: null })
      expect(second.stderr).toMatch(
        /^error: 127\.0\.0\.1:9000 is in use; hint: stop what listens there .*\n$/,
      )

      up.kill('SIGTERM')
      expect(await up.exited).toBe(0)
      expect(up.err).toEqual([])
    },
  )

  it.skipIf(!mayRun || isMissing('chromium')).each([
    ['en', EN, 'keep this between us, please'],
    ['ur', UR, 'یہ بات ہمارے درمیان رہے'],
  ] as const)(
    'a teacher plays lessons 1 and 2 from a cold start, by keyboard alone, in %s (needs chromium and the default ports free)',
    async (language, texts, message) => {
      await using directory = await tempDir()
      await using up = await startSightline(['up', '--dir', directory.path])
      const url = `http://127.0.0.1:${up.port('console')}/`
      await using open = await openPage({
        url: `${url}?lang=${language}`,
        width: 1024,
        height: 768,
        withPolicy: true,
      })
      await playLessonOne(open.page, texts, message)
      await playLessonTwo(open.page, texts)
      // The cost is measured through the gateway that runs, and its own page shows what passed.
      await open.page.locator('a[href="#cost"]').click()
      await open.page.locator('button.send').click()
      await open.page.locator('.now tbody tr').nth(4).waitFor()
      await open.page.locator('a[href="#gateway"]').click()
      await open.page.locator('.gateway tbody th', { hasText: texts.information['content'] }).waitFor()
      expect(open.complaints).toEqual([])
      expect(open.fetched.filter((address) => !address.startsWith(url))).toEqual([])
    },
    60_000,
  )

  it('says which port is in use and what to do, and exits 1', async () => {
    await using directory = await tempDir()
    const blocker = net.createServer()
    // Taken by somebody else is as good.
    await new Promise<void>((resolve) => {
      blocker.once('error', () => resolve())
      blocker.listen(9001, '127.0.0.1', resolve)
    })
    try {
      const { code, stdout, stderr } = await sightline(['up', '--dir', directory.path])
      expect(code).toBe(1)
      expect(stdout.toString()).not.toContain('ready')
      expect(stderr).toMatch(
        /^error: 127\.0\.0\.1:900[01] is in use; hint: stop what listens there \(ss -ltnp 'sport = :900[01]' shows it\), or choose another port\n$/,
      )
    } finally {
      blocker.close()
    }
  })

  it.each([[['--port', '1']], [['here']]])('%j is a wrong call: exit 2 and one line', async (args) => {
    const lines: string[] = []
    const code = await upCommand(args, {
      out: (line) => lines.push(`out: ${line}`),
      err: (line) => lines.push(line),
      env: {},
      isTty: false,
      readStdin: async () => '',
      log: { write: (text) => lines.push(`log: ${text}`), lost: 0 },
      onSignal: () => {},
    })
    expect([code, lines]).toEqual([2, [expect.stringMatching(/^error: [^\n]*; hint: sightline up --help$/)]])
  })
})
