// Who may connect: in all, of one source, and how fast.
import { describe, expect, it } from 'vitest'
import { Admission, type AdmissionLimits } from '../../src/gateway/admission.ts'

const OFF: AdmissionLimits = {
  connections: 1_000,
  connectionsPerSource: 1_000,
  newConnectionsPerSecond: 0,
  newConnectionsPerSourcePerSecond: 0,
}

function times<T>(count: number, call: () => T): T[] {
  return Array.from({ length: count }, call)
}

describe('Admission', () => {
  it('has so many places in all, and takes them back', () => {
    const admission = new Admission({ ...OFF, connections: 2 }, () => 0)
    expect(times(3, () => admission.enter())).toEqual([undefined, undefined, 'too-many-connections'])
    admission.leave(undefined)
    expect(times(2, () => admission.enter())).toEqual([undefined, 'too-many-connections'])
  })

  it('has so many places for each source, and takes them back', () => {
    const admission = new Admission({ ...OFF, connectionsPerSource: 1 }, () => 0)
    expect(admission.enterFrom('192.0.2.1')).toBe(undefined)
    expect(admission.enterFrom('192.0.2.1')).toBe('too-many-from-source')
    expect(admission.enterFrom('::ffff:192.0.2.1')).toBe('too-many-from-source')
    expect(admission.enterFrom('192.0.2.2')).toBe(undefined)
    admission.leave('192.0.2.1')
    expect(admission.enterFrom('192.0.2.1')).toBe(undefined)
  })

  it('counts an IPv6 /64 as one source', () => {
    const admission = new Admission({ ...OFF, connectionsPerSource: 1 }, () => 0)
    expect(admission.enterFrom('2001:db8::1')).toBe(undefined)
    expect(admission.enterFrom('2001:db8::2')).toBe('too-many-from-source')
    expect(admission.enterFrom('2001:db8:0:1::2')).toBe(undefined)
  })

  it('takes so many new ones a second in all', () => {
    let nowMs = 0
    const admission = new Admission({ ...OFF, newConnectionsPerSecond: 2 }, () => nowMs)
    expect(times(3, () => admission.enter())).toEqual([undefined, undefined, 'rate-limited'])
    nowMs = 500
    expect(times(2, () => admission.enter())).toEqual([undefined, 'rate-limited'])
  })

  it('takes so many new ones a second of each source', () => {
    let nowMs = 0
    const admission = new Admission({ ...OFF, newConnectionsPerSourcePerSecond: 1 }, () => nowMs)
    expect(times(2, () => admission.enterFrom('192.0.2.1'))).toEqual([undefined, 'rate-limited'])
    expect(admission.enterFrom('192.0.2.2')).toBe(undefined)
    nowMs = 1_000
    expect(admission.enterFrom('192.0.2.1')).toBe(undefined)
  })

  it('limits no rate where none is set', () => {
    const admission = new Admission(OFF, () => 0)
    expect(times(1_000, () => admission.enter() ?? admission.enterFrom('192.0.2.1'))).toEqual(
      times(1_000, () => undefined),
    )
  })
})
