// sightline lab run as a person and a script call it: exit codes, what stands on which stream, and what is refused
// before anything is measured.
import { readdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, it, vi } from 'vitest'
import { labCommand } from '../../src/cli/lab.ts'
import type { CliIo } from '../../src/cli/io.ts'
import type { Faults } from '../../src/lab/stage.ts'
import { runName, type LabResult } from '../../src/lab/model.ts'
import { readPcapng } from '../support/pcapng.ts'
import { succeed } from '../support/programs.ts'
import { tempDir } from '../support/temp-dir.ts'

const lab = vi.hoisted(() => ({ faults: {} as Faults, calls: 0 }))
vi.mock('../../src/lab/run.ts', async (original) => {
  const real = await original<typeof import('../../src/lab/run.ts')>()
  return {
    ...real,
    runLab: (options: Parameters<typeof real.runLab>[0]) => {
      lab.calls += 1
      return real.runLab({ ...options, faults: lab.faults })
    },
  }
})

interface Called {
  readonly code: number
  readonly out: string
  readonly err: string
  readonly measured: boolean
}

async function call(
  args: string[],
  terminal: Partial<Pick<CliIo, 'isTty' | 'env'>> = {},
  faults: Faults = {},
): Promise<Called> {
  const out: string[] = []
  const err: string[] = []
  lab.faults = faults
  lab.calls = 0
  const code = await labCommand(args, {
    out: (line) => out.push(line),
    err: (line) => err.push(line),
    env: {},
    isTty: false,
    readStdin: async () => '',
    log: { write: () => {} },
    onSignal: () => {},
    ...terminal,
  })
  return { code, out: out.join('\n'), err: err.join('\n'), measured: lab.calls > 0 }
}

const ROOT = path.join(import.meta.dirname, '../..')
const ONE = ['run', '--mode', 'direct', '--scheme', 'http', '--seed', 'cli']

