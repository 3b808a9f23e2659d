// What Prometheus and Grafana are given: rules that promtool accepts and that do with samples what they are meant to do,
// and a dashboard each of whose queries is valid and asks for series that there are.
import { copyFile, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { stringify } from 'yaml'
import { isMissing, run, succeed } from '../support/programs.ts'
import { tempDir } from '../support/temp-dir.ts'
import { DEPLOY, read, readYaml, seriesNames } from './files.ts'

interface Rule {
  readonly record?: string
  readonly alert?: string
  readonly expr: string
}

interface Panel {
  readonly id: number
  readonly type: string
  readonly title: string
  readonly datasource?: { readonly uid: string }
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
  readonly targets?: ReadonlyArray<{ readonly expr: string }>
}

interface Dashboard {
  readonly uid: string
  readonly panels: readonly Panel[]
  readonly templating: {
    readonly list: ReadonlyArray<{ readonly name: string; readonly definition: string }>
  }
}

const RULE_FILES = ['prometheus/rules.yml', 'prometheus/observatory.yml']
const rules: Rule[] = []
let dashboard: Dashboard
beforeAll(async () => {
  for (const file of RULE_FILES) {
    const { groups } = (await readYaml(file)) as { groups: ReadonlyArray<{ rules: Rule[] }> }
    rules.push(...groups.flatMap((group) => group.rules))
  }
  dashboard = JSON.parse(await read('grafana/dashboards/sightline.json')) as Dashboard
})

/** Series that an expression asks for. */
function seriesOf(expr: string): string[] {
  return expr.match(/(?<![\w:"])(?:sightline|process|nodejs)[_:][\w:]+/g) ?? []
}

function unknownSeries(exprs: readonly string[], known: ReadonlySet<string>): string[] {
  return exprs.flatMap(seriesOf).filter((name) => !known.has(name))
}

const expressions = (): string[] => [
  ...dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)),
]

describe('the rules', () => {
  it.skipIf(isMissing('promtool'))(
    'are accepted, with the config that names them (needs promtool)',
    async () => {
      await succeed('promtool', ['check', 'config', path.join(DEPLOY, 'prometheus/prometheus.yml')])
      const { stdout } = await succeed('promtool', [
        'check',
        'rules',
        ...RULE_FILES.map((file) => path.join(DEPLOY, file)),
      ])
      expect(stdout.toString().match(/SUCCESS: \d+ rules found/g)?.length).toBe(RULE_FILES.length)
    },
  )

  it.skipIf(isMissing('promtool'))(
    'alert on what they are meant to, and compare with four weeks (needs promtool)',
    { timeout: 30_000 },
    async () => {
      await using dir = await tempDir()
      for (const name of ['rules.test.yml', 'observatory.test.yml'])
        await copyFile(path.join(import.meta.dirname, name), dir.file(name))
      await copyFile(path.join(DEPLOY, 'prometheus/rules.yml'), dir.file('rules.yml'))
      // Four weeks in steps of five minutes take promtool most of a minute.
      const observatory = await read('prometheus/observatory.yml')
      await writeFile(dir.file('observatory.yml'), observatory.replace('interval: 5m', 'interval: 2h'))
      const tested = await run(
        'promtool',
        ['test', 'rules', dir.file('rules.test.yml'), dir.file('observatory.test.yml')],
        { timeoutMs: 30_000 },
      )
      expect(`${tested.stdout.toString()}${tested.stderr}`.match(/SUCCESS|FAILED[^]*/g)).toEqual([
        'SUCCESS',
        'SUCCESS',
      ])
      // The same with a rule that is wrong is red.
      const wrong = await read('prometheus/rules.yml')
      await writeFile(dir.file('rules.yml'), wrong.replace('readable="yes"', 'readable="no"'))
      expect((await run('promtool', ['test', 'rules', dir.file('rules.test.yml')])).code).toBe(1)
    },
  )

  it('ask for series that there are', async () => {
    const known = await seriesNames()
    for (const { record } of rules) if (record !== undefined) known.add(record)
    expect(rules.length).toBeGreaterThan(20)
    expect(
      unknownSeries(
        rules.map(({ expr }) => expr),
        known,
      ),
    ).toEqual([])
    expect(unknownSeries(['rate(sightline_nothing_total[5m])'], known)).toEqual(['sightline_nothing_total'])
  })
})

describe('the dashboard', () => {
  it('asks for series that there are', async () => {
    const known = await seriesNames()
    for (const { record } of rules) if (record !== undefined) known.add(record)
    expect(expressions().length).toBeGreaterThan(25)
    expect(
      unknownSeries(
        [...expressions(), ...dashboard.templating.list.map(({ definition }) => definition)],
        known,
      ),
    ).toEqual([])
  })

  it.skipIf(isMissing('promtool'))('asks in queries that are valid (needs promtool)', async () => {
    await using dir = await tempDir()
    const check = async (exprs: readonly string[]): Promise<string> => {
      const queries = exprs.map((expr, index) => ({
        record: `panel:${index}`,
        expr: expr.replaceAll('$__rate_interval', '5m').replaceAll(/\$(job|instance)/g, '.*'),
      }))
      await writeFile(dir.file('queries.yml'), stringify({ groups: [{ name: 'panels', rules: queries }] }))
      const { stdout, stderr } = await run('promtool', ['check', 'rules', dir.file('queries.yml')])
      return `${stdout.toString()}${stderr}`
    }
    expect(await check(expressions())).toContain(`SUCCESS: ${expressions().length} rules found`)
    expect(await check(['rate(sightline_streams_total)'])).toContain('FAILED')
  })

  it('lays each panel in a place of its own, on the data source that is provisioned', async () => {
    const { panels } = dashboard
    const { datasources } = (await readYaml('grafana/provisioning/datasources/prometheus.yaml')) as {
      datasources: ReadonlyArray<{ uid: string }>
    }
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length)
    const uids = panels.filter(({ type }) => type !== 'row').map(({ datasource }) => datasource?.uid)
    expect(new Set(uids)).toEqual(new Set([datasources[0]?.uid]))
    for (const [index, { gridPos: one, title }] of panels.entries()) {
      expect(one.x + one.w, title).toBeLessThanOrEqual(24)
      for (const { gridPos: other } of panels.slice(index + 1)) {
        const apart =
          one.x + one.w <= other.x ||
          other.x + other.w <= one.x ||
          one.y + one.h <= other.y ||
          other.y + other.h <= one.y
        expect(apart, title).toBe(true)
      }
    }
  })

  it('is where its provider looks for it', async () => {
    const { providers } = (await readYaml('grafana/provisioning/dashboards/sightline.yaml')) as {
      providers: ReadonlyArray<{ options: { path: string } }>
    }
    const compose = await readFile(path.join(DEPLOY, 'compose/compose.yaml'), 'utf8')
    expect(compose).toContain(`../grafana/dashboards:${providers[0]?.options.path}:ro`)
  })
})
