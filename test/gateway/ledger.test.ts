// What identities move reaches the store once, whatever the store does: held up, handed over in parts, at midnight, at the end.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { GatewayError, type ErrorCode } from '../../src/errors.ts'
import { Ledger } from '../../src/gateway/ledger.ts'
import type { Identity } from '../../src/protocol/request.ts'
import type { UsageStore, UseOfDay } from '../../src/state/usage-store.ts'

const ALICE: Identity = { kind: 'user', name: 'alice' }
const BOB: Identity = { kind: 'certificate', name: 'bob' }
const NOON = Date.UTC(2026, 0, 2, 12)
const DAY = NOON / 86_400_000 - 0.5

/** Sums in memory; fails for as long as it is told to. */
class Books implements UsageStore {
  fails: ErrorCode | undefined
  sums = new Map<string, UseOfDay>()
  batches: number[] = []
  forgotten: number[] = []
  closed = 0

  add(uses: readonly UseOfDay[]): void {
    this.#fail()
    this.batches.push(uses.length)
    for (const use of uses) {
      const key = `${use.day} ${use.identity.kind}:${use.identity.name}`
      const { up = 0, down = 0, streams = 0 } = this.sums.get(key) ?? {}
      this.sums.set(key, {
        ...use,
        up: up + use.up,
        down: down + use.down,
        streams: streams + use.streams,
      })
    }
  }

  bytesOf({ kind, name }: Identity, day: number): number {
    this.#fail()
    const use = this.sums.get(`${day} ${kind}:${name}`)
    return (use?.up ?? 0) + (use?.down ?? 0)
  }

  forget(day: number): void {
    this.forgotten.push(day)
  }

  close(): void {
    this.closed += 1
  }

  of(identity: Identity, day = DAY): number[] | undefined {
    const use = this.sums.get(`${day} ${identity.kind}:${identity.name}`)
    return use && [use.up, use.down, use.streams]
  }

  #fail(): void {
    if (this.fails !== undefined) throw new GatewayError(this.fails)
  }
}

let stores: Map<string, Books>
let told: Array<ErrorCode | 'ok' | undefined>
let lost: number
let ledger: Ledger
beforeEach(() => {
  vi.useFakeTimers({ now: NOON })
  stores = new Map(['one', 'two'].map((file) => [file, new Books()]))
  told = []
  lost = 0
  ledger = new Ledger({
    observer: {
      usageStore: (outcome) => void told.push(outcome),
      usageLost: (bytes) => void (lost += bytes),
    },
    epochMs: Date.now,
    openStore: (file) => books(file),
  })
})
afterEach(() => {
  ledger.close()
  vi.useRealTimers()
})

function books(file = 'one'): Books {
  const found = stores.get(file)
  if (found === undefined) throw new GatewayError('file-unusable')
  return found
}

function configure(store: string | undefined, keepDays = 400): void {
  ledger.prepare(store === undefined ? undefined : { store, keepDays }).commit()
}

function move(identity: Identity, up: number, down = 0): void {
  const account = ledger.enter(identity)
  account?.count('up', up)
  account?.count('down', down)
  if (account !== undefined) account.streams += 1
  if (account !== undefined) ledger.leave(account)
}

describe('what identities move', () => {
  it('is in the store within five seconds, open or ended, once', () => {
    configure('one')
    move(ALICE, 1, 2)
    move(ALICE, 10, 20)
    const account = ledger.enter(BOB)
    account?.count('down', 5)
    vi.advanceTimersByTime(5_000)
    expect([books().of(ALICE), books().of(BOB)]).toEqual([
      [11, 22, 2],
      [0, 5, 0],
    ])
    account?.count('down', 5)
    vi.advanceTimersByTime(20_000)
    expect([books().of(ALICE), books().of(BOB)]).toEqual([
      [11, 22, 2],
      [0, 10, 0],
    ])
  })

  it('is in the store at the end, and the store is closed', () => {
    configure('one')
    move(ALICE, 7)
    ledger.close()
    ledger.close()
    expect([books().of(ALICE), books().closed]).toEqual([[7, 0, 1], 1])
    expect(vi.getTimerCount()).toBe(0)
  })

  it('belongs to the day on which it was moved', () => {
    vi.setSystemTime(NOON + 12 * 3_600_000 - 2_000)
    configure('one')
    move(ALICE, 1)
    vi.advanceTimersByTime(1_999)
    move(ALICE, 2)
    vi.advanceTimersByTime(1)
    move(ALICE, 4)
    expect(ledger.usedToday(ALICE)).toBe(4)
    vi.advanceTimersByTime(5_000)
    expect([books().of(ALICE), books().of(ALICE, DAY + 1)]).toEqual([
      [3, 0, 2],
      [4, 0, 1],
    ])
  })

  it('is told to who else counts, once, whatever the store does; and nothing without one', () => {
    const counted: Array<[string, number, number]> = []
    ledger = new Ledger({
      observer: { usageStore: (outcome) => void told.push(outcome), usageLost: () => {} },
      epochMs: Date.now,
      counted: ({ identity, day, up }) => void counted.push([identity.name, day - DAY, up]),
      openStore: (file) => books(file),
    })
    ledger.write()
    expect([told, counted]).toEqual([[], []])
    configure('one')
    books().fails = 'usage-store-unavailable'
    move(ALICE, 1)
    vi.advanceTimersByTime(15_000)
    move(ALICE, 2)
    ledger.write()
    books().fails = undefined
    vi.advanceTimersByTime(15_000)
    expect(counted).toEqual([
      ['alice', 0, 1],
      ['alice', 0, 2],
    ])
  })

  it('is not counted without a store', () => {
    expect(ledger.enter(ALICE)).toBe(undefined)
    expect(ledger.usedToday(ALICE)).toBe(0)
    ledger.close()
    expect(told).toEqual([])
  })

  it('goes over a thousand at a time, with a turn for others in between', async () => {
    configure('one')
    for (let index = 0; index < 2_500; index += 1) move({ kind: 'user', name: `user-${index}` }, index)
    books().batches = []
    ledger.write()
    expect(books().batches).toEqual([1_000])
    vi.advanceTimersToNextTimer()
    expect(books().batches).toEqual([1_000, 1_000])
    vi.advanceTimersToNextTimer()
    expect(books().batches).toEqual([1_000, 1_000, 500])
    expect(books().sums.size).toBe(2_500)
  })

  it('is forgotten after so many days, of which a reload may set others', () => {
    configure('one', 10)
    configure('one', 3)
    vi.advanceTimersByTime(5_000)
    expect(books().forgotten).toEqual([DAY - 10, DAY - 3])
  })
})

