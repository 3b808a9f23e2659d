// sightline_exposed_streams_total: streams in which an observer could read some information. Rule: a stream costs one look in a
// table of what streams are like, of which there are few kinds; what each kind exposes is worked out for a scrape.
import { Counter, type Registry } from 'prom-client'
import { exposedBy, type StreamFacts } from '../policy/exposure.ts'

interface Kind {
  readonly facts: StreamFacts
  /** Streams since the last scrape. */
  fresh: number
}

export class ExposedStreams {
  #kinds = new Map<string, Kind>()

  constructor(registry: Registry) {
    const counter: Counter<'mode' | 'observer' | 'information'> = new Counter({
      name: 'sightline_exposed_streams_total',
      help: 'streams in which that observer could read that information',
      labelNames: ['mode', 'observer', 'information'],
      registers: [registry],
      collect: (): void => this.#flush(counter),
    })
  }

  count(facts: StreamFacts): void {
    const { mode, linkEncrypted, namedByClient, credential, lookedUp = false, firstBytes } = facts
    const key = `${mode} ${linkEncrypted} ${namedByClient} ${credential} ${lookedUp} ${firstBytes}`
    const kind = this.#kinds.get(key)
    if (kind === undefined) this.#kinds.set(key, { facts, fresh: 1 })
    else kind.fresh += 1
  }

  #flush(counter: Counter<'mode' | 'observer' | 'information'>): void {
    for (const kind of this.#kinds.values()) {
      if (kind.fresh === 0) continue
      const { mode } = kind.facts
      for (const { observer, information } of exposedBy(kind.facts))
        counter.inc({ mode, observer, information }, kind.fresh)
      kind.fresh = 0
    }
  }
}
