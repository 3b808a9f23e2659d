// Each lesson, followed from its page alone: every command that stands there is typed as written, in a checkout's folder,
// and what the page says one should have seen is what is seen. It needs the default ports, curl, openssl and tshark.
// (The clicks of lessons 1 to 4 are in lesson-clicks.test.ts.)
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { LESSONS, rightCell } from '../../src/lab/lessons.ts'
import { makeCanaries } from '../../src/lab/canary.ts'
import { partiesOf } from '../../src/lab/parties.ts'
import { eventually } from '../support/eventually.ts'
import { readLesson } from '../support/lesson-page.ts'
import { isMissing, plainEnvironment, run, succeed, type Finished } from '../support/programs.ts'
import { tempDir, type TempDir } from '../support/temp-dir.ts'

const ROOT = path.join(import.meta.dirname, '../..')
const CHECKOUT = [
  '.ci',
  'package.json',
  'tsconfig.json',
  'tsconfig.build.json',
  'node_modules',
  'src',
  'dist',
  'docs',
]
const SEED = 'maryam'
const STAYS = /^(npm start|npx sightline (serve|connect) )/

class Student implements AsyncDisposable {
  readonly folder: string
  #stack = new AsyncDisposableStack()

  constructor(folder: string) {
    this.folder = folder
  }

  /** Types a block. What stays is waited for until it says that it is ready, and gives what it says. */
  async type(block: string): Promise<Finished | Terminal> {
    const line = block.replaceAll('YOURNAME', SEED)
    if (!STAYS.test(line)) {
      return run('bash', ['-c', line], { cwd: this.folder, timeoutMs: 90_000 })
    }
    const terminal = new Terminal(line, this.folder)
    this.#stack.defer(() => terminal.end())
    await eventually(() => expect(terminal.text).toMatch(/^ready |tunnel up/m))
    return terminal
  }

  async succeed(block: string): Promise<string> {
    const done = await this.type(block)
    if (done instanceof Terminal) return done.text
    expect({ block, code: done.code, stderr: done.stderr }).toEqual({
      block,
      code: 0,
      stderr: expect.any(String) as string,
    })
    return done.stdout.toString()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync()
  }
}

/** A program that stays, in a process group of its own: npm and npx do not hand a signal on. */
class Terminal {
  text = ''
  #child: ChildProcess
  #closed: Promise<void>

