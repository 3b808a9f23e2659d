// The log's own rules, line by line; that nothing slips through it in real traffic is privacy.test.ts's.
import { describe, expect, it } from 'vitest'
import { ERROR_ANSWERS, type ErrorCode } from '../../src/errors.ts'
import { joinObservers, Log, type LogLevel } from '../../src/telemetry/log.ts'

interface Written {
  readonly log: Log
  readonly lines: Array<Record<string, unknown>>
}

function newLog(level: LogLevel = 'debug'): Written {
  const lines: Array<Record<string, unknown>> = []
  return {
    log: new Log(level, { write: (text) => void lines.push(JSON.parse(text) as Record<string, unknown>) }),
    lines,
  }
}

const refusal = (code: ErrorCode, name: string) =>
  ({
    mode: 'http-proxy',
    code,
    reference: 'a1b2c3',
    identity: { kind: 'user', name },
    rule: 'deny[0]',
    reason: 'denied-rule',
  }) as const

describe('the log', () => {
  it('is one JSON object a line, with a time, a level and what happened', () => {
    const { log, lines } = newLog()
    log.observer.refused(refusal('destination-denied', 'alice'))
    expect(lines).toEqual([
      {
        level: 'info',
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
        mode: 'http-proxy',
        code: 'destination-denied',
        reference: 'a1b2c3',
        identity: expect.stringMatching(/^[0-9a-f]{10}$/),
        rule: 'deny[0]',
        reason: 'denied-rule',
        msg: 'refused',
      },
    ])
  })

  it('says what fails of what replicas share when that changes, and again once all was well', () => {
    const { log, lines } = newLog()
    const { observer } = log
    for (let times = 0; times < 3; times += 1) observer.sharedStateFailed('connection', 'state-unavailable')
    observer.sharedStateFailed('connection', 'state-auth-failed')
    observer.sharedStateFailed('quotas', 'state-auth-failed')
    observer.sharedState(true)
    observer.sharedStateSynced()
    observer.sharedStateFailed('connection', 'state-auth-failed')
    expect(lines.map(({ level, msg, part, code }) => [level, msg, part, code])).toEqual([
      ['warn', 'shared state', 'connection', 'state-unavailable'],
      ['error', 'shared state', 'connection', 'state-auth-failed'],
      ['error', 'shared state', 'quotas', 'state-auth-failed'],
      ['info', 'shared state up', undefined, undefined],
      ['error', 'shared state', 'connection', 'state-auth-failed'],
    ])
  })

  it('gives one identity one pseudonym, which a restart changes, and a user never that of a certificate', () => {
    const { log, lines } = newLog()
    log.observer.refused(refusal('destination-denied', 'alice'))
    log.observer.streamClosed({
      mode: 'tunnel',
      identity: { kind: 'user', name: 'alice' },
      outcome: 'ok',
      durationMs: 1,
    })
    log.observer.refused(refusal('destination-denied', 'bob'))
    log.observer.refused({
      ...refusal('destination-denied', 'x'),
      identity: { kind: 'certificate', name: 'alice' },
    })
    const restarted = newLog()
    restarted.log.observer.refused(refusal('destination-denied', 'alice'))
    const [first, second, bob, certificate] = lines.map(({ identity }) => identity)
    expect(second).toBe(first)
    expect(new Set([first, bob, certificate, restarted.lines[0]?.['identity']]).size).toBe(4)
    expect(JSON.stringify(lines)).not.toContain('alice')
  })

  it.each(Object.keys(ERROR_ANSWERS) as ErrorCode[])('writes %s at its level', (code) => {
    const { log, lines } = newLog()
    log.observer.refused(refusal(code, 'alice'))
    expect(lines[0]?.['level']).toBe(ERROR_ANSWERS[code].level)
  })

  it.each([
    ['debug', 4],
    ['info', 3],
    ['warn', 2],
    ['error', 1],
    ['silent', 0],
  ] as const)('at level %s writes %i of four', (level, count) => {
    const { log, lines } = newLog(level)
    log.observer.streamClosed({ mode: 'tunnel', identity: undefined, outcome: 'ok', durationMs: 1 })
    log.info('started')
    log.warn('careful')
    log.observer.reloaded('config-invalid')
    expect(lines.length).toBe(count)
  })

  it('says of a tunnel what changed, and of an attempt nothing', () => {
    const { log, lines } = newLog()
    log.observer.tunnelState('connecting', undefined)
    log.observer.tunnelState('up', undefined)
    log.observer.tunnelState('down', 'tunnel-dead')
    log.observer.tunnelState('refused', 'certificate-revoked')
    expect(lines.map(({ level, msg, code, state }) => [level, msg, code, state])).toEqual([
      ['info', 'tunnel up', undefined, undefined],
      ['warn', 'tunnel down', 'tunnel-dead', 'down'],
      ['warn', 'tunnel down', 'certificate-revoked', 'refused'],
    ])
  })
})

describe('joined observers', () => {
  it('are all told, in order, with the same words', () => {
    const told: string[] = []
    const one = newLog().log.observer
    const spy = (who: string) => ({
      ...one,
      refused: ({ code }: { code: string }) => void told.push(`${who} ${code}`),
    })
    const joined = joinObservers(spy('first'), spy('second'))
    joined.refused(refusal('auth-failed', 'alice'))
    expect(told).toEqual(['first auth-failed', 'second auth-failed'])
    expect(Object.keys(joined).toSorted()).toEqual(Object.keys(one).toSorted())
  })
})
