// The commands of a lesson's page, as a reader would type them. Rule: nothing is added to a command or left out of it.
import { readFile } from 'node:fs/promises'
import path from 'node:path'

const LESSONS = path.join(import.meta.dirname, '../../docs/lessons')

export interface LessonPage {
  readonly text: string
  /** Indented blocks before the teacher's page, in order; a block is one or more lines of a shell. */
  readonly blocks: readonly string[]
}

export async function readLesson(file: string): Promise<LessonPage> {
  const text = await readFile(path.join(LESSONS, file), 'utf8')
  const [forStudents = ''] = text.split(/^---$/m)
  return { text, blocks: blocksOf(forStudents) }
}

/** Lines indented by four more than the text or list around them, behind an empty line. */
function blocksOf(text: string): string[] {
  const blocks: string[] = []
  const lines = text.split('\n')
  let list = 0
  for (let index = 0; index < lines.length; index += 1) {
    const line = lines[index] ?? ''
    const item = /^(\d+\. )/.exec(line)
    if (item?.[1] !== undefined) list = item[1].length
    else if (/^\S/.test(line)) list = 0
    const indent = list + 4
    if (lines[index - 1] !== '' || !line.startsWith(' '.repeat(indent))) continue
    const block: string[] = []
    for (; (lines[index] ?? '').startsWith(' '.repeat(indent)); index += 1)
      block.push((lines[index] ?? '').slice(indent))
    blocks.push(block.join('\n'))
  }
  return blocks
}
