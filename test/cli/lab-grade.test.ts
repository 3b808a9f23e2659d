// sightline lab grade as a student and a teacher call it: a file to fill in, what is right, and what is wrong with a file.
import { writeFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { partiesOf } from '../../src/lab/parties.ts'
import { rightCell } from '../../src/lab/lessons.ts'
import { tempDir } from '../support/temp-dir.ts'
import { type } from './terminal.ts'

async function gradeText(text: string, ...more: string[]): ReturnType<typeof type> {
  await using directory = await tempDir()
  await writeFile(directory.file('a.yaml'), text)
  return await type(['lab', 'grade', 'DIR/a.yaml', ...more], { dir: directory.path })
}

describe('sightline lab grade', () => {
  it('--help says how', async () => {
    const { exit, out } = await type(['lab', 'grade', '--help'])
    expect(exit).toBe(0)
    await expect(`${out}\n`).toMatchFileSnapshot('transcripts/lab-grade-help.txt')
  })

  it('prints a file to fill in, which grades as all missing; filled in right, as all right', async () => {
    const { exit, out } = await type(['lab', 'grade', '--template', '1', '--seed', 'maryam'])
    expect(exit).toBe(0)
    const empty = await gradeText(out)
    expect([empty.exit, empty.out.split('\n')[0]]).toEqual([1, 'maryam, lesson 1: 0 of 6 right'])
    const filled = out.replaceAll(
      /^ {2}(.*):$/gm,
      (_, question: string) => `  ${question}: ${rightCell(question)}`,
    )
    const right = await gradeText(filled)
    expect([right.exit, right.out.split('\n')[0]]).toEqual([0, 'maryam, lesson 1: 6 of 6 right'])
  })

  it('says what is right and where to look again, never what is right there; --json too', async () => {
    const { client, gateway } = partiesOf('42')
    const text = `lesson: 5\nseed: 42\nanswers:\n  client-address: ${client}\n  gateway-address: ${client}\n  cookie:\n`
    const { exit, out } = await gradeText(text)
    expect(exit).toBe(1)
    expect(out).toContain(
      '42, lesson 5: 1 of 11 right\n  right   client-address\n  wrong   gateway-address; hint: ',
    )
    expect(out).toContain('  missing cookie; hint: look at the head')
    expect(out).not.toContain(gateway)
    const json = await gradeText(text, '--json')
    expect(JSON.parse(json.out)).toMatchObject({ lesson: 5, seed: '42', right: 1 })
  })

  it.each([
    ['lesson: [', /^error: DIR\/a\.yaml: line \d is not well formed; hint: sightline lab grade --template /],
    ['lesson: 5\nseed: x', /^error: DIR\/a\.yaml: answers: .*; hint: it has lesson, seed and answers/],
    ['lesson: 9\nseed: x\nanswers: {}', /^error: there is no lesson 9; hint: there are 1, 2/],
    [
      'lesson: 5\nseed: x\nanswers:\n  name: y',
      /^error: lesson 5 does not ask for "name"; hint: it asks for/,
    ],
    ['lesson: 5\nseed: x\nanswers:\n  cookie: [1]', /^error: DIR\/a\.yaml: answers\.cookie: /],
  ])('%j is an error that says how to mend it', async (text, message) => {
    const { exit, err } = await gradeText(text)
    expect(exit).toBe(1)
    expect(err).toMatch(message)
  })

  it.each([[[]], [['a', 'b']], [['a', '--seed', 'x']], [['--template', '1']], [['--colour']]])(
    '%j is a wrong call: exit 2',
    async (words) => {
      const { exit, err } = await type(['lab', 'grade', ...words])
      expect(exit).toBe(2)
      expect(err).toMatch(/; hint: sightline lab grade --help$/)
    },
  )

  it('a file that is not there is an error', async () => {
    const { exit, err } = await type(['lab', 'grade', 'DIR/none.yaml'])
    expect([exit, err]).toEqual([1, expect.stringContaining('there is no such file')])
  })
})
