// What one identity may have: places, bytes a second, bytes a day, and a life that ends.
import { describe, expect, it, vi } from 'vitest'
import { configSchema, type ConfigInput, type Limits } from '../../src/config/schema.ts'
import { GatewayError, type ErrorCode } from '../../src/errors.ts'
import { Account } from '../../src/gateway/ledger.ts'
import { IdentityLimits, type Others } from '../../src/gateway/limits.ts'
import type { Identity } from '../../src/protocol/request.ts'

const ALICE: Identity = { kind: 'user', name: 'alice' }
const BOB: Identity = { kind: 'user', name: 'bob' }
const MIDNIGHT = Date.UTC(2026, 0, 2)

function limitsOf(limits: ConfigInput['limits']): Limits {
  return configSchema.parse({ inbounds: [{ type: 'http', listen: '127.0.0.1:0' }], limits }).limits
}

function make(
  limits: ConfigInput['limits'],
  others?: Others,
): {
  identities: IdentityLimits
  clock: { nowMs: number; epochMs: number }
} {
  const clock = { nowMs: 0, epochMs: MIDNIGHT - 1_000 }
  const clocks = { nowMs: () => clock.nowMs, epochMs: () => clock.epochMs }
  const identities = new IdentityLimits(limitsOf(limits), clocks, others)
  return { identities, clock }
}

function codeOf(call: () => void): ErrorCode | 'ok' {
  try {
    call()
    return 'ok'
  } catch (thrown) {
    if (thrown instanceof GatewayError) return thrown.code
    throw thrown
  }
}

function reasonOf(signal: AbortSignal | undefined): ErrorCode | undefined {
  return signal?.reason instanceof GatewayError ? signal.reason.code : undefined
}

describe('places', () => {
  it('are so many for each identity, and are given back once', () => {
    const { identities } = make({ connectionsPerIdentity: 2 })
    const stays = Array.from({ length: 3 }, () => identities.stay(ALICE))
    expect(stays.map((stay) => codeOf(() => stay.enter()))).toEqual(['ok', 'ok', 'too-many-for-identity'])
    for (const stay of stays) stay.leave()
    for (const stay of stays) stay.leave()
    expect(stays.map((stay) => codeOf(() => stay.enter()))).toEqual(['ok', 'ok', 'too-many-for-identity'])
    expect(codeOf(() => identities.stay(BOB).enter())).toBe('ok')
  })

  it('are not counted for nobody in particular', () => {
    const { identities } = make({ connectionsPerIdentity: 1, bytesPerDayPerIdentity: 1 })
    for (let index = 0; index < 3; index += 1) {
      const stay = identities.stay(undefined)
      stay.enter()
      expect(stay.spend('up', 1_000_000)).toBe(0)
    }
  })

  it('tell a user from a certificate of that name', () => {
    const { identities } = make({ connectionsPerIdentity: 1 })
    identities.stay(ALICE).enter()
    expect(codeOf(() => identities.stay({ kind: 'certificate', name: 'alice' }).enter())).toBe('ok')
  })

  it('are so many for the tunnel sessions of an identity', () => {
    const { identities } = make({ sessionsPerIdentity: 1 })
    expect([identities.enterSession(ALICE), identities.enterSession(ALICE)]).toEqual([
      undefined,
      'too-many-for-identity',
    ])
    identities.leaveSession(ALICE)
    expect(identities.enterSession(ALICE)).toBe(undefined)
    expect([identities.enterSession(undefined), identities.enterSession(undefined)]).toEqual([
      undefined,
      undefined,
    ])
  })
})

describe('bytes a second', () => {
  it('are shared by all that an identity has open, each direction for itself', () => {
    const { identities, clock } = make({ bytesPerSecondPerIdentity: 1_000 })
    const [one, other, bobs] = [identities.stay(ALICE), identities.stay(ALICE), identities.stay(BOB)]
    for (const stay of [one, other, bobs]) stay.enter()
    expect(one.spend('up', 1_000)).toBe(0)
    expect(other.spend('up', 500)).toBe(500)
    expect(one.spend('down', 1_000)).toBe(0)
    expect(bobs.spend('up', 1_000)).toBe(0)
    clock.nowMs = 1_500
    expect(one.spend('up', 1_000)).toBe(0)
  })

  it('are still owed by who comes back', () => {
    const { identities } = make({ bytesPerSecondPerIdentity: 1_000 })
    const first = identities.stay(ALICE)
    first.enter()
    first.spend('up', 5_000)
    first.leave()
    const second = identities.stay(ALICE)
    second.enter()
    expect(second.spend('up', 0)).toBe(4_000)
  })

  it('drop a datagram where they are used up, and do not charge it', () => {
    const { identities, clock } = make({ bytesPerSecondPerIdentity: 1_000 })
    const stay = identities.stay(ALICE)
    stay.enter()
    expect([
      stay.spendDatagram('up', 1_500),
      stay.spendDatagram('up', 1),
      stay.spendDatagram('down', 1),
    ]).toEqual([true, false, true])
    clock.nowMs = 500
    expect(stay.spendDatagram('up', 1)).toBe(true)
  })

  it('cost nothing and end nothing where none are limited', () => {
    const { identities } = make({})
    const stay = identities.stay(ALICE)
    stay.enter()
    expect([stay.spend('up', 1e12), stay.spendDatagram('down', 1e12), stay.over]).toEqual([
      0,
      true,
      undefined,
    ])
  })
})

