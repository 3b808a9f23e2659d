// Requests at a steady rate through HTTP proxies, each on a connection of its own, and what became of each of them.
import http from 'node:http'

export interface Tally {
  readonly asked: number
  readonly failures: readonly string[]
  /** Milliseconds that each answered one took. */
  readonly tookMs: readonly number[]
}

/** One request by absolute-form; rejects unless it is answered with 200 and the whole body. */
export function askThrough(proxyPort: number, url: string, timeoutMs = 10_000): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = http.request(
      {
        host: '127.0.0.1',
        port: proxyPort,
        path: url,
        headers: { host: new URL(url).host },
        agent: false,
        timeout: timeoutMs,
      },
      (response) => {
        let body = ''
        response.setEncoding('utf8').on('data', (text: string) => (body += text))
        response.on('error', reject)
        response.on('end', () =>
          response.statusCode === 200 && response.complete
            ? resolve()
            : reject(new Error(`status ${response.statusCode}: ${body.trim()}`)),
        )
      },
    )
    request.on('timeout', () => request.destroy(new Error('timeout')))
    request.on('error', reject)
    request.end()
  })
}

/** Asks `perSecond` times a second, of each port in turn, for as long as `work` takes. */
export async function underLoad(
  perSecond: number,
  ports: readonly number[],
  url: string,
  work: () => Promise<void>,
): Promise<Tally> {
  const failures: string[] = []
  const tookMs: number[] = []
  const open = new Set<Promise<void>>()
  let asked = 0
  const startedMs = performance.now()
  const tick = setInterval(() => {
    // What a late tick has missed is asked too: the rate holds over the whole.
    while (asked < ((performance.now() - startedMs) / 1000) * perSecond) {
      const index = asked % ports.length
      const askedMs = performance.now()
      asked += 1
      const one = askThrough(ports[index] ?? 0, url)
        .then(() => void tookMs.push(performance.now() - askedMs))
        .catch(
          (error: unknown) =>
            void failures.push(`${index} at ${Math.round(askedMs - startedMs)} ms: ${String(error)}`),
        )
        .finally(() => open.delete(one))
      open.add(one)
    }
  }, 5)
  try {
    await work()
  } finally {
    clearInterval(tick)
  }
  await Promise.all(open)
  return { asked, failures, tookMs }
}

export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
}
