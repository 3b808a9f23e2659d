// Every metric and every label that a gateway can show: names and values come from closed sets, so that no request can
// add a series, whatever it holds.
import { existsSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { beforeAll, describe, expect, it } from 'vitest'
import { ERROR_ANSWERS, type ErrorCode } from '../../src/errors.ts'
import type { Direction, Readable } from '../../src/gateway/observer.ts'
import { INFORMATION, OBSERVERS } from '../../src/policy/exposure.ts'
import { DATAGRAM_DROPS } from '../../src/protocol/association.ts'
import { MODES } from '../../src/protocol/request.ts'
import { Metrics } from '../../src/telemetry/metrics.ts'
import { samples, sum } from '../support/metrics.ts'
import { isMissing, run } from '../support/programs.ts'

const CODES = Object.keys(ERROR_ANSWERS) as ErrorCode[]
const DIRECTIONS: readonly Direction[] = ['up', 'down']
const READABLE: readonly Readable[] = ['yes', 'no', 'unknown']
const EGRESS_REASONS = ['denied-range', 'denied-rule', 'not-allowed', 'own-listener', 'unknown']

/** Every label there is, and all that it can say. */
const LABELS: Readonly<Record<string, readonly string[]>> = {
  mode: MODES,
  code: CODES,
  outcome: ['ok', ...CODES],
  reason: [...EGRESS_REASONS, ...DATAGRAM_DROPS, 'none'],
  decision: ['connected', 'denied', 'reported'],
  state: ['serving', 'leaving', 'draining'],
  direction: DIRECTIONS,
  readable: READABLE,
  observer: OBSERVERS,
  information: INFORMATION,
  version: ['1.2.3'],
  le: ['0.001', '0.003', '0.01', '0.03', '0.1', '0.3', '1', '3', '10', '60', '600', '3600', '36000', '+Inf'],
}

/** What the pipeline may tell, all of it, with a name in every place that holds one. */
function tellEverything({ observer }: Metrics): void {
  const identity = { kind: 'user', name: 'planted-name' } as const
  for (const mode of MODES) {
    observer.connectionOpened(mode)
    observer.streamOpened(mode, identity)
    observer.handshaken(mode, 3)
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
    for (const firstBytes of ['http', 'tls', 'ssh', 'quic', 'dns', 'other', 'none'] as const) {
      for (const flag of [true, false]) {
        observer.streamRead({ mode, linkEncrypted: flag, namedByClient: flag, credential: flag, firstBytes })
      }
    }
    observer.connectionClosed(mode)
  }
  observer.sessionOpened({ kind: 'certificate', name: 'planted-name' })
  for (const state of ['serving', 'leaving', 'draining'] as const) observer.stateChanged(state)
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
    observer.streamOpened('socks-proxy', undefined)
    observer.sessionOpened(undefined)
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

  it('says which state it is in, and how the last reload went', async () => {
    const { observer, registry } = new Metrics('1.2.3', { nowMs: () => 5_000 })
    const now = async (): Promise<unknown> => {
      const shown = await registry.metrics()
      return [
        samples(shown, 'sightline_state').flatMap(({ labels, value }) =>
          value === 1 ? labels['state'] : [],
        ),
        sum(shown, 'sightline_config_last_reload_successful'),
        sum(shown, 'sightline_config_last_reload_success_timestamp_seconds'),
      ]
    }
    observer.stateChanged('serving')
    expect(await now()).toEqual([['serving'], 1, 5])
    observer.reloaded('config-invalid')
    observer.stateChanged('leaving')
    expect(await now()).toEqual([['leaving'], 0, 5])
    observer.reloaded('ok')
    observer.stateChanged('draining')
    expect(await now()).toEqual([['draining'], 1, 5])
  })

  it('what the egress rules said is counted once for each request', async () => {
    const { observer, registry } = new Metrics('1.2.3')
    const refused = { mode: 'http-proxy', reference: 'x' } as const
    observer.dialled('http-proxy', 1)
    observer.dialled('tunnel-client', 1)
    observer.refused({ ...refused, code: 'destination-denied', reason: 'denied-rule' })
    observer.refused({ ...refused, code: 'auth-failed' })
    observer.wouldRefuse({ ...refused, code: 'destination-denied', reason: 'denied-range' })
    const found = samples(await registry.metrics(), 'sightline_egress_decisions_total')
    expect(found.map(({ labels, value }) => [labels['decision'], labels['reason'], value])).toEqual([
      ['connected', 'none', 1],
      ['denied', 'denied-rule', 1],
      ['reported', 'denied-range', 1],
    ])
  })
})

describe('process_open_fds', () => {
  it.skipIf(!existsSync('/proc/self/fd'))('is what the process has open, more by each file', async () => {
    const { registry } = new Metrics('1.2.3')
    const shown = async (): Promise<number> => sum(await registry.metrics(), 'process_open_fds')
    const before = await shown()
    expect(before).toBeGreaterThan(2)
    const files = await Promise.all(Array.from({ length: 40 }, () => open('/dev/null')))
    const during = await shown()
    await Promise.all(files.map((file) => file.close()))
    expect(during - before).toBeGreaterThanOrEqual(30)
    expect(during - before).toBeLessThan(60)
  })
})

describe('what could single out a person', () => {
  const DAY_MS = 86_400_000

  it('is told in steps of ten: identities, once each on their day', async () => {
    let nowMs = 10 * DAY_MS
    const { observer, registry } = new Metrics('1.2.3', { nowMs: () => nowMs })
    const come = (from: number, to: number): void => {
      for (let index = from; index < to; index += 1) {
        observer.streamOpened('socks-proxy', { kind: 'user', name: `user-${index}` })
        observer.sessionOpened({ kind: 'user', name: `user-${index}` })
      }
    }
    const seen = async (): Promise<number> => sum(await registry.metrics(), 'sightline_identities_seen_total')
    come(0, 9)
    expect(await seen()).toBe(0)
    come(0, 10)
    come(0, 10)
    observer.sessionOpened(undefined)
    expect([await seen(), await seen()]).toEqual([10, 10])
    nowMs += DAY_MS
    come(0, 10)
    expect(await seen()).toBe(20)
  })

  it('is told in steps, where asked for: what is open', async () => {
    const metrics = new Metrics('1.2.3')
    const shown = async (): Promise<number[]> => {
      const shownNow = await metrics.registry.metrics()
      return ['connections', 'streams', 'tunnel_sessions'].map((name) => sum(shownNow, `sightline_${name}`))
    }
    metrics.observer.connectionOpened('tunnel')
    metrics.observer.streamOpened('tunnel', undefined)
    metrics.observer.sessionOpened(undefined)
    expect(await shown()).toEqual([1, 1, 1])
    metrics.countStep = 10
    expect(await shown()).toEqual([0, 0, 0])
    for (let more = 0; more < 12; more += 1) metrics.observer.sessionOpened(undefined)
    expect(await shown()).toEqual([0, 0, 10])
  })
})

describe('promtool', () => {
  it.skipIf(isMissing('promtool'))('finds nothing to complain of (needs promtool)', async () => {
    const { code, stdout, stderr } = await run('promtool', ['check', 'metrics'], { input: text })
    expect({ code, stdout: stdout.toString(), stderr }).toEqual({ code: 0, stdout: '', stderr: '' })
  })

  it.skipIf(isMissing('promtool'))('would find what is named wrong (needs promtool)', async () => {
    const input =
      '# HELP sightline_things_total things\n# TYPE sightline_things_total gauge\nsightline_things_total 1\n'
    expect((await run('promtool', ['check', 'metrics'], { input })).code).toBe(3)
  })
})
