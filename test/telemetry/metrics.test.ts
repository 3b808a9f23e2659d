// Every metric and every label that a gateway can show: names and values come from closed sets, so that no request can
// add a series, whatever it holds.
import { beforeAll, describe, expect, it } from 'vitest'
import { ERROR_ANSWERS, type ErrorCode } from '../../src/errors.ts'
import type { Direction, Readable } from '../../src/gateway/observer.ts'
import { INFORMATION, OBSERVERS } from '../../src/policy/exposure.ts'
import { DATAGRAM_DROPS } from '../../src/protocol/association.ts'
import { MODES } from '../../src/protocol/request.ts'
import { Metrics } from '../../src/telemetry/metrics.ts'
import { samples, sum } from '../support/metrics.ts'

const CODES = Object.keys(ERROR_ANSWERS) as ErrorCode[]
const DIRECTIONS: readonly Direction[] = ['up', 'down']
const READABLE: readonly Readable[] = ['yes', 'no', 'unknown']
const EGRESS_REASONS = ['denied-range', 'denied-rule', 'not-allowed', 'own-listener', 'unknown']

/** Every label there is, and all that it can say. */
const LABELS: Readonly<Record<string, readonly string[]>> = {
  mode: MODES,
  code: CODES,
  outcome: ['ok', ...CODES],
  reason: [...EGRESS_REASONS, ...DATAGRAM_DROPS],
  direction: DIRECTIONS,
  readable: READABLE,
  observer: OBSERVERS,
  information: INFORMATION,
  version: ['1.2.3'],
  le: ['0.001', '0.003', '0.01', '0.03', '0.1', '0.3', '1', '3', '10', '+Inf'],
}

/** What the pipeline may tell, all of it, with a name in every place that holds one. */
function tellEverything({ observer }: Metrics): void {
  const identity = { kind: 'user', name: 'planted-name' } as const
  for (const mode of MODES) {
    observer.connectionOpened(mode)
    observer.streamOpened(mode)
    observer.dialled(mode, 12)
    observer.streamClosed({ mode, identity, outcome: 'ok', durationMs: 5 })
    for (const code of CODES) {
      observer.refused({ mode, code, reference: 'planted-reference', identity, rule: 'planted-rule' })
      observer.streamClosed({ mode, identity, outcome: code, durationMs: 5 })
    }
    for (const reason of [...EGRESS_REASONS, undefined]) {
      observer.wouldRefuse({
        mode,
        code: 'destination-denied',
        reference: 'planted',
        identity,
        rule: 'planted',
        reason,
      })
    }
    for (const direction of DIRECTIONS) {
      observer.shaped(mode, direction, 10)
      for (const readable of READABLE) observer.relayed(mode, direction, readable, 100)
    }
    for (const reason of DATAGRAM_DROPS) observer.datagramDropped(mode, reason)
    for (const firstBytes of ['http', 'tls', 'ssh', 'other', 'none'] as const) {
      for (const flag of [true, false]) {
        observer.streamRead({ mode, linkEncrypted: flag, namedByClient: flag, credential: flag, firstBytes })
      }
    }
    observer.connectionClosed(mode)
  }
  observer.sessionOpened()
  for (const code of CODES) {
    observer.sessionClosed(code)
    observer.reloaded(code)
    observer.tunnelState('down', code)
  }
}

let text = ''
beforeAll(async () => {
  const metrics = new Metrics('1.2.3')
  tellEverything(metrics)
  text = await metrics.registry.metrics()
})

describe('/metrics', () => {
  it('has labels from closed sets and no others', () => {
    const own = text.split('\n').filter((line) => line.startsWith('sightline_'))
    expect(own.length).toBeGreaterThan(500)
    const strange = own.flatMap((line) =>
      [...line.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].filter(
        ([, label = '', value = '']) => LABELS[label]?.includes(value) !== true,
      ),
    )
    expect(strange.map(([found]) => found)).toEqual([])
    expect(text).not.toContain('planted')
  })

  it('names everything of ours sightline_, with a unit where it is a quantity, and _total where it only rises', () => {
    const types = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name = '', type = '']) => ({
      name,
      type,
    }))
    const own = types.filter(({ name }) => name.startsWith('sightline_'))
    expect(types.filter(({ name }) => !/^(sightline|process|nodejs)_/.test(name))).toEqual([])
    expect(own.filter(({ name, type }) => (type === 'counter') !== name.endsWith('_total'))).toEqual([])
    expect(own.filter(({ name, type }) => type === 'histogram' && !name.endsWith('_seconds'))).toEqual([])
  })

  it('holds the two that DESIGN section 5 promises', () => {
    const [exposed] = samples(text, 'sightline_exposed_streams_total')
    expect(Object.keys(exposed?.labels ?? {}).toSorted()).toEqual(['information', 'mode', 'observer'])
    const [relayed] = samples(text, 'sightline_relayed_bytes_total')
    expect(Object.keys(relayed?.labels ?? {}).toSorted()).toEqual(['direction', 'mode', 'readable'])
  })
})

describe('counting', () => {
  it('bytes are there at every scrape, once each', async () => {
    const { observer, registry } = new Metrics('1.2.3')
    const bytes = async (): Promise<number> =>
      sum(await registry.metrics(), 'sightline_relayed_bytes_total', {
        mode: 'tunnel',
        direction: 'up',
        readable: 'no',
      })
    expect(await bytes()).toBe(0)
    observer.relayed('tunnel', 'up', 'no', 1000)
    observer.relayed('tunnel', 'up', 'no', 24)
    observer.relayed('tunnel', 'down', 'no', 7)
    observer.relayed('http-proxy', 'up', 'no', 9)
    expect([await bytes(), await bytes()]).toEqual([1024, 1024])
    observer.relayed('tunnel', 'up', 'no', 1)
    expect(await bytes()).toBe(1025)
  })

  it('what is open goes back to nothing', async () => {
    const { observer, registry } = new Metrics('1.2.3')
    observer.connectionOpened('socks-proxy')
    observer.streamOpened('socks-proxy')
    observer.sessionOpened()
    observer.streamClosed({ mode: 'socks-proxy', identity: undefined, outcome: 'ok', durationMs: 1 })
    observer.connectionClosed('socks-proxy')
    observer.sessionClosed('tunnel-dead')
    const now = await registry.metrics()
    for (const name of ['sightline_connections', 'sightline_streams', 'sightline_tunnel_sessions']) {
      expect(samples(now, name).map(({ value }) => value)).toEqual([0])
    }
    expect(sum(now, 'sightline_tunnel_sessions_closed_total', { code: 'tunnel-dead' })).toBe(1)
  })

  it('a tunnel that is up is 1, and in any other state 0', async () => {
    const { observer, registry } = new Metrics('1.2.3')
    const seen: number[] = []
    for (const state of ['connecting', 'up', 'down', 'up', 'refused'] as const) {
      observer.tunnelState(state, undefined)
      seen.push(sum(await registry.metrics(), 'sightline_tunnel_up'))
    }
    expect(seen).toEqual([0, 1, 0, 1, 0])
  })
})