describe('sightline lab run', () => {
  it.each([
    [[], 'error: say what to do: lab run, lab serve or lab grade; hint: sightline lab --help'],
    [['measure'], 'error: say what to do: lab run, lab serve or lab grade; hint: sightline lab --help'],
    [['run', 'twice'], 'error: say what to do: lab run, lab serve or lab grade; hint: sightline lab --help'],
    [
      ['run', '--mode', 'vpn'],
      'error: there is no mode "vpn"; there are direct, http-proxy, socks-proxy, https-proxy, tunnel; hint: sightline lab --help',
    ],
    [
      ['run', '--mode', 'tunnel', '--mode', 'x'],
      'error: there is no mode "x"; there are direct, http-proxy, socks-proxy, https-proxy, tunnel; hint: sightline lab --help',
    ],
    [
      ['run', '--scheme', 'ftp'],
      'error: there is no scheme "ftp"; there are http and https; hint: sightline lab --help',
    ],
    [
      ['run', '--observers', 'nobody,destination'],
      'error: there is no observer "nobody"; there are access-network, gateway-operator, resolver, exit-network, destination; hint: sightline lab --help',
    ],
    [
      ['run', '--observers', 'destination'],
      'error: name two observers or more, with commas; hint: sightline lab --help',
    ],
  ])('%j is a wrong call: exit 2, one line, and nothing is measured', async (args, message) => {
    expect(await call(args)).toEqual({ code: 2, out: '', err: message, measured: false })
  })

  it.each([['--colour'], ['--json'], ['--mode'], ['--captures'], ['--html'], ['--observers']])(
    '%s alone is a wrong call, in one line',
    async (option) => {
      const { code, err, measured } = await call(['run', option])
      expect([code, measured]).toEqual([2, false])
      expect(err).toMatch(/^error: [a-z'].*; hint: sightline lab --help$/)
      expect(err.split('\n')).toHaveLength(1)
    },
  )

  it('--help says how, and exits 0', async () => {
    const { code, out, measured } = await call(['--help'])
    expect([code, measured]).toEqual([0, false])
    expect(out).toMatch(/^usage: sightline lab run /)
  })

  it('prints the matrix plainly to a pipe and exits 0', async () => {
    const { code, out, err } = await call(ONE)
    expect(code).toBe(0)
    expect(out).toContain('access network: whoever carries what leaves the client')
    expect(out).toContain('truth table: every cell agrees (seed cli)')
    expect(out).not.toContain('\u001b')
    expect(err).toBe('')
  })

  it('prints colour and progress on a terminal, and no colour with NO_COLOR', async () => {
    const coloured = await call(ONE, { isTty: true })
    expect(coloured.out).toContain('\u001b[31mclear')
    expect(coloured.err).toBe('measuring direct, http\nmeasuring direct (udp), http')
    const plain = await call(ONE, { isTty: true, env: { NO_COLOR: '1' } })
    expect(plain.out).not.toContain('\u001b')
    // no-color.org: present and not an empty string.
    const empty = await call(ONE, { isTty: true, env: { NO_COLOR: '' } })
    expect(empty.out).toContain('\u001b[31mclear')
  })

  it('--json - prints JSON and nothing else on standard output, and nothing beside it', async () => {
    const { code, out, err } = await call([...ONE, '--json', '-'], { isTty: true })
    expect([code, err]).toEqual([0, ''])
    expect(JSON.parse(out)).toMatchObject({
      version: 1,
      seed: 'cli',
      agreesWithTruthTable: true,
      runs: [{ mode: 'direct', scheme: 'http' }, { variant: 'udp' }],
    })
  })

  it('--json FILE writes it there, prints the matrix, and says where on standard error', async () => {
    await using directory = await tempDir()
    const file = directory.file('cells.json')
    const { code, out, err } = await call([...ONE, '--json', file])
    expect([code, err]).toEqual([0, `cells and evidence: ${file}`])
    expect(out).toContain('truth table: every cell agrees')
    const text = await readFile(file, 'utf8')
    expect(text.endsWith('}\n')).toBe(true)
    expect(JSON.parse(text)).toMatchObject({ version: 1, seed: 'cli' })
  })

  it('--json FILE in a folder that is not there: exit 1, what, and a hint', async () => {
    await using directory = await tempDir()
    const file = directory.file('no/cells.json')
    const { code, err } = await call([...ONE, '--json', file])
    expect(code).toBe(1)
    expect(err).toBe(`error: ${file} cannot be written; hint: check that its folder exists`)
  })

  it('--captures DIR writes a folder for each run, with the files that the evidence names', async () => {
    await using directory = await tempDir()
    const folder = directory.file('new/captures')
    const json = directory.file('cells.json')
    const { code, err } = await call([...ONE, '--captures', folder, '--json', json])
    expect([code, err]).toEqual([0, `cells and evidence: ${json}\ncaptures: ${folder}`])
    expect(await readdir(folder)).toEqual(['direct-http', 'direct-udp-http'])
    const { runs } = JSON.parse(await readFile(json, 'utf8')) as LabResult
    const named = runs.flatMap(({ cells }) => cells.flatMap(({ evidence }) => evidence))
    expect(named.length).toBeGreaterThan(0)
    for (const { capture, frame } of named) {
      const { packets } = readPcapng(await readFile(`${folder}/direct-http/${capture}`))
      expect(packets.length).toBeGreaterThanOrEqual(frame ?? 1)
    }
  })

  it('--html FILE writes a report there, and says where', async () => {
    await using directory = await tempDir()
    const file = directory.file('report.html')
    const { code, err } = await call([...ONE, '--html', file])
    expect([code, err]).toEqual([0, `report: ${file}`])
    const page = await readFile(file, 'utf8')
    expect(page).toMatch(/^<!doctype html>/)
    expect(page).toContain('Seed <code>cli</code>')
  })

  it('--html - prints the page and nothing else', async () => {
    const { out, err } = await call([...ONE, '--html', '-'], { isTty: true })
    expect(err).toBe('')
    expect(out).toMatch(/^<!doctype html>[^]*<\/html>\s*$/)
  })

  it('--observers says what they link together, in the terminal too', async () => {
    const { out } = await call([...ONE, '--observers', 'access-network,destination'])
    expect(out).toMatch(/^if the access network and the destination put together what they saw, they link:\n/)
    expect((await call(ONE)).out).not.toContain('put together')
  })

  it('--plain is ASCII without colour, whatever the terminal can', async () => {
    const terminal = { isTty: true, env: { LANG: 'en_US.UTF-8' } }
    expect((await call([...ONE, '--plain'], terminal)).out).toMatch(/^[\n -~]*$/)
    expect((await call(ONE, terminal)).out).toContain('\u2013')
  })

  it('--captures where no folder can be: exit 1 and a hint, before anything is measured', async () => {
    await using directory = await tempDir()
    await writeFile(directory.file('file'), '')
    const folder = directory.file('file/captures')
    expect(await call([...ONE, '--captures', folder])).toEqual({
      code: 1,
      out: '',
      err: `error: ${folder} cannot be made; hint: name a folder that this user may write to`,
      measured: false,
    })
  })

  it('measures the modes that were asked for, each once, in the lab’s order', async () => {
    const { out } = await call([
      'run',
      '--mode',
      'tunnel',
      '--mode',
      'direct',
      '--mode',
      'tunnel',
      '--scheme',
      'https',
      '--json',
      '-',
    ])
    const { runs, seed } = JSON.parse(out) as LabResult
    expect(runs.map(runName)).toEqual([
      'direct, https',
      'direct (tls12), https',
      'tunnel, https',
      'tunnel (tls12), https',
    ])
    expect(seed).toMatch(/^[0-9a-f]{16}$/)
  })

  it('exits 1 and names the cell when the tunnel’s TLS is off', async () => {
    const { code, out } = await call(
      ['run', '--mode', 'tunnel', '--scheme', 'http'],
      {},
      { tunnelWithoutTls: true },
    )
    expect(code).toBe(1)
    expect(out).toContain('truth table: the measurement DISAGREES')
    expect(out).toContain(
      '  tunnel, http: access-network, content: measured clear, the truth table says sealed',
    )
  })
})

describe('its output through a pipe', () => {
  it('is whole, however long', async () => {
    const command = `"${process.execPath}" src/main.ts lab run --mode direct --json - | cat`
    const { stdout } = await succeed('bash', ['-o', 'pipefail', '-c', command], {
      cwd: ROOT,
      timeoutMs: 60_000,
    })
    expect(stdout.length).toBeGreaterThan(65_536)
    expect(JSON.parse(stdout.toString())).toMatchObject({ version: 1, agreesWithTruthTable: true })
  }, 60_000)
})
