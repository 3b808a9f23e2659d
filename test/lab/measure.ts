// Runs the lab as a test wants it, and keeps what each run recorded beside what was made of it. Rule: nothing of the
// lab is replaced; the recordings are those that the cells came from.
import type { Recording } from '../../src/lab/recording.ts'
import {
  LAB_MODES,
  type CellValue,
  type LabMode,
  type LabResult,
  type LabRun,
  type Scheme,
} from '../../src/lab/model.ts'
import { runLab, type LabOptions } from '../../src/lab/run.ts'
import type { Information, Observer } from '../../src/policy/exposure.ts'
import { Metrics } from '../../src/telemetry/metrics.ts'

export interface Measured {
  readonly result: LabResult
  /** One for each of `result.runs`, in the same order. */
  readonly recordings: readonly Recording[]
}

/** Every mode and both schemes, unless the options say otherwise. */
export async function measure(options: Partial<LabOptions> = {}): Promise<Measured> {
  const recordings: Recording[] = []
  const result = await runLab({
    seed: 'sightline',
    modes: LAB_MODES,
    schemes: ['http', 'https'],
    observer: new Metrics('test').observer,
    // What this costs is spent where it is looked at.
    tellsPages: false,
    recorded: (recording) => recordings.push(recording),
    ...options,
  })
  return { result, recordings }
}

/** One mode with one scheme, in its plain use: its run and its recording. */
export async function measureOne(
  mode: Exclude<LabMode, 'socks-proxy'>,
  scheme: Scheme,
  options: Partial<LabOptions> = {},
): Promise<{ readonly result: LabResult; readonly run: LabRun; readonly recording: Recording }> {
  const { result, recordings } = await measure({
    modes: [mode],
    schemes: [scheme],
    variants: [],
    ...options,
  })
  const [run] = result.runs
  const [recording] = recordings
  if (run === undefined || recording === undefined) throw new Error('the lab made no run')
  return { result, run, recording }
}

export function valueOf(run: LabRun, observer: Observer, information: Information): CellValue | undefined {
  return run.cells.find((cell) => cell.observer === observer && cell.information === information)?.value
}
