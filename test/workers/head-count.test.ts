// What counts over all workers: the limits of one process, whoever asks, and nothing kept of a worker that ended.
import { describe, expect, it } from 'vitest'
import { configSchema, type ConfigInput } from '../../src/config/schema.ts'
import type { DelaySteps } from '../../src/policy/failure-delay.ts'
import { HeadCount } from '../../src/workers/head-count.ts'
import type { Question } from '../../src/workers/messages.ts'

const [ONE, OTHER] = [1, 2]
const ALICE = 'user:alice'
const STEPS: DelaySteps = {
  firstMs: 250,
  longestMs: 4_000,
  forgetMs: 600_000,
  freeFailures: { ofSource: 2, ofPair: 0 },
  mostMs: 8_000,
}

function make(limits: ConfigInput['limits']): { headCount: HeadCount; clock: { nowMs: number } } {
  const config = configSchema.parse({ inbounds: [{ type: 'http', listen: '127.0.0.1:0' }], limits })
  const clock = { nowMs: 0 }
  return { headCount: new HeadCount(config.limits, { nowMs: () => clock.nowMs, epochMs: () => 0 }), clock }
}

const inTurn = (headCount: HeadCount, question: Question, times: number): unknown[] =>
  Array.from({ length: times }, (_, index) => headCount.answer(index % 2 === 0 ? ONE : OTHER, question))

describe('the head count', () => {
  it('counts connections in all and of a source over all workers, and takes both places or none', () => {
    const { headCount } = make({ connections: 3, connectionsPerSource: 2 })
    expect(inTurn(headCount, ['enter', '192.0.2.1'], 3)).toEqual([
      undefined,
      undefined,
      'too-many-from-source',
    ])
    expect(inTurn(headCount, ['enter', '192.0.2.2'], 2)).toEqual([undefined, 'too-many-connections'])
    headCount.answer(OTHER, ['leave', '192.0.2.1'])
    expect(inTurn(headCount, ['enter', '192.0.2.1'], 2)).toEqual([undefined, 'too-many-connections'])
  })

  it('counts a source that a balancer names later', () => {
    const { headCount } = make({ connections: 9, connectionsPerSource: 1 })
    expect(inTurn(headCount, ['enter', null], 2)).toEqual([undefined, undefined])
    expect(inTurn(headCount, ['enter-from', '192.0.2.1'], 2)).toEqual([undefined, 'too-many-from-source'])
    headCount.answer(ONE, ['leave-from', '192.0.2.1'])
    expect(headCount.answer(OTHER, ['enter-from', '192.0.2.1'])).toBeUndefined()
  })

  it('has one rate of new connections for all workers', () => {
    const { headCount, clock } = make({ newConnectionsPerSecond: 2 })
    expect(inTurn(headCount, ['enter', null], 3)).toEqual([undefined, undefined, 'rate-limited'])
    clock.nowMs = 500
    expect(inTurn(headCount, ['enter', null], 2)).toEqual([undefined, 'rate-limited'])
  })

  it('counts sessions, requests and associations over all workers', () => {
    const { headCount } = make({ sessionsPerIdentity: 1, connectionsPerIdentity: 2, udpAssociations: 1 })
    expect(inTurn(headCount, ['enter-session', ALICE], 2)).toEqual([true, false])
    expect(inTurn(headCount, ['enter-association'], 2)).toEqual([true, false])
    expect(inTurn(headCount, ['enter-identity', ALICE], 3).map((share) => share !== undefined)).toEqual([
      true,
      true,
      false,
    ])
    headCount.answer(ONE, ['leave-session', ALICE])
    headCount.answer(ONE, ['leave-association'])
    headCount.answer(OTHER, ['leave-identity', ALICE])
    expect(headCount.answer(OTHER, ['enter-session', ALICE])).toBe(true)
    expect(headCount.answer(OTHER, ['enter-association'])).toBe(true)
    expect(headCount.answer(ONE, ['enter-identity', ALICE])).toBeDefined()
  })

  it('frees all that a worker held when it ends, and only that', () => {
    const { headCount } = make({
      connections: 2,
      connectionsPerSource: 2,
      sessionsPerIdentity: 2,
      connectionsPerIdentity: 2,
      udpAssociations: 2,
    })
    const all: readonly Question[] = [
      ['enter', '192.0.2.1'],
      ['enter-session', ALICE],
      ['enter-identity', ALICE],
      ['enter-association'],
    ]
    for (const question of all) inTurn(headCount, question, 2)
    headCount.gone(ONE)
    const refused = ['too-many-connections', false, undefined, false]
    expect(all.map((question) => headCount.answer(OTHER, question))).toEqual([
      undefined,
      true,
      expect.objectContaining({ key: ALICE }),
      true,
    ])
    expect(all.map((question) => headCount.answer(OTHER, question))).toEqual(refused)
    // What one that is gone is said to give back was free already.
    headCount.answer(ONE, ['leave-session', ALICE])
    headCount.answer(ONE, ['leave-identity', ALICE])
    headCount.answer(ONE, ['leave-from', '192.0.2.1'])
    expect(all.map((question) => headCount.answer(OTHER, question))).toEqual(refused)
  })

  it('lets sign-ins wait for what failed in any worker, and forgets a name that was right', () => {
    const { headCount, clock } = make({})
    const reserve = (worker: number): unknown =>
      headCount.answer(worker, ['reserve', '192.0.2.1', 'alice', STEPS])
    expect(reserve(ONE)).toBe(0)
    headCount.answer(ONE, ['failed', '192.0.2.1', 'alice', STEPS])
    expect(reserve(OTHER)).toBe(250)
    // Its turn is taken: the next one comes after it.
    expect(reserve(ONE)).toBe(500)
    expect(headCount.answer(OTHER, ['reserve', '192.0.2.9', 'alice', STEPS])).toBe(0)
    clock.nowMs = 10_000
    headCount.answer(OTHER, ['succeeded', '192.0.2.1', 'alice'])
    expect([reserve(ONE), reserve(OTHER)]).toEqual([0, 0])
  })

  it('takes other limits from the next question on, and keeps its counts', () => {
    const { headCount } = make({ connections: 2 })
    inTurn(headCount, ['enter', null], 2)
    const { limits } = configSchema.parse({
      inbounds: [{ type: 'http', listen: '127.0.0.1:0' }],
      limits: { connections: 3 },
    })
    headCount.reload(limits)
    expect(inTurn(headCount, ['enter', null], 2)).toEqual([undefined, 'too-many-connections'])
  })
})
