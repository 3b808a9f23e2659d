// A real Prometheus on loopback with the project's own rules, and four weeks of history that promtool has written for it.
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { eventually } from '../../support/eventually.ts'
import { freePort } from '../../support/free-port.ts'
import { start, succeed } from '../../support/programs.ts'
import type { TempDir } from '../../support/temp-dir.ts'

const RULES = path.join(import.meta.dirname, '../../../config/deploy/prometheus')
const WEEK_S = 7 * 86_400

export interface Prometheus extends AsyncDisposable {
  /** The value of each series that an expression gives. */
  query(expr: string): Promise<number[]>
}

/** `usual`: tunnel sessions that there were at this hour in each of the past four weeks. */
export async function startPrometheus(
  dir: TempDir,
  targets: readonly number[],
  usual: readonly number[],
): Promise<Prometheus> {
  const port = await freePort()
  const data = dir.file('prometheus')
  await mkdir(data)
  const nowS = Math.floor(Date.now() / 1000)
  const samples = usual
    .flatMap((sessions, index) =>
      // The hour before and the quarter after: the test goes on while it is compared with.
      Array.from({ length: 75 }, (_, minute) => {
        const at = nowS - (usual.length - index) * WEEK_S - 3_600 + minute * 60
        return `sightline_tunnel_sessions{job="sightline",instance="history"} ${sessions} ${at}`
      }),
    )
    .join('\n')
  await writeFile(
    dir.file('history.om'),
    `# HELP sightline_tunnel_sessions history\n# TYPE sightline_tunnel_sessions gauge\n${samples}\n# EOF\n`,
  )
  await succeed('promtool', ['tsdb', 'create-blocks-from', 'openmetrics', dir.file('history.om'), data], {
    timeoutMs: 60_000,
  })
  for (const name of ['rules.yml', 'observatory.yml']) {
    const rules = await readFile(path.join(RULES, name), 'utf8')
    await writeFile(dir.file(name), rules.replaceAll(/interval: \d+[sm]/g, 'interval: 1s'))
  }
  await writeFile(
    dir.file('prometheus.yml'),
    JSON.stringify({
      global: { scrape_interval: '1s', evaluation_interval: '1s' },
      rule_files: ['rules.yml', 'observatory.yml'],
      scrape_configs: [
        {
          job_name: 'sightline',
          static_configs: [{ targets: targets.map((target) => `127.0.0.1:${target}`) }],
        },
      ],
    }),
  )
  const child = start('prometheus', [
    `--config.file=${dir.file('prometheus.yml')}`,
    `--storage.tsdb.path=${data}`,
    '--storage.tsdb.retention.time=35d',
    `--web.listen-address=127.0.0.1:${port}`,
  ])
  let said = ''
  child.stderr?.on('data', (text: Buffer) => (said += text.toString()))
  const exited = new Promise<void>((resolve) => child.on('close', () => resolve()))
  const get = async (target: string): Promise<string> => {
    const response = await fetch(`http://127.0.0.1:${port}${target}`)
    if (!response.ok) throw new Error(`prometheus says ${response.status}: ${said.slice(-500)}`)
    return response.text()
  }
  await eventually(() => get('/-/ready'), 600)
  return {
    query: async (expr) => {
      const answer = JSON.parse(await get(`/api/v1/query?query=${encodeURIComponent(expr)}`)) as {
        data: { result: ReadonlyArray<{ value: [number, string] }> }
      }
      return answer.data.result.map(({ value }) => Number(value[1]))
    },
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL')
      await exited
    },
  }
}
