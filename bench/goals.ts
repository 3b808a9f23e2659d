// What the project has set itself, each as a ratio of medians within one run. A miss is printed like the rest.
import { median, ratioOf } from './statistics.ts'
import type { GoalResult, SubjectResult } from './results.ts'

interface Goal {
  readonly what: string
  readonly subject: string
  /** Of several the better one. */
  readonly against: readonly string[]
  readonly measure: string
  readonly better: 'higher' | 'lower'
  readonly goal: number
  readonly least: number
}

const PLAIN = 'socks-proxy'
const TUNNEL = 'tunnel'
const SHADOWSOCKS = 'shadowsocks-libev'
/** A share is held against the whole. */
const LINK = 'link'

function higher(
  what: string,
  subject: string,
  against: string | string[],
  measure: string,
  goal: number,
  least: number,
): Goal {
  return { what, subject, against: [against].flat(), measure, better: 'higher', goal, least }
}
function lower(...args: Parameters<typeof higher>): Goal {
  return { ...higher(...args), better: 'lower' }
}

const GOALS: readonly Goal[] = [
  higher('plain SOCKS, 1 download', PLAIN, ['Dante', 'squid'], 'down-1', 1.5, 1.1),
  higher('plain SOCKS, 8 downloads', PLAIN, ['Dante', 'squid'], 'down-8', 1.5, 1.1),
  lower('plain, CPU seconds per GB', PLAIN, 'Dante', 'cpu-per-gb', 0.6, 0.9),
  higher('plain, connections a second', PLAIN, 'Dante', 'fresh-32', 1.2, 0.6),
  higher('plain, connections a second', PLAIN, 'microsocks', 'fresh-32', 0.9, 0.4),
  lower('plain, p99 of a fresh request, one at a time', PLAIN, 'Dante', 'fresh-1-p99', 1, 2.5),
  higher('tunnel, 8 downloads', TUNNEL, SHADOWSOCKS, 'down-8', 1.3, 0.9),
  higher('tunnel, 1 download', TUNNEL, SHADOWSOCKS, 'down-1', 1.1, 0.7),
  higher('tunnel, 1 upload', TUNNEL, SHADOWSOCKS, 'up-1', 1.1, 0.7),
  higher('tunnel, 8 downloads', TUNNEL, 'v2ray (WebSocket + TLS)', 'down-8', 4, 2.5),
  higher('tunnel, connections a second', TUNNEL, SHADOWSOCKS, 'fresh-32', 0.8, 0.4),
  higher('tunnel, connections a second', TUNNEL, 'trojan', 'fresh-32', 2, 1.1),
  lower('tunnel, p99 of a fresh request, one at a time', TUNNEL, SHADOWSOCKS, 'fresh-1-p99', 1, 2.5),
  lower('tunnel, idle memory a connection on the gateway', TUNNEL, SHADOWSOCKS, 'idle-kib', 0.4, 0.7),
  lower('tunnel, ping-pong p99 under 8 downloads', TUNNEL, 'ssh -D', 'loaded-p99', 0.5, 1),
  higher('tunnel, 1 download over 200 ms and 100 Mbit/s', TUNNEL, LINK, 'link-share', 0.95, 0.8),
]

export function judgeGoals(subjects: readonly SubjectResult[]): GoalResult[] {
  const samplesOf = (name: string, measure: string): readonly number[] =>
    subjects.find((subject) => subject.name === name)?.figures[measure]?.samples ?? []
  return GOALS.map(({ against, ...goal }) => {
    const { subject, measure, better } = goal
    const mine = samplesOf(subject, measure)
    const found = against
      .map((name) => ({ name, samples: name === LINK ? mine.map(() => 1) : samplesOf(name, measure) }))
      .filter(({ samples }) => samples.length > 0)
      .toSorted((one, other) => median(other.samples) - median(one.samples))
    const best = better === 'higher' ? found[0] : found.at(-1)
    const named = { ...goal, against: best?.name ?? against.join(', ') }
    if (best === undefined || mine.length === 0)
      return { ...named, ratio: null, low: null, high: null, verdict: 'not-measured' }
    const { ratio, low, high } = ratioOf(mine, best.samples)
    const reaches = (mark: number): boolean => (better === 'higher' ? ratio >= mark : ratio <= mark)
    const verdict = reaches(goal.goal) ? 'goal' : reaches(goal.least) ? 'least' : 'missed'
    const [ratioShown, lowShown, highShown] = [ratio, low, high].map((value) => Number(value.toPrecision(3)))
    return { ...named, ratio: ratioShown ?? null, low: lowShown ?? null, high: highShown ?? null, verdict }
  })
}