  constructor(line: string, cwd: string) {
    this.#child = spawn('bash', ['-c', line], { cwd, detached: true, env: plainEnvironment() })
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#closed = promise
    this.#child.on('close', () => resolve())
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => (this.text += text))
  }

  async end(): Promise<void> {
    if (this.#child.pid !== undefined && this.#child.exitCode === null)
      process.kill(-this.#child.pid, 'SIGKILL')
    await this.#closed
  }
}

/** Fills in the sheet of a lesson as a student who has understood it would. */
async function fillIn(student: Student, lesson: number): Promise<void> {
  const file = path.join(student.folder, `answers-${lesson}.yaml`)
  const parties = partiesOf(SEED)
  const canaries = makeCanaries(SEED)
  const known: Record<string, string> = {
    'client-address': parties.client,
    'gateway-address': parties.gateway,
    'destination-address': parties.destination,
    'certificate-name': canaries.certificateSubject,
  }
  const text = await readFile(file, 'utf8')
  const filled = text.replaceAll(/^ {2}(.*):$/gm, (line, question: string) =>
    question.includes(' ') ? `${line} ${rightCell(question)}` : `${line} ${known[question] ?? ''}`,
  )
  await writeFile(file, filled)
}

/** A folder that has what a checkout has after `npm ci`; linked, since it is large. */
let checkout: TempDir
let folder: string
beforeAll(async () => {
  checkout = await tempDir()
  folder = checkout.file('sightline')
  await mkdir(folder)
  const from = CHECKOUT.map((name) => path.join(ROOT, name))
  const linked = await run('cp', ['-al', ...from, folder], { timeoutMs: 60_000 })
  if (linked.code !== 0) await succeed('cp', ['-a', ...from, folder], { timeoutMs: 200_000 })
  // npx makes itself at home in a folder that it has not seen.
  await succeed('npx', ['sightline', '--version'], { cwd: folder, timeoutMs: 200_000 })
}, 300_000)
afterAll(() => checkout[Symbol.asyncDispose]())

const isMissingHere = isMissing('curl', 'openssl', 'tshark')

describe.skipIf(isMissingHere)(
  'the lessons, as written (need curl, openssl, tshark and the default ports)',
  () => {
    it.each([
      [1, '1-proxy-or-vpn.md'],
      [2, '2-network-and-operator.md'],
      [3, '3-https.md'],
    ])('lesson %i: the sheet is printed, and checked right', async (lesson, file) => {
      await using student = new Student(folder)
      const { blocks } = await readLesson(file)
      expect(blocks).toHaveLength(2)
      await student.succeed(blocks[0] ?? '')
      const [sheet = '', check = ''] = (blocks[1] ?? '').split('\n')
      await student.succeed(sheet)
      await fillIn(student, lesson)
      const count = LESSONS[lesson]?.length
      expect(await student.succeed(check)).toContain(`${SEED}, lesson ${lesson}: ${count} of ${count} right`)
    })

    it('lesson 4: a certificate is issued, used, taken back, and its name is found at the operator alone', async () => {
      await using student = new Student(folder)
      const { blocks } = await readLesson('4-certificates.md')
      const [authority, issue, config, up, gateway, alice, curl, revoke, record, sheet] = blocks as string[]
      expect(blocks).toHaveLength(10)
      const [subject, issuer] = (await student.succeed(authority ?? '')).trim().split('\n').slice(-2)
      expect(subject?.replace('subject=', '')).toBe(issuer?.replace('issuer=', ''))
      expect(await student.succeed(issue ?? '')).toMatch(/subject=.*alice/)
      await student.succeed(config ?? '')
      await student.succeed(up ?? '')
      await student.succeed(gateway ?? '')
      const end = await student.type(alice ?? '')
      expect(await student.succeed(curl ?? '')).toBe('hello from the site: GET / reached me from 127.0.0.1\n')
      await student.type(revoke ?? '')
      await eventually(async () => expect(await student.type(curl ?? '')).not.toMatchObject({ code: 0 }))
      await eventually(() => expect((end as Terminal).text).toMatch(/certificate-revoked|has been revoked/))
      const found = await student.succeed(record ?? '')
      expect(found).toMatch(
        new RegExp(`^gateway-operator clear .*${makeCanaries(SEED).certificateSubject}`, 'm'),
      )
      expect(found).toMatch(/^access-network sealed/m)
      expect(found).toMatch(/^destination absent/m)
      const [print = '', check = ''] = (sheet ?? '').split('\n')
      await student.succeed(print)
      await fillIn(student, 4)
      expect(await student.succeed(check)).toContain('4 of 4 right')
    })

    it('lesson 5: every word is found in the capture with tshark alone', async () => {
      await using student = new Student(folder)
      const { blocks } = await readLesson('5-wireshark.md')
      const [record, sheet, follow, decode, exit, search, withKeys, check] = blocks as string[]
      expect(blocks).toHaveLength(8)
      await student.succeed(record ?? '')
      await student.succeed(sheet ?? '')
      const stream = await student.succeed(follow ?? '')
      const find = (pattern: RegExp): string => pattern.exec(stream)?.[1] ?? ''
      const pair = async (header: RegExp): Promise<string[]> =>
        (await student.succeed((decode ?? '').replace('PASTE-IT-HERE', find(header)))).split(':')
      const [proxyUser, proxyPassword] = await pair(/proxy-authorization: Basic (\S+)/i)
      const [siteUser, sitePassword] = await pair(/\nauthorization: Basic (\S+)/i)
      const cookie = find(/cookie: session=(\w+)/)
      const [, gatewayAddress, destination] =
        /([\d.]+)\s+([\d.]+)/.exec(await student.succeed(exit ?? '')) ?? []
      const ends = [...stream.matchAll(/Node \d: ([\d.]+):\d+/g)].map(([, address = '']) => address)
      expect(ends).toContain(gatewayAddress)
      const found: Record<string, string | undefined> = {
        'client-address': ends.find((address) => address !== gatewayAddress),
        'gateway-address': gatewayAddress,
        'destination-address': destination,
        page: find(/POST http:\/\/[^/]+\/(\S+)\?q=/),
        query: find(/\?q=(\S+)/),
        cookie,
        message: find(/\r?\n\r?\n(\w+)\s/),
        'site-user': siteUser,
        'site-password': sitePassword,
        'proxy-user': proxyUser,
        'proxy-password': proxyPassword,
      }
      const [plain = '', tunnel = ''] = (search ?? '').replaceAll('YOUR-COOKIE', cookie).split('\n')
      expect(Number(await student.succeed(plain))).toBeGreaterThan(0)
      const nothing = await student.type(tunnel)
      expect(nothing).toMatchObject({ code: 1, stdout: Buffer.from('0\n') })
      const [without = '', keys = ''] = (withKeys ?? '').split('\n')
      expect(Number(await student.succeed(without))).toBe(0)
      expect(Number(await student.succeed(keys))).toBeGreaterThan(0)
      const file = path.join(student.folder, 'answers-5.yaml')
      const text = await readFile(file, 'utf8')
      await writeFile(
        file,
        text.replaceAll(/^ {2}(.*):$/gm, (line, question: string) => `${line} ${found[question] ?? ''}`),
      )
      const checked = await student.type(check ?? '')
      expect(checked instanceof Terminal ? '' : checked.stdout.toString()).toMatch(
        new RegExp(`^${SEED}, lesson 5: 11 of 11 right$`, 'm'),
      )
    })

    it('lesson 6: the audit says of each way what the page says', async () => {
      await using student = new Student(folder)
      const { blocks } = await readLesson('6-audit.md')
      const [up, plain, others, lookUps, json, sheet] = blocks as string[]
      expect(blocks).toHaveLength(6)
      await student.succeed(up ?? '')
      const link = (answer: string): RegExp =>
        new RegExp(`^is the link to the proxy encrypted\\? +${answer}$`, 'm')
      const names = (answer: string): RegExp =>
        new RegExp(`^are names resolved by the proxy\\? +${answer}$`, 'm')
      const first = await student.succeed(plain ?? '')
      expect(first).toMatch(/^this is a plain proxy:/)
      expect(first).toMatch(link('no'))
      const [encrypted = '', tunnel = ''] = (others ?? '').split('\n')
      const sealed = await student.succeed(encrypted)
      expect(sealed).toMatch(/the proxy itself reads all of http sites/)
      expect(sealed).toMatch(link('yes'))
      expect(sealed).toContain('its certificate stands')
      const unknown = await student.succeed(encrypted.replace(' --authority certs/ca.crt', ''))
      expect(unknown).not.toContain('its certificate stands')
      expect(await student.succeed(tunnel)).toMatch(link('no'))
      const [yours = '', theirs = ''] = (lookUps ?? '').split('\n')
      expect(await student.succeed(yours)).toMatch(names('no'))
      expect(await student.succeed(theirs)).toMatch(names('yes'))
      await student.succeed(json ?? '')
      expect(JSON.parse(await readFile(path.join(student.folder, 'audit.json'), 'utf8'))).toBeTypeOf('object')
      const [print = '', check = ''] = (sheet ?? '').split('\n')
      await student.succeed(print)
      await fillIn(student, 6)
      const count = LESSONS[6]?.length
      expect(await student.succeed(check)).toContain(`${SEED}, lesson 6: ${count} of ${count} right`)
    })
  },
)
