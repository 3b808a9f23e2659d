// Golden transcripts: what each command says of itself, as it was read and found good. `vitest -u` writes them anew.
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { VERSION } from '../../src/cli/version.ts'
import { sightline } from '../support/gateway-process.ts'
import { COMMANDS, type } from './terminal.ts'

const NAMES = Object.keys(COMMANDS)
const ROOT = path.join(import.meta.dirname, '../..')

describe('help', () => {
  it.each(NAMES)('of %s', async (name) => {
    const long = await type([name, '--help'])
    expect({ exit: long.exit, err: long.err }).toEqual({ exit: 0, err: '' })
    expect(await type([name, '-h'])).toEqual(long)
    await expect(`${long.out}\n`).toMatchFileSnapshot(`transcripts/${name}-help.txt`)
  })

  it.each(NAMES)('of %s is in lower case, without a final full stop, and fits a terminal', async (name) => {
    const { out } = await type([name, '--help'])
    const lines = out.split('\n')
    expect(lines.filter((line) => line.length > 110)).toEqual([])
    expect(lines.filter((line) => /[a-z]\.$/.test(line))).toEqual([])
    expect(out).toMatch(/^(usage: )?sightline /)
  })
})

describe('sightline itself', () => {
  it("says its version, which is the package's", async () => {
    const { version } = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8')) as {
      version: string
    }
    expect(VERSION).toBe(version)
    const { code, stdout } = await sightline(['--version'])
    expect([code, stdout.toString()]).toEqual([0, `${version}\n`])
  })

  it('lists every command, and every command that it lists is there', async () => {
    const { code, stdout, stderr } = await sightline(['--help'])
    expect([code, stderr]).toEqual([0, ''])
    const listed = [...stdout.toString().matchAll(/^ {2}([a-z]+)(?: [A-Za-z]+)? {2,}/gm)].map(
      ([, name = '']) => name,
    )
    expect(listed.toSorted()).toEqual(NAMES.toSorted())
    await expect(stdout.toString()).toMatchFileSnapshot('transcripts/help.txt')
  })

  it('knows each command of the table', async () => {
    // One after the other: so many processes at once are slow to start on a small machine.
    for (const name of NAMES) {
      const { code, stdout } = await sightline([name, '--help'])
      expect([name, code]).toEqual([name, 0])
      expect(stdout.toString()).toBe(`${(await type([name, '--help'])).out}\n`)
    }
  }, 90_000)

  it.each([
    [[], 2, /^usage: sightline COMMAND/, ''],
    [['serv'], 2, /^$/, 'error: there is no command "serv"; hint: sightline --help lists them\n'],
    [['toString'], 2, /^$/, 'error: there is no command "toString"; hint: sightline --help lists them\n'],
    [['--verbose'], 2, /^$/, 'error: there is no command "--verbose"; hint: sightline --help lists them\n'],
  ] as const)('%j', async (args, exit, out, err) => {
    const { code, stdout, stderr } = await sightline(args)
    expect([code, stderr]).toEqual([exit, err])
    expect(stdout.toString()).toMatch(out)
  })
})
