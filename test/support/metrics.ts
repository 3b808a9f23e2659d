// Reads Prometheus' text format as a test asks of it: the sum of all samples of a name with these labels.
// Rule: a sample that is not there is 0 to `sum`, and nothing to `samples`.

export interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

export type MetricsText = string

/** Every sample of one name whose labels include `labels`. */
export function samples(text: MetricsText, name: string, labels: Record<string, string> = {}): Sample[] {
  const found: Sample[] = []
  for (const line of text.split('\n')) {
    const match = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line)
    if (match === null || match[1] !== name) continue
    const own = Object.fromEntries(
      [...(match[2] ?? '').matchAll(/(\w+)="([^"]*)"/g)].map(([, key, value]) => [key ?? '', value ?? '']),
    )
    if (Object.entries(labels).every(([key, value]) => own[key] === value)) {
      found.push({ name, labels: own, value: Number(match[3]) })
    }
  }
  return found
}

/** Their sum. */
export function sum(text: MetricsText, name: string, labels: Record<string, string> = {}): number {
  return samples(text, name, labels).reduce((total, sample) => total + sample.value, 0)
}
