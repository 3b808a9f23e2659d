// sightline lab grade: checks a student's answer file against its seed, and makes one to fill in.
import { parse, YAMLParseError } from 'yaml'
import { z } from 'zod'
import { readText } from '../config/load.ts'
import { GatewayError } from '../errors.ts'
import { grade, questionsOf, type Answers, type Grade } from '../lab/lessons.ts'
import { readCall } from './arguments.ts'
import { fail, usage } from './failure.ts'
import type { CliIo } from './io.ts'

const HELP = `usage: sightline lab grade FILE [--json]
       sightline lab grade --template LESSON --seed NAME

  checks an answer file of a lesson (docs/lessons) against its seed: words and addresses that were planted
  for that seed, and cells that a measurement must have; says where to look again, never what is right

  --template N   prints an answer file of lesson N to fill in
  --seed NAME    the student's seed, as in lab run --seed and lab serve --seed
  --json         one JSON object

exit 0 when every answer is right, 1 when not

examples:
  sightline lab grade --template 5 --seed maryam > maryam.yaml
  sightline lab grade maryam.yaml`

const fileShape = z.strictObject({
  lesson: z.number().int(),
  seed: z.coerce.string().min(1).max(100),
  answers: z.record(z.string(), z.union([z.string(), z.number(), z.null()])),
})

export async function labGrade(args: string[], io: CliIo): Promise<number> {
  const call = readCall(args, io, {
    command: 'lab grade',
    help: HELP,
    words: true,
    options: {
      template: { type: 'string' },
      seed: { type: 'string' },
      json: { type: 'boolean' },
    },
  })
  if (typeof call === 'number') return call
  const { values, positionals } = call
  try {
    if (values.template !== undefined) {
      if (values.seed === undefined || positionals.length > 0)
        return usage(io, 'a template needs --seed NAME and no file', 'lab grade')
      io.out(template(Number(values.template), values.seed))
      return 0
    }
    const [file] = positionals
    if (file === undefined || positionals.length > 1 || values.seed !== undefined)
      return usage(io, 'name one answer file', 'lab grade')
    const graded = grade(readAnswers(file))
    io.out(values.json === true ? JSON.stringify(graded) : formatGrade(graded))
    return graded.right === graded.answers.length ? 0 : 1
  } catch (thrown) {
    return fail(io, thrown)
  }
}

function template(lesson: number, seed: string): string {
  const lines = questionsOf(lesson).map((question) => `  ${question}:`)
  return [
    `# Answers to lesson ${lesson}. Write behind each colon; for who can read what: readable, encrypted,`,
    '# worked out, or not there. Check it with: sightline lab grade FILE',
    `lesson: ${lesson}`,
    `seed: ${JSON.stringify(seed)}`,
    'answers:',
    ...lines,
  ].join('\n')
}

/** Errors: `file-unusable`, `bad-request` with the place. */
function readAnswers(file: string): Answers {
  const text = readText(file, 'the answer file')
  let content: unknown
  try {
    content = parse(text)
  } catch (cause) {
    const where = cause instanceof YAMLParseError ? `: line ${cause.linePos?.[0].line ?? '?'}` : ''
    throw new GatewayError('bad-request', {
      cause,
      detail: `${file}${where} is not well formed`,
      hint: 'sightline lab grade --template LESSON --seed NAME prints a file to fill in',
    })
  }
  const parsed = fileShape.safeParse(content)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    throw new GatewayError('bad-request', {
      detail: `${file}: ${issue?.path.join('.') || 'the file'}: ${issue?.message ?? 'is wrong'}`,
      hint: 'it has lesson, seed and answers; sightline lab grade --template LESSON --seed NAME prints one to fill in',
    })
  }
  const { lesson, seed, answers } = parsed.data
  const texts = Object.entries(answers).map(([question, answer]) => [question, String(answer ?? '')] as const)
  return { lesson, seed, answers: Object.fromEntries(texts) }
}

function formatGrade({ seed, lesson, answers, right }: Grade): string {
  const lines = answers.map(
    ({ question, verdict, hint }) =>
      `  ${verdict.padEnd(8)}${question}${hint === '' ? '' : `; hint: ${hint}`}`,
  )
  return [`${seed}, lesson ${lesson}: ${right} of ${answers.length} right`, ...lines].join('\n')
}
