// The deployment files as tests read them.
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { parseAllDocuments, parse } from 'yaml'
import { parseConfig } from '../../src/config/load.ts'
import type { Config } from '../../src/config/schema.ts'
import { Metrics } from '../../src/telemetry/metrics.ts'

export const ROOT = path.join(import.meta.dirname, '../..')
export const DEPLOY = path.join(ROOT, 'config/deploy')

export const read = (file: string): Promise<string> => readFile(path.join(DEPLOY, file), 'utf8')

export async function readYaml(file: string): Promise<unknown> {
  return parse(await read(file), { merge: true }) as unknown
}

/** Each document of a file of manifests. */
export async function manifests(file: string): Promise<Array<Record<string, unknown>>> {
  return parseAllDocuments(await read(file)).map((document) => document.toJS() as Record<string, unknown>)
}

/** A config as the program reads it. */
export async function readConfig(file: string): Promise<Config> {
  return parseConfig(await read(file), file)
}

export function portOf(listen: string): number {
  return Number(/:(\d+)$/.exec(listen)?.[1])
}

/** Every name of a series that a process shows, without one having happened. */
export async function seriesNames(): Promise<Set<string>> {
  const metrics = new Metrics('test')
  metrics.workers(() => 0)
  const { registry } = metrics
  const names = new Set<string>()
  for (const { name, type } of await registry.getMetricsAsJSON()) {
    names.add(name)
    // prom-client tells the type by name here, by number in its declarations.
    if (String(type) === 'histogram')
      for (const suffix of ['_bucket', '_sum', '_count']) names.add(`${name}${suffix}`)
  }
  return names
}
