// sightline lab serve: the console by itself, with no gateway beside it, until it is told to stop.
import { parseListenAddress } from '../config/address.ts'
import { startConsole } from '../lab/console/console.ts'
import { Metrics } from '../telemetry/metrics.ts'
import { formatAddress, type ListenAddress } from '../transport/listener.ts'
import { readCall } from './arguments.ts'
import { fail, usage } from './failure.ts'
import type { ServiceIo } from './io.ts'
import { VERSION } from './version.ts'

const HELP = `usage: sightline lab serve [--listen 127.0.0.1:9900] [--seed NAME] [--json]

  the console by itself: sends your own words through two modes at once and shows, in a browser on this
  machine, who can read them; sightline up starts it too, with a gateway beside it

  --listen A    where; on loopback alone; port 0 takes any
  --seed NAME   words that nobody types, and addresses, are a student's own; default random each time
  --json        one JSON object a line on standard output`

const DEFAULT_LISTEN = '127.0.0.1:9900'
const LOOPBACK = new Set(['127.0.0.1', '::1', 'localhost'])

export async function labServe(args: string[], io: ServiceIo): Promise<number> {
  const call = readCall(args, io, {
    command: 'lab serve',
    help: HELP,
    words: false,
    options: {
      listen: { type: 'string', default: DEFAULT_LISTEN },
      seed: { type: 'string' },
      json: { type: 'boolean' },
    },
  })
  if (typeof call === 'number') return call
  const { values } = call
  const listen = loopback(values.listen)
  if (listen === undefined)
    return usage(io, `${JSON.stringify(values.listen)} is no address of this machine alone`, 'lab serve')
  const stopped = Promise.withResolvers<void>()
  io.onSignal('SIGTERM', stopped.resolve)
  io.onSignal('SIGINT', stopped.resolve)
  try {
    const console = await startConsole({
      listen,
      welcome: () => ({ version: VERSION, addresses: [], tries: [], settings: '' }),
      observer: new Metrics(VERSION).observer,
      ...(values.seed !== undefined && { seed: values.seed }),
    })
    const address = formatAddress(console.address)
    if (values.json === true)
      io.out(JSON.stringify({ event: 'ready', addresses: [{ name: 'console', address }] }))
    else io.out(`ready console ${address}\n\nopen http://${address}/; stop with control-c`)
    await stopped.promise
    await console.close()
    return 0
  } catch (thrown) {
    return fail(io, thrown)
  }
}

function loopback(text: string): ListenAddress | undefined {
  const address = parseListenAddress(text)
  return address !== undefined && LOOPBACK.has(address.host) ? address : undefined
}