describe('bytes a day', () => {
  it('end what is open when they are used up, refuse what is new, and come back at midnight UTC', () => {
    const { identities, clock } = make({ bytesPerDayPerIdentity: 1_000 })
    const [one, other, bobs] = [identities.stay(ALICE), identities.stay(ALICE), identities.stay(BOB)]
    for (const stay of [one, other, bobs]) stay.enter()
    one.spend('up', 600)
    other.spend('down', 400)
    expect([reasonOf(one.over), codeOf(() => identities.stay(ALICE).enter())]).toEqual([
      undefined,
      'quota-exceeded',
    ])
    other.spend('up', 1)
    expect([one, other, bobs].map((stay) => reasonOf(stay.over))).toEqual([
      'quota-exceeded',
      'quota-exceeded',
      undefined,
    ])
    for (const stay of [one, other]) stay.leave()
    clock.epochMs = MIDNIGHT - 1
    expect(codeOf(() => identities.stay(ALICE).enter())).toBe('quota-exceeded')
    clock.epochMs = MIDNIGHT
    expect(codeOf(() => identities.stay(ALICE).enter())).toBe('ok')
  })

  it('are used up by what others count, which ends what is open here, and is known when somebody comes back', () => {
    let appeared = 0
    const { identities } = make(
      { bytesPerDayPerIdentity: 1_000 },
      { refuses: () => false, appeared: () => (appeared += 1) },
    )
    const [stay, bobs] = [identities.stay(ALICE), identities.stay(BOB)]
    for (const one of [stay, bobs]) one.enter()
    stay.spend('up', 400)
    const untold = identities.untold()
    expect(untold.map(({ key, used }) => [key, used])).toEqual([
      ['user:alice', 400],
      ['user:bob', 0],
    ])
    for (const use of untold) identities.told(use, 599)
    expect([identities.untold(), reasonOf(stay.over)]).toEqual([[], undefined])
    identities.tellAgain()
    identities.told(identities.untold()[0] ?? untold[0]!, 600)
    expect([stay, bobs].map((one) => reasonOf(one.over))).toEqual(['quota-exceeded', undefined])
    stay.leave()
    expect(codeOf(() => identities.stay(ALICE).enter())).toBe('quota-exceeded')
    expect(appeared).toBe(2)
  })

  it('are not given to anybody new while others cannot be asked and that is asked for', () => {
    let refuses = false
    const { identities } = make(
      { bytesPerDayPerIdentity: 1_000 },
      { refuses: () => refuses, appeared: () => {} },
    )
    const stay = identities.stay(ALICE)
    stay.enter()
    refuses = true
    expect(codeOf(() => identities.stay(ALICE).enter())).toBe('state-unavailable')
    expect(codeOf(() => identities.stay(undefined).enter())).toBe('ok')
    stay.spend('up', 1_000)
    expect(reasonOf(stay.over)).toBe(undefined)
    stay.spend('up', 1)
    expect(reasonOf(stay.over)).toBe('quota-exceeded')
    const { identities: unlimited } = make(
      { bytesPerSecondPerIdentity: 1 },
      { refuses: () => true, appeared: () => {} },
    )
    expect(codeOf(() => unlimited.stay(ALICE).enter())).toBe('ok')
    expect(unlimited.untold()).toEqual([])
  })

  it('leave the places free that were refused for them', () => {
    const { identities, clock } = make({ bytesPerDayPerIdentity: 1, connectionsPerIdentity: 1 })
    const stay = identities.stay(ALICE)
    stay.enter()
    stay.spend('up', 2)
    stay.leave()
    for (let index = 0; index < 3; index += 1) {
      const refused = identities.stay(ALICE)
      expect(codeOf(() => refused.enter())).toBe('quota-exceeded')
      refused.leave()
    }
    clock.epochMs = MIDNIGHT
    expect(codeOf(() => identities.stay(ALICE).enter())).toBe('ok')
  })
})

describe('lifetime', () => {
  it('ends a stay, of nobody in particular too, and not one that has left', () => {
    vi.useFakeTimers()
    try {
      const { identities } = make({ lifetimeMs: 1_000 })
      const [stay, left] = [identities.stay(undefined), identities.stay(ALICE)]
      for (const one of [stay, left]) one.enter()
      left.leave()
      vi.advanceTimersByTime(999)
      expect(reasonOf(stay.over)).toBe(undefined)
      vi.advanceTimersByTime(1)
      expect([reasonOf(stay.over), reasonOf(left.over)]).toEqual(['lifetime-exceeded', undefined])
      expect(vi.getTimerCount()).toBe(0)
    } finally {
      vi.useRealTimers()
    }
  })
})

