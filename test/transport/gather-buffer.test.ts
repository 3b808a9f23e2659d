// Where pieces of a stream are put together: they come out in order, nothing that somebody may still see is written over, and
// memory is held only for what waits or is seen.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BufferBudget, LEAST_BYTES } from '../../src/transport/buffer-budget.ts'
import { GatherBuffer } from '../../src/transport/gather-buffer.ts'

const FIRST_BYTES = 2 * 1024
const MOST_BYTES = 256 * 1024
const MOST_KEPT = 8

/** Puts all of `bytes`; gives the chunks that had to be taken for want of room. */
function putAll(gathered: GatherBuffer, bytes: Uint8Array): Buffer[] {
  const chunks: Buffer[] = []
  for (let at = 0; at < bytes.length;) {
    at += gathered.put(bytes.subarray(at))
    if (gathered.isFull) chunks.push(gathered.take())
  }
  return chunks
}

/** A step of a stream: bytes come, chunks are taken, the oldest so many chunks are not seen any more, a turn ends. */
type Step = { readonly put: number } | 'take' | { readonly free: number } | 'rest'

const size = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 1, max: 200 }) },
  { weight: 4, arbitrary: fc.integer({ min: 1, max: 16_384 }) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 300_000 }) },
)
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: size.map((put) => ({ put })) },
  { weight: 4, arbitrary: fc.constant('take' as const) },
  { weight: 3, arbitrary: fc.constantFrom(0, 1, 3, 1_000).map((free) => ({ free })) },
  { weight: 2, arbitrary: fc.constant('rest' as const) },
)

const PATTERN_BYTES = 1024 * 1024
const once = Buffer.from(
  Uint8Array.from({ length: PATTERN_BYTES }, (_, at) => Math.imul(at, 0x9e3779b1) >> 20),
)
const pattern = Buffer.concat([once, once])

/** Bytes that say where in a stream they stand, and in which. */
function marked(stream: number, offset: number, length: number): Buffer {
  const at = (offset + stream * 300_007) % PATTERN_BYTES
  return pattern.subarray(at, at + length)
}

interface Seen {
  readonly chunk: Buffer
  readonly offset: number
}

/** A stream beside what is known of it. */
class Stream {
  readonly gathered: GatherBuffer
  readonly #number: number
  #putOffset = 0
  /** Chunks that somebody sees, oldest first. */
  #seen: Seen[] = []
  /** Memory of chunks of any stream that nobody sees. */
  readonly #freed: Set<ArrayBufferLike>
  /** Chunks in such memory. */
  reused = 0

  constructor(budget: BufferBudget, number: number, freed: Set<ArrayBufferLike>) {
    this.gathered = new GatherBuffer(budget)
    this.#number = number
    this.#freed = freed
  }

