// What `lab run --json` writes has the form that DESIGN section 7 promises to scripts: names, order, keys, types.
import { beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { measure } from './measure.ts'

/** Written out here, not imported: a renamed constant must turn this red. */
const OBSERVERS = ['access-network', 'gateway-operator', 'resolver', 'exit-network', 'destination'] as const
const INFORMATION = [
  'client-address',
  'client-identity',
  'destination-name',
  'destination-address',
  'url-and-headers',
  'content',
  'traffic-shape',
  'client-fingerprint',
] as const

const count = z.number().int().nonnegative()
const evidence = z.strictObject({
  kind: z.enum(['bytes', 'endpoint', 'procedure']),
  capture: z.string().regex(/^[a-z-]+\.pcapng$/),
  frame: z.number().int().positive().nullable(),
  offset: count.nullable(),
  length: count,
  encoding: z.string().min(1),
  field: z.string().min(1),
  excerpt: z.string().min(1).max(64),
  layer: z.string().min(1),
})
const cell = z.strictObject({
  observer: z.enum(OBSERVERS),
  information: z.enum(INFORMATION),
  value: z.enum(['clear', 'sealed', 'inferable', 'absent', 'not-measured']),
  reason: z.string().min(1).optional(),
  evidence: z.array(evidence),
})
const recordSource = z.enum([
  'log-debug',
  'log-info',
  'log-warn',
  'log-error',
  'metrics',
  'admin',
  'error-answers',
])
const control = z.enum(['passed', 'failed'])
const run = z.strictObject({
  mode: z.enum(['direct', 'http-proxy', 'socks-proxy', 'https-proxy', 'tunnel']),
  variant: z.enum(['socks5', 'socks5h', 'tls12', 'udp']).nullable(),
  scheme: z.enum(['http', 'https']),
  cells: z.array(cell),
  coverage: z.array(
    z.strictObject({
      traffic: z.enum(['application', 'client-dns', 'udp', 'untold-application']),
      outside: z.boolean(),
      evidence: z.array(evidence),
    }),
  ),
  recorded: z.strictObject({
    searched: z.array(z.strictObject({ source: recordSource, bytes: count })),
    found: z.array(
      z.strictObject({
        source: recordSource,
        information: z.enum(INFORMATION),
        field: z.string().min(1),
        encoding: z.string().min(1),
        excerpt: z.string().min(1).max(64),
      }),
    ),
  }),
  procedures: z.array(
    z.strictObject({
      name: z.literal('page-of-20'),
      right: count,
      of: count.positive(),
      chance: z.number().positive().max(1),
    }),
  ),
  controls: z.strictObject({ negative: control, positive: control }),
  findings: z.array(z.string()),
})
const contract = z.strictObject({
  version: z.literal(1),
  seed: z.string(),
  runs: z.array(run),
  standIns: z.array(z.string()),
  agreesWithTruthTable: z.boolean(),
})

describe('the JSON of a measurement', () => {
  let result: z.infer<typeof contract>

  beforeAll(async () => {
    const measured = await measure({ seed: 'contract' })
    result = contract.parse(JSON.parse(JSON.stringify(measured.result)))
  })

  it('has a version, the seed and every run', () => {
    expect(result).toMatchObject({ version: 1, seed: 'contract', agreesWithTruthTable: true })
    expect(result.runs.map(({ mode, variant, scheme }) => [mode, variant, scheme])).toEqual([
      ['direct', null, 'http'],
      ['direct', null, 'https'],
      ['direct', 'tls12', 'https'],
      ['direct', 'udp', 'http'],
      ['http-proxy', null, 'http'],
      ['http-proxy', null, 'https'],
      ['http-proxy', 'tls12', 'https'],
      ['socks-proxy', 'socks5', 'http'],
      ['socks-proxy', 'socks5', 'https'],
      ['socks-proxy', 'socks5h', 'http'],
      ['socks-proxy', 'socks5h', 'https'],
      ['socks-proxy', 'tls12', 'https'],
      ['socks-proxy', 'udp', 'http'],
      ['https-proxy', null, 'http'],
      ['https-proxy', null, 'https'],
      ['https-proxy', 'tls12', 'https'],
      ['tunnel', null, 'http'],
      ['tunnel', null, 'https'],
      ['tunnel', 'tls12', 'https'],
      ['tunnel', 'udp', 'http'],
    ])
  })

  it('has all five observers and eight kinds of information once in each run, in their order', () => {
    const every = OBSERVERS.flatMap((observer) =>
      INFORMATION.map((information) => `${observer} ${information}`),
    )
    for (const { cells } of result.runs) {
      expect(cells.map(({ observer, information }) => `${observer} ${information}`)).toEqual(every)
    }
  })

  it('leaves nothing unmeasured but the gateway that direct has not', () => {
    const unmeasured = result.runs.flatMap(({ mode, cells }) =>
      cells
        .filter(({ value }) => value === 'not-measured')
        .map(({ observer, reason }) => ({ mode, observer, reason })),
    )
    expect(unmeasured).toHaveLength(4 * INFORMATION.length)
    for (const other of unmeasured) {
      expect(other).toEqual({
        mode: 'direct',
        observer: 'gateway-operator',
        reason: 'there is no gateway in this mode',
      })
    }
  })

  it('gives evidence of bytes a frame and an offset together, or neither', () => {
    const bytes = result.runs
      .flatMap(({ cells }) => cells.flatMap((one) => one.evidence))
      .filter(({ kind }) => kind === 'bytes')
    expect(bytes.length).toBeGreaterThan(0)
    for (const { frame, offset, length } of bytes) {
      expect(frame === null).toBe(offset === null)
      expect(length).toBeGreaterThan(0)
    }
  })
})
