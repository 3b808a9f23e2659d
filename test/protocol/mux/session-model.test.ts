// The session against a model that is too simple to be wrong: a list of bytes for each direction of each stream.
// Whatever is said, read, ended and moved in whatever order, each end receives exactly what the other said, in its
// order, and nobody sends a byte that it has no credit for (the receiving session throws where one does).
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { INITIAL_WINDOW_BYTES, type Frame } from '../../../src/protocol/mux/frame.ts'
import { Pair, type Side, type StreamEnd } from '../../support/mux-pair.ts'

type Operation =
  | { readonly do: 'open' }
  | { readonly do: 'say'; readonly side: Side; readonly stream: number; readonly bytes: number }
  | { readonly do: 'finish' | 'read' | 'deaf' | 'reset'; readonly side: Side; readonly stream: number }
  | { readonly do: 'move'; readonly side: Side; readonly frames: number }
  | { readonly do: 'wait'; readonly ms: number }

const side = fc.constantFrom<Side>('client', 'gateway')
const stream = fc.nat(5)
const operation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 2, arbitrary: fc.constant({ do: 'open' } as const) },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('say' as const),
      side,
      stream,
      bytes: fc.integer({ min: 0, max: 60_000 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constantFrom('finish' as const, 'read' as const, 'deaf' as const),
      side,
      stream,
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('reset' as const), side, stream }) },
  {
    weight: 8,
    arbitrary: fc.record({ do: fc.constant('move' as const), side, frames: fc.integer({ min: 1, max: 12 }) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.nat(50) }) },
)

/** One direction of one stream, as the model knows it. */
interface Direction {
  said: Buffer
  finished: boolean
  /** Bytes in DATA frames, and the last credit that reached their sender. */
  sent: number
  credit: number
}

interface Line {
  readonly ends: Record<Side, StreamEnd | undefined>
  readonly from: Record<Side, Direction>
  reset: boolean
}

const other = (of: Side): Side => (of === 'client' ? 'gateway' : 'client')
const newDirection = (): Direction => ({
  said: Buffer.alloc(0),
  finished: false,
  sent: 0,
  credit: INITIAL_WINDOW_BYTES,
})

class Model {
  readonly pair: Pair
  readonly lines: Line[] = []
  #counter = 0

  constructor(growthBudgetBytes: number) {
    const limits = { growthBudgetBytes, payloadBytes: 7000 }
    this.pair = new Pair({ client: limits, gateway: limits })
    this.pair.client.roundTripMs = 10
    this.pair.gateway.roundTripMs = 10
  }

  run(step: Operation): void {
    if (step.do === 'open') return this.#open()
    if (step.do === 'wait') return void (this.pair.nowMs += step.ms)
    if (step.do === 'move') {
      for (let left = step.frames; left > 0 && this.#move(step.side); left -= 1);
      return
    }
    const line = this.lines[step.stream]
    const end = line?.ends[step.side]
    if (line === undefined || end === undefined || line.reset) return
    const direction = line.from[step.side]
    if (step.do === 'read') {
      end.reading = true
      end.read()
    } else if (step.do === 'deaf') end.reading = false
    else if (step.do === 'reset') {
      line.reset = true
      end.stream.reset('stream-cancelled')
    } else if (step.do === 'finish') {
      if (direction.finished) return
      direction.finished = true
      end.finish()
    } else if (step.do === 'say' && !direction.finished) {
      const bytes = this.#newBytes(step.bytes)
      direction.said = Buffer.concat([direction.said, bytes])
      end.say(bytes)
    }
  }

  /** Everybody reads, everything moves. */
  finish(): void {
    for (const { ends } of this.lines) {
      for (const end of [ends.client, ends.gateway]) {
        if (end !== undefined) end.reading = true
        end?.read()
      }
    }
    let moved = true
    while (moved) {
      this.pair.nowMs += 1
      moved = this.#move('client')
      moved = this.#move('gateway') || moved
    }
  }

  /** What has come is a beginning of what was said; all of it where `whole` is asked for. */
  check(whole: boolean): void {
    for (const line of this.lines) {
      for (const from of ['client', 'gateway'] as const) {
        const { said, finished } = line.from[from]
        const end = line.ends[other(from)]
        const received = end?.received ?? Buffer.alloc(0)
        expect(received.equals(said.subarray(0, received.length))).toBe(true)
        if (!whole || line.reset) continue
        expect(received.length).toBe(said.length)
        expect(end?.heard.filter((heard) => heard === 'fin').length).toBe(finished ? 1 : 0)
      }
    }
  }

  #open(): void {
    if (this.lines.length >= 6) return
    const near = this.pair.open()
    this.lines.push({
      ends: { client: near, gateway: undefined },
      from: { client: newDirection(), gateway: newDirection() },
      reset: false,
    })
  }

  #newBytes(count: number): Buffer {
    this.#counter += 1
    return Buffer.alloc(count, `${this.#counter}.`)
  }

  #move(from: Side): boolean {
    const frame = this.pair.step(from)
    if (frame === undefined) return false
    this.#account(from, frame)
    return true
  }

  #account(from: Side, frame: Frame): void {
    const line = this.lines[(frame.stream - 1) / 2]
    if (line === undefined) return
    if (frame.type === 'open') line.ends.gateway = this.pair.accepted.at(-1)
    if (frame.type === 'credit') {
      const direction = line.from[other(from)]
      expect(frame.offset).toBeGreaterThan(direction.credit)
      direction.credit = frame.offset
    }
    if (frame.type !== 'data') return
    const direction = line.from[from]
    direction.sent += frame.payload.length
    expect(direction.sent).toBeLessThanOrEqual(direction.credit)
    expect(direction.sent).toBeLessThanOrEqual(direction.said.length)
  }
}

describe('any order of operations', () => {
  it('delivers what was said, in order, within the credit', () => {
    fc.assert(
      fc.property(
        fc.array(operation, { minLength: 20, maxLength: 80 }),
        fc.constantFrom(0, 100_000, 10_000_000),
        (steps, budget) => {
          const model = new Model(budget)
          model.run({ do: 'open' })
          for (const step of steps) {
            model.run(step)
            model.check(false)
          }
          model.finish()
          model.check(true)
          const open = model.lines.filter(
            ({ from, reset }) => !reset && !(from.client.finished && from.gateway.finished),
          )
          expect(model.pair.client.streamCount).toBe(open.length)
          expect(model.pair.gateway.streamCount).toBe(open.length)
        },
      ),
      { numRuns: 100 },
    )
  })
})