  do(what: Step): void {
    if (what === 'take') {
      if (this.gathered.bytes > 0) this.#take()
    } else if (what === 'rest') this.gathered.rest()
    else if ('free' in what) this.#free(what.free)
    else this.#put(what.put)
    expect(this.gathered.takenOffset + this.gathered.bytes).toBe(this.#putOffset)
  }

  /** That what is seen is what was put. */
  check(): void {
    for (const { chunk, offset } of this.#seen) {
      if (!chunk.equals(marked(this.#number, offset, chunk.length))) {
        expect.unreachable(`the chunk at ${offset} of stream ${this.#number} was written over`)
      }
    }
  }

  #put(length: number): void {
    const bytes = Buffer.from(marked(this.#number, this.#putOffset, length))
    for (let at = 0; at < length;) {
      const put = this.gathered.put(bytes.subarray(at))
      expect(put).toBeGreaterThan(0)
      at += put
      this.#putOffset += put
      if (this.gathered.isFull) this.#take()
    }
    // What was put may be used again at once.
    bytes.fill(0xee)
  }

  #take(): void {
    const offset = this.gathered.takenOffset
    const bytes = this.gathered.bytes
    const chunk = this.gathered.take()
    expect([chunk.length, this.gathered.bytes]).toEqual([bytes, 0])
    if (chunk.buffer.byteLength > LEAST_BYTES && this.#freed.has(chunk.buffer)) this.reused += 1
    this.#seen.push({ chunk, offset })
  }

  #free(count: number): void {
    for (const { chunk } of this.#seen.splice(0, count)) this.#freed.add(chunk.buffer)
    this.gathered.free(this.#seen[0]?.offset ?? this.gathered.takenOffset)
  }
}

describe('what pieces of a stream are put into', () => {
  it('gives them in order, and writes over nothing that is seen, whatever is freed when', () => {
    let reused = 0
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(2), step), { minLength: 1, maxLength: 200, size: 'max' }),
        fc.constantFrom(undefined, 1024 * 1024, 0),
        (steps, sharedBytes) => {
          // Several streams, since what one spares another takes.
          const budget = new BufferBudget(sharedBytes)
          const whole = budget.leftBytes
          const freed = new Set<ArrayBufferLike>()
          const streams = [0, 1, 2].map((number) => new Stream(budget, number, freed))
          for (const [number, what] of steps) {
            streams[number]!.do(what)
            for (const stream of streams) stream.check()
          }
          for (const { gathered } of streams) gathered.close()
          expect(budget.leftBytes).toBe(whole)
          for (const stream of streams) {
            stream.check()
            reused += stream.reused
          }
        },
      ),
      { numRuns: 150 },
    )
    expect(reused).toBeGreaterThan(50)
  }, 60_000)

  it('gives small pieces as one chunk, and the next ones behind it', () => {
    const gathered = new GatherBuffer(new BufferBudget())
    for (const piece of ['one ', 'two ', 'three']) gathered.put(Buffer.from(piece))
    expect([gathered.bytes, gathered.isFull]).toEqual([13, false])
    const first = gathered.take()
    gathered.put(Buffer.from('four'))
    const second = gathered.take()
    expect([first.toString(), second.toString()]).toEqual(['one two three', 'four'])
    expect([second.buffer, second.byteOffset]).toEqual([first.buffer, first.byteOffset + first.length])
  })

  it('is full when there is no more room, and then has to be taken', () => {
    const gathered = new GatherBuffer(new BufferBudget())
    expect(gathered.put(Buffer.alloc(FIRST_BYTES + 1))).toBe(FIRST_BYTES)
    expect(gathered.isFull).toBe(true)
    expect(gathered.take().length).toBe(FIRST_BYTES)
    expect(gathered.isFull).toBe(false)
  })
})

describe('its memory', () => {
  /** The lengths of chunks where as much comes as there is room for. */
  function lengthsOf(gathered: GatherBuffer, times: number, isFreed: boolean): number[] {
    return Array.from({ length: times }, () => {
      gathered.put(Buffer.alloc(MOST_BYTES))
      const { length } = gathered.take()
      if (isFreed) gathered.free(gathered.takenOffset)
      return length
    })
  }

  it('grows while it is filled, up to its most', () => {
    for (const isFreed of [true, false]) {
      const lengths = lengthsOf(new GatherBuffer(new BufferBudget()), 6, isFreed)
      expect(lengths).toEqual([2, 16, 128, 256, 256, 256].map((kib) => kib * 1024))
    }
  })

  it('is one buffer where what is taken is freed at once', () => {
    const gathered = new GatherBuffer(new BufferBudget())
    lengthsOf(gathered, 4, true)
    const buffers = new Set<ArrayBufferLike>()
    for (let time = 0; time < 100; time += 1) {
      gathered.put(Buffer.alloc(100_000))
      buffers.add(gathered.take().buffer)
      gathered.free(gathered.takenOffset)
    }
    expect(buffers.size).toBe(1)
  })

  it('is small again where little comes', () => {
    const budget = new BufferBudget()
    const whole = budget.leftBytes
    const gathered = new GatherBuffer(budget)
    lengthsOf(gathered, 6, true)
    const held = Array.from({ length: 4 }, () => {
      gathered.rest()
      gathered.put(Buffer.alloc(10))
      const heldBytes = whole - budget.leftBytes
      gathered.take()
      gathered.free(gathered.takenOffset)
      return heldBytes
    })
    expect(held).toEqual([MOST_BYTES, MOST_BYTES / 8, 0, 0])
  })

  it('is none where nothing waits and nothing is seen', () => {
    const budget = new BufferBudget()
    const whole = budget.leftBytes
    const gathered = new GatherBuffer(budget)
    lengthsOf(gathered, 6, true)
    expect(budget.leftBytes).toBeLessThan(whole)
    gathered.rest()
    expect(budget.leftBytes).toBe(whole)
  })

  it('stays where something waits, or is seen', () => {
    const budget = new BufferBudget()
    const whole = budget.leftBytes
    const gathered = new GatherBuffer(budget)
    lengthsOf(gathered, 6, true)
    gathered.put(Buffer.from('waits'))
    gathered.rest()
    expect(budget.leftBytes).toBe(whole - MOST_BYTES)
    const chunk = gathered.take()
    gathered.rest()
    expect(budget.leftBytes).toBe(whole - MOST_BYTES)
    expect(chunk.toString()).toBe('waits')
    gathered.free(gathered.takenOffset)
    gathered.rest()
    expect(budget.leftBytes).toBe(whole)
  })

  it('counts a few full buffers at most where nobody says that they are free', () => {
    const shared = 1024 * 1024 * 1024
    const budget = new BufferBudget(shared)
    const gathered = new GatherBuffer(budget)
    const chunks: Buffer[] = []
    for (let time = 0; time < 100; time += 1) chunks.push(...putAll(gathered, Buffer.alloc(MOST_BYTES, time)))
    expect(chunks.length).toBeGreaterThan(90)
    expect(budget.leftBytes).toBeGreaterThanOrEqual(shared - (MOST_KEPT + 1) * MOST_BYTES)
    gathered.close()
    expect(budget.leftBytes).toBe(shared)
  })

  it('goes to others once it is freed, in the order in which it was filled', () => {
    const budget = new BufferBudget()
    const gathered = new GatherBuffer(budget)
    lengthsOf(gathered, 3, false)
    const chunks = [0, 1, 2].map((mark) => {
      gathered.put(Buffer.alloc(MOST_BYTES, mark))
      return gathered.take()
    })
    const [first] = chunks
    gathered.free(gathered.takenOffset - 2 * MOST_BYTES)
    const other = new GatherBuffer(budget)
    lengthsOf(other, 3, true)
    other.put(Buffer.alloc(MOST_BYTES, 9))
    const taken = other.take()
    expect(taken.buffer).toBe(first?.buffer)
    expect(chunks.map((chunk) => chunk[0])).toEqual([9, 1, 2])
  })

  it('goes to nobody while its last byte is seen', () => {
    const budget = new BufferBudget()
    const gathered = new GatherBuffer(budget)
    lengthsOf(gathered, 3, true)
    gathered.put(Buffer.alloc(MOST_BYTES - 1, 1))
    gathered.take()
    gathered.put(Buffer.from([2]))
    const last = gathered.take()
    gathered.put(Buffer.from([3]))
    gathered.free(gathered.takenOffset - 1)
    const other = new GatherBuffer(budget)
    lengthsOf(other, 3, true)
    other.put(Buffer.alloc(MOST_BYTES, 9))
    expect(last[0]).toBe(2)
  })

  it('is whole again after close, though chunks wait and are seen', () => {
    const budget = new BufferBudget()
    const whole = budget.leftBytes
    const gathered = Array.from({ length: 20 }, () => new GatherBuffer(budget))
    for (const one of gathered) {
      lengthsOf(one, 5, false)
      one.put(Buffer.alloc(1_000))
    }
    expect(budget.leftBytes).toBeLessThan(whole)
    for (const one of gathered) one.close()
    expect(budget.leftBytes).toBe(whole)
  })

  it('is enough though the budget has little left', () => {
    const gathered = new GatherBuffer(new BufferBudget(0))
    expect(lengthsOf(gathered, 4, false)).toEqual([FIRST_BYTES, LEAST_BYTES, LEAST_BYTES, LEAST_BYTES])
  })
})
