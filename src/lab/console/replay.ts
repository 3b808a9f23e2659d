// A replay: the same request through two modes at once, each on a stage of its own, told piece by piece while it passes.
// Rules: one replay at a time; the last ones are kept for their captures, and no more; and what a replay left behind is
// collected at its end, since a stage is mostly memory that V8 does not count (TLS contexts, parsers) and would let pile up.
import { toGatewayError } from '../../errors.ts'
import { collectGarbage } from '../../gateway/after-rush.ts'
import type { Observer as GatewayObserver } from '../../gateway/observer.ts'
import type { Recording } from '../recording.ts'
import { captureFiles, captureFolder } from '../captures.ts'
import { runLab } from '../run.ts'
import { observe } from './observe.ts'
import { wordsOf } from './order.ts'
import type { Choice, ConsoleEvent, Order, Pane } from './wire.ts'

/** Frames come in bursts: a burst is told at once. */
const GATHER_MS = 40
const KEPT_REPLAYS = 3
const PANES: readonly Pane[] = ['left', 'right']

export interface ReplaysOptions {
  /** Told of everything, in order. */
  readonly tell: (event: ConsoleEvent) => void
  readonly observer: GatewayObserver
  /** Of a pane's words and addresses. */
  readonly seed: () => string
}

export class Replays {
  #options: ReplaysOptions
  #number = 0
  #running: Promise<void> | undefined
  #kept = new Map<number, Partial<Record<Pane, Recording>>>()

  constructor(options: ReplaysOptions) {
    this.#options = options
  }

  get running(): boolean {
    return this.#running !== undefined
  }

  /** Starts a replay and gives its number; undefined while another one runs. It tells of its end itself. */
  start(order: Order): number | undefined {
    if (this.running) return undefined
    this.#number += 1
    const replay = this.#number
    this.#running = this.#run(replay, order).finally(() => (this.#running = undefined))
    return replay
  }

  /** A capture file of a pane, and how to call it; undefined where the replay is no longer kept, or has none so named. */
  capture(
    replay: number,
    pane: Pane,
    name: string,
  ): { readonly file: string; readonly bytes: Buffer } | undefined {
    const recording = this.#kept.get(replay)?.[pane]
    const bytes = recording && captureFiles(recording, performance.timeOrigin).get(name)
    return bytes && { file: `${captureFolder(recording.scenario)}-${name}`, bytes }
  }

  async #run(replay: number, order: Order): Promise<void> {
    const { tell } = this.#options
    const startedAtMs = performance.now()
    tell({ type: 'replay', replay, order })
    const kept: Partial<Record<Pane, Recording>> = {}
    this.#kept.set(replay, kept)
    this.#kept.delete(replay - KEPT_REPLAYS)
    try {
      await Promise.all(
        PANES.map(async (pane) => {
          kept[pane] = await this.#pane(replay, pane, order[pane], order)
        }),
      )
      tell({ type: 'done', replay, tookMs: Math.round(performance.now() - startedAtMs) })
    } catch (thrown) {
      const { message, hint = '' } = toGatewayError(thrown, 'self')
      tell({ type: 'failed', replay, detail: message, hint })
    }
    collectGarbage()
  }

  async #pane(replay: number, pane: Pane, choice: Choice, order: Order): Promise<Recording | undefined> {
    const { tell, observer, seed } = this.#options
    const startedAtMs = performance.now()
    const told = new Map<string, string>()
    const show = (recording: Recording): void => {
      for (const seen of observe(recording, startedAtMs)) {
        const fresh = seen.pieces.filter((piece) => {
          const key = `${seen.observer} ${piece.id}`
          const text = `${piece.length} ${JSON.stringify(piece.marks)}`
          if (told.get(key) === text) return false
          told.set(key, text)
          return true
        })
        if (fresh.length > 0) tell({ type: 'pieces', replay, pane, observer: seen.observer, pieces: fresh })
      }
    }
    let timer: NodeJS.Timeout | undefined
    let more = false
    let last: Recording | undefined
    const { runs } = await runLab({
      seed: seed(),
      modes: [choice.mode],
      variants: choice.variant === null ? [] : [choice.variant],
      schemes: [order.scheme],
      words: wordsOf(order),
      observer,
      passed: (soFar) => {
        more = true
        if (timer !== undefined) return
        // The first frame is told at once, those that follow closely together.
        const next = (): void => {
          timer = undefined
          if (!more || last !== undefined) return
          more = false
          show(soFar())
          timer = setTimeout(next, GATHER_MS)
        }
        next()
      },
      recorded: (recording) => {
        clearTimeout(timer)
        last = recording
        show(recording)
      },
    })
    const captures = last === undefined ? [] : [...captureFiles(last, performance.timeOrigin).keys()]
    for (const run of runs) tell({ type: 'run', replay, pane, run, captures })
    return last
  }
}
