// sightline probe: the far end of audits over a network, until it is told to stop.
import os from 'node:os'
import { parseArgs } from 'node:util'
import { parseListenAddress } from '../config/address.ts'
import { startProbe } from '../lab/audit/probe.ts'
import { formatProbeUrl } from '../lab/audit/probe-url.ts'
import { fail, usage } from './failure.ts'
import type { ServiceIo } from './io.ts'

const HELP = `usage: sightline probe [--listen 0.0.0.0:9002] [--host NAME] [--json]

  the far end of an audit: a site with and without TLS, a name server and a UDP echo, that note what arrives;
  start it on a host that the proxy can reach, and give the address that it prints to sightline audit --origin

  the address holds a token: with it an audit knows this probe through a proxy that it does not trust, and
  nobody without it is served; every start makes a new one. Hand it over by a way that is not the proxy

  --listen A    where: the port for http, the next for https, the one after for UDP; port 0 takes any three
  --host NAME   name or address by which the proxy is to reach this host; a name shows who resolves it;
                default the first address of this host
  --json        one JSON object a line on standard output

examples:
  sightline probe --host probe.example
  sightline probe --listen 127.0.0.1:0 --host localhost`

const DEFAULT_LISTEN = '0.0.0.0:9002'
const LAST_PORT = 65_533

export async function probeCommand(args: string[], io: ServiceIo): Promise<number> {
  let values
  try {
    values = parseArgs({
      args,
      options: {
        listen: { type: 'string', default: DEFAULT_LISTEN },
        host: { type: 'string' },
        json: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    }).values
  } catch (thrown) {
    return usage(io, (thrown as Error).message, 'probe')
  }
  if (values.help === true) {
    io.out(HELP)
    return 0
  }
  const listen = parseListenAddress(values.listen)
  if (listen === undefined || listen.port > LAST_PORT || listen.host.includes(':'))
    return usage(io, `${JSON.stringify(values.listen)} is no IPv4 address and port`, 'probe')
  const host = values.host ?? (listen.host === '0.0.0.0' ? firstAddress() : listen.host)
  if (!/^[A-Za-z0-9._:-]+$/.test(host))
    return usage(io, `${JSON.stringify(host)} is no name of a host`, 'probe')
  const stopped = Promise.withResolvers<void>()
  io.onSignal('SIGTERM', stopped.resolve)
  io.onSignal('SIGINT', stopped.resolve)
  try {
    const { port } = listen
    const ports =
      port === 0 ? { http: 0, https: 0, echo: 0 } : { http: port, https: port + 1, echo: port + 2 }
    const probe = await startProbe({ listen: listen.host, host, ports })
    const url = formatProbeUrl(probe.address)
    if (values.json === true) io.out(JSON.stringify({ event: 'ready', origin: url }))
    else io.out(`ready probe ${url}\n\nsightline audit PROXY-URL --origin ${url}\n\nstop with control-c`)
    await stopped.promise
    probe.close()
    return 0
  } catch (thrown) {
    return fail(io, thrown)
  }
}

/** The first IPv4 address of this host that others could reach; on a host without one its own. */
function firstAddress(): string {
  const all = Object.values(os.networkInterfaces()).flatMap((some) => some ?? [])
  return all.find(({ family, internal }) => family === 'IPv4' && !internal)?.address ?? '127.0.0.1'
}
