// What counts as one source, the counts of each, their rates and the day's use.
import { describe, expect, it } from 'vitest'
import { Counts, DailyUse, Rates, sourceKey } from '../../src/policy/limits.ts'
import { RecentTable } from '../../src/policy/limits-recent.ts'

describe('sourceKey', () => {
  it.each([
    ['an IPv4 address is itself', '192.0.2.1', '192.0.2.1'],
    ['so is one mapped into IPv6', '::ffff:192.0.2.1', '192.0.2.1'],
    ['in hexadecimal too', '::ffff:c000:201', '192.0.2.1'],
    ['an IPv6 address is its /64', '2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['a zone is not part of it', 'fe80::1%eth0', 'fe80::/64'],
    ['loopback', '::1', '::/64'],
    ['what is no address stays as it is', 'a:b', 'a:b'],
    ['nothing', '', ''],
  ])('%s', (_name, address, key) => {
    expect(sourceKey(address)).toBe(key)
  })

  it('tells two /64 apart', () => {
    expect(sourceKey('2001:db8:0:1::1')).not.toBe(sourceKey('2001:db8:0:2::1'))
  })
})

describe('Counts', () => {
  it('takes up to the most of each key', () => {
    const counts = new Counts()
    expect([counts.enter('a', 2), counts.enter('a', 2), counts.enter('a', 2), counts.enter('b', 2)]).toEqual([
      true,
      true,
      false,
      true,
    ])
    counts.leave('a')
    expect(counts.enter('a', 2)).toBe(true)
  })

  it('holds nothing of what has left', () => {
    const counts = new Counts()
    for (let index = 0; index < 100; index += 1) counts.enter(String(index), 1)
    for (let index = 0; index < 100; index += 1) counts.leave(String(index))
    expect([counts.size, counts.of('1')]).toEqual([0, 0])
  })
})

describe('Rates', () => {
  it('counts each key for itself', () => {
    const rates = new Rates(1, 10)
    expect([rates.take('a', 0), rates.take('a', 0), rates.take('b', 0), rates.take('a', 1_000)]).toEqual([
      true,
      false,
      true,
      true,
    ])
  })

  it('never holds more keys than its bound, and keeps those in use', () => {
    const rates = new Rates(1, 3)
    rates.take('kept', 0)
    for (let index = 0; index < 100; index += 1) {
      rates.take(`other ${index}`, 0)
      expect(rates.take('kept', 0)).toBe(false)
    }
    expect(rates.size).toBe(3)
  })
})

describe('RecentTable', () => {
  it('lets go of what was not used for longest', () => {
    const table = new RecentTable<number>(2)
    table.set('a', 1)
    table.set('b', 2)
    table.get('a')
    table.set('c', 3)
    expect([table.peek('a'), table.peek('b'), table.peek('c'), table.size]).toEqual([1, undefined, 3, 2])
  })

  it('does not count a peek as use', () => {
    const table = new RecentTable<number>(2)
    table.set('a', 1)
    table.set('b', 2)
    table.peek('a')
    table.set('c', 3)
    expect(table.peek('a')).toBe(undefined)
  })
})

describe('DailyUse', () => {
  it('adds up until midnight UTC', () => {
    const use = new DailyUse()
    expect(use.add(5, Date.UTC(2026, 1, 28, 23, 0, 0))).toBe(5)
    expect(use.add(5, Date.UTC(2026, 1, 28, 23, 59, 59, 999))).toBe(10)
    expect(use.add(0, Date.UTC(2026, 2, 1, 0, 0, 0))).toBe(0)
    expect(use.add(1, Date.UTC(2026, 2, 1, 0, 0, 1))).toBe(1)
  })

  it('counts what others say besides, never less of it on one day, and nothing of another day', () => {
    const [today, tomorrow] = [Date.UTC(2026, 1, 28), Date.UTC(2026, 2, 1)]
    const use = new DailyUse()
    use.add(5, today)
    const asked = use.untold(today)
    expect(asked).toEqual({ day: today / 86_400_000, used: 5 })
    use.add(1, today)
    use.told(asked?.day ?? 0, 5, 100)
    expect(use.add(0, today)).toBe(106)
    // What came meanwhile is still to be told.
    expect(use.untold(today)?.used).toBe(6)
    use.told(asked?.day ?? 0, 6, 90)
    expect([use.add(0, today), use.untold(today)]).toEqual([106, undefined])
    use.tellAgain()
    expect(use.untold(today)?.used).toBe(6)
    expect(use.untold(tomorrow)?.used).toBe(0)
    use.told(asked?.day ?? 0, 6, 200)
    expect([use.add(0, tomorrow), use.untold(tomorrow)?.used]).toEqual([0, 0])
  })
})
