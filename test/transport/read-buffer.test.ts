// What a socket reads into: never over bytes that somebody may still see, never more than the shared budget lets it.
import { describe, expect, it } from 'vitest'
import { BufferBudget, LEAST_BYTES } from '../../src/transport/buffer-budget.ts'
import { MOST_BYTES, MOST_KEPT_BYTES, ReadBuffer } from '../../src/transport/read-buffer.ts'

/** Reads `bytes` into the buffer's next place, the first and the last of them marked with `mark`; gives the chunk. */
function read(buffer: ReadBuffer, bytes: number, mark = 0): Buffer {
  const place = buffer.next()
  const taken = Math.min(bytes, place.length)
  place[0] = mark
  place[taken - 1] = mark
  return buffer.took(taken)
}

/** Reads all that there is room for, and frees it, `times` times. */
function keepUp(buffer: ReadBuffer, times: number): void {
  for (let time = 0; time < times; time += 1) {
    read(buffer, Infinity)
    buffer.free()
  }
}

describe('a read buffer', () => {
  it('grows while it is filled and freed, up to its most', () => {
    const buffer = new ReadBuffer(new BufferBudget())
    const sizes: number[] = []
    for (let time = 0; time < 6; time += 1) {
      sizes.push(read(buffer, Infinity).length)
      buffer.free()
    }
    expect(sizes).toEqual([8, 64, 256, 256, 256, 256].map((kib) => kib * 1024))
  })

  it('reads over freed bytes, and over no others', () => {
    const buffer = new ReadBuffer(new BufferBudget())
    keepUp(buffer, 1)
    const freed = read(buffer, 10_000, 1)
    buffer.free()
    const chunks = Array.from({ length: 200 }, (_, index) => read(buffer, 10_000 + index, index))
    expect(freed[0]).toBe(0)
    expect(chunks[0]?.buffer).toBe(freed.buffer)
    chunks.forEach((chunk, index) => expect([chunk[0], chunk.at(-1)]).toEqual([index, index]))
  })

  it('is freed by nobody who comes late', () => {
    const buffer = new ReadBuffer(new BufferBudget())
    const first = read(buffer, 100, 1)
    const place = buffer.next()
    buffer.free()
    place.fill(2, 0, 100)
    const second = buffer.took(100)
    buffer.next().fill(3)
    expect([first[0], second[0]]).toEqual([1, 2])
  })

  it('has no memory of its own where little comes, and what came stays', () => {
    const budget = new BufferBudget()
    const whole = budget.leftBytes
    const [one, other] = [new ReadBuffer(budget), new ReadBuffer(budget)]
    const first = read(one, 100, 1)
    expect(one.next()).toBe(other.next())
    const second = read(other, 100, 2)
    expect([first[0], first.at(-1), second[0]]).toEqual([1, 1, 2])
    keepUp(one, 6)
    expect(budget.leftBytes).toBe(whole - MOST_BYTES)
    read(one, 100)
    one.free()
    expect(one.next()).toBe(other.next())
    expect(budget.leftBytes).toBe(whole)
  })

  it('is small again where less comes', () => {
    const budget = new BufferBudget()
    const whole = budget.leftBytes
    const buffer = new ReadBuffer(budget)
    keepUp(buffer, 6)
    expect(budget.leftBytes).toBe(whole - MOST_BYTES)
    read(buffer, 2_000)
    buffer.free()
    expect(buffer.next().length).toBe(LEAST_BYTES)
    expect(budget.leftBytes).toBe(whole)
  })

  it('holds one buffer, in two reads, where its bytes are kept', () => {
    const budget = new BufferBudget()
    const whole = budget.leftBytes
    const buffer = new ReadBuffer(budget)
    const chunks = Array.from({ length: 10 }, () => read(buffer, Infinity))
    expect(chunks.map(({ length }) => length)).toEqual([
      8192,
      32_704,
      32_704,
      ...Array.from({ length: 7 }, () => 65_500),
    ])
    expect(chunks[4]?.buffer).toBe(chunks[3]?.buffer)
    expect(budget.leftBytes).toBeGreaterThanOrEqual(whole - 2 * MOST_KEPT_BYTES)
  })

  it('gives away no buffer of which bytes were kept', () => {
    const budget = new BufferBudget()
    const buffer = new ReadBuffer(budget)
    for (let time = 0; time < 3; time += 1) read(buffer, Infinity)
    const kept = read(buffer, 1_000, 7)
    keepUp(buffer, 20)
    const others = Array.from({ length: 20 }, () => new ReadBuffer(budget))
    for (const other of others) for (let time = 0; time < 9; time += 1) read(other, Infinity, 9)
    expect([kept[0], kept.at(-1)]).toEqual([7, 7])
  })

  it('starts small again where a receiver that kept up does so no more', () => {
    const buffer = new ReadBuffer(new BufferBudget())
    keepUp(buffer, 6)
    expect(read(buffer, Infinity).length).toBe(MOST_BYTES)
    expect(buffer.next().length).toBeLessThanOrEqual(LEAST_BYTES)
  })
})

describe('a buffer budget', () => {
  it('leaves the least to each, and something more to the last who comes', () => {
    const shared = 32 * 1024 * 1024
    const budget = new BufferBudget(shared)
    const stuck = Array.from({ length: 4_000 }, () => new ReadBuffer(budget))
    let held = 0
    for (const buffer of stuck) {
      keepUp(buffer, 6)
      held += read(buffer, Infinity).length
      held += buffer.next().length
    }
    expect(held).toBeLessThan(shared + stuck.length * 2 * LEAST_BYTES)
    expect(budget.leftBytes).toBeGreaterThanOrEqual(0)
    const late = new ReadBuffer(budget)
    keepUp(late, 6)
    expect(read(late, Infinity).length).toBeGreaterThanOrEqual(LEAST_BYTES)
  })

  it('is whole again when all are closed', () => {
    const budget = new BufferBudget()
    const whole = budget.leftBytes
    const buffers = Array.from({ length: 100 }, () => new ReadBuffer(budget))
    for (const buffer of buffers) {
      keepUp(buffer, 5)
      read(buffer, Infinity)
      buffer.next()
    }
    expect(budget.leftBytes).toBeLessThan(whole)
    for (const buffer of buffers) buffer.close()
    expect(budget.leftBytes).toBe(whole)
  })
})
