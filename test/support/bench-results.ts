// What a run of the bench would leave, made by the bench's own writer from samples that are easy to know again.
import { figuresOf, machineFacts, type Results } from '../../bench/results.ts'

const subject = (name: string, mode: string | null, samples: Record<string, readonly number[]>) =>
  ({
    name,
    family: 'plain',
    mode,
    version: null,
    figures: Object.fromEntries(Object.entries(samples).map(([id, all]) => [id, figuresOf(all)])),
  }) as const

export const BENCH_RESULTS: Results = {
  version: 1,
  name: 'modes',
  startedAt: '2026-11-25T07:00:00.000Z',
  tookSeconds: 60,
  machine: machineFacts(0.5),
  settings: { rounds: 3 },
  hashedBytes: 1,
  measures: [],
  subjects: [
    subject('tunnel', 'tunnel', { 'fresh-1-p50': [3, 1, 2], 'down-1': [300, 100, 200] }),
    subject('http-proxy (absolute-form)', 'http-proxy', { 'fresh-1-p50': [9], 'down-1': [9] }),
    subject('http-proxy', 'http-proxy', { 'fresh-1-p50': [1], 'down-1': [500] }),
    subject('socks-proxy', 'socks-proxy', { 'down-1': [500] }),
    subject('dante', null, { 'fresh-1-p50': [1], 'down-1': [400] }),
  ],
  missing: [],
  goals: [],
}
