// sightline lab run: measures who can read what in each mode, on this machine alone, and prints the matrix. `lab serve` and
// `lab grade` have files of their own.
import { randomBytes } from 'node:crypto'
import type { Recording } from '../lab/recording.ts'
import { LAB_MODES, type LabMode, type Scheme } from '../lab/model.ts'
import { htmlReport } from '../lab/report/page/report.ts'
import { formatMatrix, isUnicodeLocale } from '../lab/report/terminal.ts'
import { togetherText } from '../lab/report/terminal-parts.ts'
import { runLab } from '../lab/run.ts'
import { OBSERVERS, type Observer } from '../policy/exposure.ts'
import { Metrics } from '../telemetry/metrics.ts'
import { readCall } from './arguments.ts'
import { fail, usage } from './failure.ts'
import type { ServiceIo } from './io.ts'
import { makeFolder, writeCaptures, writeOut } from './lab-files.ts'
import { labGrade } from './lab-grade.ts'
import { labServe } from './lab-serve.ts'
import { VERSION } from './version.ts'

const HELP = `usage: sightline lab run [--mode M]… [--scheme http|https] [--seed S] [--json F]
       [--html F] [--captures DIR] [--observers O,O] [--plain]
       sightline lab serve …   the console in a browser; lab serve --help
       sightline lab grade …   check a student's answers; lab grade --help

  sends the same request through each mode, records the bytes at each vantage, and prints who could read
  what; needs neither root nor a network, and takes seconds

  --mode M     direct, http-proxy, socks-proxy, https-proxy or tunnel; more than one may be given; default all
  --scheme S   http or https; default both
  --seed S     makes the planted words repeatable; default random
  --json F     writes the cells with their evidence to F; - is standard output
  --html F     writes a report to F that opens without a network: every cell with the bytes that prove it
  --captures DIR
               writes what was recorded at each vantage to DIR, as files for Wireshark: a folder for each
               run, in it the files that the evidence names, and copies that hold the TLS keys
  --observers O,O
               says what these learn if they put together what they saw: access-network, gateway-operator,
               resolver, exit-network, destination; in the report default access-network,destination
  --plain      ASCII alone and no colour; the default where the locale is not UTF-8

exit 0 when every cell agrees with the truth table and the controls passed, 1 when not

examples:
  sightline lab run
  sightline lab run --mode http-proxy --mode tunnel --scheme http --json cells.json
  sightline lab run --html report.html --captures captures`

const TOGETHER: readonly Observer[] = ['access-network', 'destination']
const SCHEMES: readonly Scheme[] = ['http', 'https']

export async function labCommand(args: string[], io: ServiceIo): Promise<number> {
  const [what, ...rest] = args
  if (what === 'serve') return labServe(rest, io)
  if (what === 'grade') return labGrade(rest, io)
  const call = readCall(args, io, {
    command: 'lab',
    help: HELP,
    words: true,
    options: {
      mode: { type: 'string', multiple: true },
      scheme: { type: 'string' },
      seed: { type: 'string' },
      json: { type: 'string' },
      captures: { type: 'string' },
      html: { type: 'string' },
      observers: { type: 'string' },
      plain: { type: 'boolean' },
    },
  })
  if (typeof call === 'number') return call
  const { values, positionals } = call
  if (positionals.length !== 1 || positionals[0] !== 'run')
    return usage(io, 'say what to do: lab run, lab serve or lab grade', 'lab')
  const wrongMode = values.mode?.find((mode) => !(LAB_MODES as readonly string[]).includes(mode))
  if (wrongMode !== undefined)
    return usage(io, `there is no mode "${wrongMode}"; there are ${LAB_MODES.join(', ')}`, 'lab')
  if (values.scheme !== undefined && !(SCHEMES as readonly string[]).includes(values.scheme)) {
    return usage(io, `there is no scheme "${values.scheme}"; there are http and https`, 'lab')
  }
  const observers = [...new Set(values.observers?.split(',') ?? TOGETHER)]
  const wrong = observers.find((one) => !(OBSERVERS as readonly string[]).includes(one))
  if (wrong !== undefined)
    return usage(io, `there is no observer "${wrong}"; there are ${OBSERVERS.join(', ')}`, 'lab')
  if (observers.length < 2) return usage(io, 'name two observers or more, with commas', 'lab')
  try {
    const { captures, html, json } = values
    const isQuiet = json === '-' || html === '-'
    const recordings: Recording[] = []
    if (captures !== undefined) makeFolder(captures)
    const result = await runLab({
      seed: values.seed ?? randomBytes(8).toString('hex'),
      modes: LAB_MODES.filter((mode) => values.mode?.includes(mode) ?? true) satisfies LabMode[],
      schemes: SCHEMES.filter((scheme) => values.scheme === undefined || values.scheme === scheme),
      observer: new Metrics(VERSION).observer,
      recorded: (recording) => {
        if (captures !== undefined) writeCaptures(captures, recording)
        recordings.push(recording)
      },
      ...(io.isTty && !isQuiet && { progress: (name: string) => io.err(`measuring ${name}`) }),
    })
    const asked = values.observers === undefined ? [] : (observers as Observer[])
    if (!isQuiet) {
      const isPlain = values.plain === true
      const colour = io.isTty && !isPlain && (io.env['NO_COLOR'] ?? '') === ''
      if (asked.length > 0) io.out(`${togetherText(result.runs, recordings, asked)}\n`)
      io.out(formatMatrix(result, { colour, unicode: !isPlain && isUnicodeLocale(io.env) }))
    }
    if (json !== undefined) writeOut(io, 'cells and evidence', json, JSON.stringify(result, null, 2))
    if (html !== undefined)
      writeOut(io, 'report', html, htmlReport({ result, recordings, observers: observers as Observer[] }))
    if (captures !== undefined) io.err(`captures: ${captures}`)
    return result.agreesWithTruthTable ? 0 : 1
  } catch (thrown) {
    return fail(io, thrown)
  }
}
