// sightline serve: any role that a config file describes.
import cluster from 'node:cluster'
import os from 'node:os'
import { loadConfig } from '../config/load.ts'
import type { Config } from '../config/schema.ts'
import { GatewayError } from '../errors.ts'
import { readCall } from './arguments.ts'
import { fail, usage } from './failure.ts'
import type { ServiceIo } from './io.ts'
import { provideFiles } from './needed-files.ts'
import { runPrimary } from './serve-primary.ts'
import { runWorker } from './serve-worker.ts'
import { runService } from './service.ts'

const HELP = `usage: sightline serve --config FILE [--json]

  runs the proxies and tunnels that FILE describes, until SIGTERM

  --config FILE   the configuration; config/gateway.yaml is a commented example; default $SIGHTLINE_CONFIG
  --json          one JSON object a line on standard output

  \${NAME} and \${NAME:-default} in FILE stand for what the environment holds; with SIGHTLINE_DEV_PKI=1
  certificates that are missing are made, for development

certificates, revocation lists and users are read again by themselves when their files change

signals: SIGHUP reads FILE and all that it names again, ends no connection for it, and changes nothing
where something is wrong; SIGTERM serves on for drainDelayMs, not ready any more, then lets open
connections finish; a second SIGTERM stops at once

examples:
  sightline config check gateway.yaml && sightline serve --config gateway.yaml
  curl -x http://127.0.0.1:3128 http://example.org/`

export async function serveCommand(args: string[], io: ServiceIo): Promise<number> {
  const call = readCall(args, io, {
    command: 'serve',
    help: HELP,
    words: false,
    options: { config: { type: 'string' }, json: { type: 'boolean' } },
  })
  if (typeof call === 'number') return call
  const { values } = call
  const file = values.config ?? io.env['SIGHTLINE_CONFIG']
  if (file === undefined) return usage(io, 'no config file given: add --config FILE', 'serve')
  try {
    if (cluster.isWorker) return await runWorker(io)
    const config = loadConfig(file, io.env)
    const workers = workersOf(config)
    const reread = (): Config => {
      const next = loadConfig(file, io.env)
      if (workersOf(next) === workers) return next
      throw new GatewayError('config-invalid', {
        detail: `workers: it is ${workers} now, and changes only with a new start`,
        hint: 'stop this gateway and start it again',
      })
    }
    await provideFiles(config, io)
    const options = { config, reread, admin: true, json: values.json === true }
    return await (workers > 1 ? runPrimary({ ...options, workers }, io) : runService(options, io))
  } catch (thrown) {
    return fail(io, thrown)
  }
}

function workersOf({ workers }: Config): number {
  return workers === 'auto' ? os.availableParallelism() : workers
}