describe('a quota of its own', () => {
  const quotas = [
    { identity: 'alice', kind: 'user', bytesPerDay: 10 },
    { identity: 'free', kind: 'user', bytesPerDay: 0 },
  ] as const

  it('stands in place of the general one, larger, smaller or none', () => {
    const { identities } = make({ bytesPerDayPerIdentity: 100, quotas: [...quotas] })
    const used = (identity: Identity, bytes: number): ErrorCode | undefined => {
      const stay = identities.stay(identity)
      stay.enter()
      stay.spend('down', bytes)
      return reasonOf(stay.over)
    }
    expect(used(ALICE, 11)).toBe('quota-exceeded')
    expect(codeOf(() => identities.stay(ALICE).enter())).toBe('quota-exceeded')
    expect(used({ kind: 'certificate', name: 'alice' }, 100)).toBe(undefined)
    expect(used(BOB, 101)).toBe('quota-exceeded')
    expect(used({ kind: 'user', name: 'free' }, 1_000)).toBe(undefined)
  })

  it('holds where there is no general one, and is told to others alone', () => {
    const { identities } = make({ bytesPerSecondPerIdentity: 1_000_000, quotas: [...quotas] })
    for (const identity of [ALICE, BOB]) {
      const stay = identities.stay(identity)
      stay.enter()
      stay.spend('up', 5)
    }
    expect(identities.untold().map(({ key, used }) => [key, used])).toEqual([['user:alice', 5]])
  })

  it('of a reload ends what is over it at once, and lets go where it is raised', () => {
    const { identities } = make({ quotas: [{ identity: 'alice', kind: 'user', bytesPerDay: 100 }] })
    const stay = identities.stay(ALICE)
    stay.enter()
    stay.spend('up', 50)
    identities.reload(limitsOf({ quotas: [...quotas] }))
    stay.spend('up', 1)
    expect(reasonOf(stay.over)).toBe('quota-exceeded')
    expect(codeOf(() => identities.stay(ALICE).enter())).toBe('quota-exceeded')
    identities.reload(limitsOf({ quotas: [{ identity: 'alice', kind: 'user', bytesPerDay: 52 }] }))
    expect(codeOf(() => identities.stay(ALICE).enter())).toBe('ok')
  })
})

describe('what was used before a restart', () => {
  /** Books that know of 90 bytes of alice's. */
  function makeWithBooks(limits: ConfigInput['limits']): { identities: IdentityLimits; account: Account } {
    const account = new Account(ALICE)
    const clocks = { nowMs: () => 0, epochMs: () => MIDNIGHT }
    const identities = new IdentityLimits(limitsOf(limits), clocks, undefined, {
      enter: () => account,
      leave: () => {},
      usedToday: ({ name }) => (name === 'alice' ? 90 : 0),
    })
    return { identities, account }
  }

  it('counts, but for nobody else, and others are told only of what moved since', () => {
    const { identities } = makeWithBooks({ bytesPerDayPerIdentity: 100 })
    const [alices, bobs] = [identities.stay(ALICE), identities.stay(BOB)]
    for (const stay of [alices, bobs]) stay.enter()
    for (const stay of [alices, bobs]) stay.spend('up', 10)
    expect([reasonOf(alices.over), reasonOf(bobs.over)]).toEqual([undefined, undefined])
    expect(identities.untold().map(({ key, used }) => [key, used])).toEqual([
      ['user:alice', 10],
      ['user:bob', 10],
    ])
    // Others still know of the 90; they are the same.
    for (const use of identities.untold()) identities.told(use, use.key === 'user:alice' ? 90 : 0)
    expect(reasonOf(alices.over)).toBe('quota-exceeded')
    expect(reasonOf(bobs.over)).toBe(undefined)
  })

  it('counts from a reload on that sets a quota first', () => {
    const { identities } = makeWithBooks({ bytesPerSecondPerIdentity: 1_000_000 })
    const stay = identities.stay(ALICE)
    stay.enter()
    stay.spend('up', 50)
    identities.reload(limitsOf({ bytesPerDayPerIdentity: 100 }))
    stay.spend('up', 10)
    expect(reasonOf(stay.over)).toBe(undefined)
    stay.spend('up', 1)
    expect(reasonOf(stay.over)).toBe('quota-exceeded')
  })

  it('is added to with what passes, and with no datagram that is dropped', () => {
    const { identities, account } = makeWithBooks({ bytesPerSecondPerIdentity: 10 })
    const stay = identities.stay(ALICE)
    stay.enter()
    stay.opened()
    stay.spend('down', 7)
    expect([stay.spendDatagram('up', 100), stay.spendDatagram('up', 100)]).toEqual([true, false])
    expect([account.up, account.down, account.streams]).toEqual([100, 7, 1])
    stay.leave()
    stay.spend('up', 1)
    expect(account.up).toBe(100)
  })
})
