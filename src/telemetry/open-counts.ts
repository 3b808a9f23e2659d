// How much is open now, by mode. Rule: what is kept is exact; what is shown may be in steps, so that on a gateway of a
// few people nobody reads from it when one of them came and went.
import type { Registry } from 'prom-client'
import { Gauge } from 'prom-client'
import type { Mode } from '../protocol/request.ts'

/** To the nearest multiple of `step`. */
export function inSteps(count: number, step: number): number {
  return Math.round(count / step) * step
}

export class OpenCounts {
  /** Shown in multiples of this; 1 shows them as they are. */
  step = 1
  #counts = new Map<Mode, number>()

  /** Registers the gauge `name`; a mode is shown from its first one on. */
  constructor(name: string, help: string, registry: Registry) {
    const gauge: Gauge<'mode'> = new Gauge({
      name,
      help,
      labelNames: ['mode'],
      registers: [registry],
      collect: () => {
        for (const [mode, count] of this.#counts) gauge.set({ mode }, inSteps(count, this.step))
      },
    })
  }

  add(mode: Mode, count: 1 | -1): void {
    this.#counts.set(mode, (this.#counts.get(mode) ?? 0) + count)
  }
}