describe('a store that is away', () => {
  it('is offered all of it again, and is given it once', () => {
    configure('one')
    books().fails = 'usage-store-unavailable'
    for (let turn = 0; turn < 3; turn += 1) {
      move(ALICE, 10, 1)
      vi.advanceTimersByTime(5_000)
    }
    expect(told).toEqual(['ok', ...Array<ErrorCode>(3).fill('usage-store-unavailable')])
    expect(ledger.usedToday(ALICE)).toBe(33)
    books().fails = undefined
    vi.advanceTimersByTime(10_000)
    expect(books().of(ALICE)).toEqual([30, 3, 3])
    expect(told.slice(4)).toEqual(['ok', 'ok'])
    expect(ledger.usedToday(ALICE)).toBe(33)
  })

  it('is given each day its own when it is back', () => {
    configure('one')
    books().fails = 'usage-store-unavailable'
    move(ALICE, 1)
    vi.setSystemTime(NOON + 86_400_000)
    vi.advanceTimersByTime(5_000)
    move(ALICE, 2)
    vi.advanceTimersByTime(5_000)
    books().fails = undefined
    vi.advanceTimersByTime(5_000)
    expect([books().of(ALICE), books().of(ALICE, DAY + 1)]).toEqual([
      [1, 0, 1],
      [2, 0, 1],
    ])
  })

  it('makes a bounded number wait, and says what is lost', () => {
    configure('one')
    books().fails = 'usage-store-unavailable'
    for (let index = 0; index < 100_002; index += 1) move({ kind: 'user', name: String(index) }, 3)
    vi.advanceTimersByTime(5_000)
    expect(lost).toBe(6)
    move({ kind: 'user', name: '5' }, 3)
    vi.advanceTimersByTime(5_000)
    expect(lost).toBe(6)
  })

  it('is left in peace for a minute where it is damaged, and then looked at again', () => {
    configure('one')
    books().fails = 'usage-store-invalid'
    move(ALICE, 1)
    vi.advanceTimersByTime(60_000)
    expect(told).toEqual(['ok', 'usage-store-invalid'])
    books().fails = undefined
    expect(ledger.usedToday(ALICE)).toBe(1)
    vi.advanceTimersByTime(10_000)
    expect(books().of(ALICE)).toEqual([1, 0, 1])
  })

  it('does not keep an end from coming', () => {
    configure('one')
    books().fails = 'usage-store-unavailable'
    move(ALICE, 1)
    ledger.close()
    expect(books().closed).toBe(1)
  })
})

describe('a reload', () => {
  it('to another store gives each what was moved while it was configured', () => {
    configure('one')
    const account = ledger.enter(ALICE)
    account?.count('up', 1)
    configure('two')
    account?.count('up', 20)
    vi.advanceTimersByTime(5_000)
    expect([books('one').of(ALICE), books('two').of(ALICE)]).toEqual([
      [1, 0, 0],
      [20, 0, 0],
    ])
    expect([books('one').closed, books('two').closed]).toEqual([1, 0])
  })

  it('to none hands over what there is, and says so', () => {
    configure('one')
    move(ALICE, 1)
    configure(undefined)
    expect([books().of(ALICE), books().closed, told.at(-1)]).toEqual([[1, 0, 1], 1, undefined])
    expect(ledger.enter(ALICE)).toBe(undefined)
  })

  it('that fails elsewhere, or whose store cannot be, changes nothing', () => {
    configure('one')
    ledger.prepare({ store: 'two', keepDays: 1 }).abandon()
    expect(() => ledger.prepare({ store: 'three', keepDays: 1 })).toThrow(GatewayError)
    move(ALICE, 1)
    vi.advanceTimersByTime(5_000)
    expect([books('one').of(ALICE), books('two').closed]).toEqual([[1, 0, 1], 1])
  })
})
