// One measurement: the same request through each mode, each vantage's bytes recorded, and each recording assessed.
// Rule: what goes wrong within a run makes that run red, and never stops the others.
import type { Observer } from '../gateway/observer.ts'
import { assess } from './assess.ts'
import { makeCanaries, type Canaries } from './canary.ts'
import { runName, type LabMode, type LabResult, type LabRun, type Scheme, type Variant } from './model.ts'
import { allOn, hasAddressesFor, partiesOf } from './parties.ts'
import { record } from './record.ts'
import type { Recording } from './recording.ts'
import { Stage, type Faults } from './stage.ts'
import { ONLY_ADDRESS, standInNotes } from './stand-ins.ts'
import { TRUTH_TABLE } from './truth-table.ts'

export interface LabOptions {
  readonly seed: string
  readonly modes: readonly LabMode[]
  readonly schemes: readonly Scheme[]
  /** Of a mode that has variants, these alone; default all. */
  readonly variants?: readonly Variant[]
  /** Words that a person chose, in the place of the seed's: at least 8 characters each, or they are found by chance. */
  readonly words?: Partial<Canaries>
  readonly observer: Observer
  /** Whether pages are told apart by their sizes on each link that seals, which takes a second for each; default true. */
  readonly tellsPages?: boolean
  /** Called before each run, for progress. */
  readonly progress?: (name: string) => void
  /** Called with each frame that passes a tap, while the run goes on; `soFar` gives what is recorded until then. */
  readonly passed?: (soFar: () => Recording) => void
  /** Called with what each run recorded, before it is assessed. */
  readonly recorded?: (recording: Recording) => void
  /** For tests: as where this machine has only 127.0.0.1. */
  readonly onlyLocalhost?: boolean
  /** For tests: what the lab must find. */
  readonly faults?: Faults
}

/** Measures. Errors: those of starting the stage; what goes wrong within a run makes that run red instead. */
export async function runLab(options: LabOptions): Promise<LabResult> {
  const {
    seed,
    modes,
    schemes,
    variants,
    words,
    observer,
    faults = {},
    progress,
    passed,
    recorded,
    tellsPages = true,
  } = options
  const parties = partiesOf(seed)
  const isApart = options.onlyLocalhost !== true && (await hasAddressesFor(parties))
  const stage = await Stage.start({
    seed,
    parties,
    places: isApart ? parties : allOn(ONLY_ADDRESS),
    canaries: { ...makeCanaries(seed), ...words },
    observer,
    faults,
  })
  try {
    const runs: LabRun[] = []
    const rows = modes.flatMap((mode) => TRUTH_TABLE.filter((row) => row.mode === mode))
    for (const { mode, variant, scheme } of rows) {
      if (!schemes.includes(scheme)) continue
      if (variant !== null && variants?.includes(variant) === false) continue
      const scenario = { mode, variant, scheme }
      const name = runName(scenario)
      progress?.(name)
      const canaries = { ...makeCanaries(seed, name), ...words }
      const recording = await record({ seed, tellsPages, scenario, stage, canaries, parties }, passed)
      recorded?.(recording)
      runs.push(assess(recording))
    }
    return {
      version: 1,
      seed,
      runs,
      standIns: isApart ? [] : standInNotes(parties),
      agreesWithTruthTable: runs.every((run) => run.findings.length === 0),
    }
  } finally {
    await stage.close()
  }
}
