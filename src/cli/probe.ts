// sightline probe: the far end of audits over a network, until it is told to stop.
import net from 'node:net'
import os from 'node:os'
import { parseListenAddress } from '../config/address.ts'
import { startProbe, type ProbeOptions } from '../lab/audit/probe.ts'
import { formatProbeUrl, isZone } from '../lab/audit/probe-url.ts'
import { readCall } from './arguments.ts'
import { fail, usage } from './failure.ts'
import type { ServiceIo } from './io.ts'

const HELP = `usage: sightline probe [--listen 0.0.0.0:9002] [--host NAME] [--zone NAME] [--json]

  the far end of an audit: a site with and without TLS, a name server and a UDP echo, that note what arrives;
  start it on a host that the proxy can reach, and give the address that it prints to sightline audit --origin

  the address holds a token: with it an audit knows this probe through a proxy that it does not trust, and
  nobody without it is served; every start makes a new one. Hand it over by a way that is not the proxy

  --listen A    where: the port for http, the next for https, the one after for UDP; port 0 takes any three
  --host NAME   name or address by which the proxy is to reach this host; a name shows whether the proxy
                resolves names; default the first address of this host
  --zone NAME   a zone that is delegated to this host (audit.example. NS probe.example.): each audit then
                goes to a name of its own in it, and who asks for that name is seen
  --dns-port P  where the zone's name server listens, UDP and TCP; default 53, where resolvers ask; another
                where a firewall of this host sends 53 on to it
  --address A   what names of the zone have as their address; default --host where that is one, else the
                first address of this host
  --json        one JSON object a line on standard output

examples:
  sightline probe --host probe.example
  sightline probe --host probe.example --zone audit.example
  sightline probe --listen 127.0.0.1:0 --host localhost`

const DEFAULT_LISTEN = '0.0.0.0:9002'
const LAST_PORT = 65_533
const DNS_PORT = '53'

export async function probeCommand(args: string[], io: ServiceIo): Promise<number> {
  const call = readCall(args, io, {
    command: 'probe',
    help: HELP,
    words: false,
    options: {
      listen: { type: 'string', default: DEFAULT_LISTEN },
      host: { type: 'string' },
      zone: { type: 'string' },
      'dns-port': { type: 'string', default: DNS_PORT },
      address: { type: 'string' },
      json: { type: 'boolean' },
    },
  })
  if (typeof call === 'number') return call
  const { values } = call
  const listen = parseListenAddress(values.listen)
  if (listen === undefined || listen.port > LAST_PORT || listen.host.includes(':'))
    return usage(io, `${JSON.stringify(values.listen)} is no IPv4 address and port`, 'probe')
  const host = values.host ?? (listen.host === '0.0.0.0' ? firstAddress() : listen.host)
  if (!/^[A-Za-z0-9._:-]+$/.test(host))
    return usage(io, `${JSON.stringify(host)} is no name of a host`, 'probe')
  const names = namesOf(values, host)
  if (typeof names === 'string') return usage(io, names, 'probe')
  const stopped = Promise.withResolvers<void>()
  io.onSignal('SIGTERM', stopped.resolve)
  io.onSignal('SIGINT', stopped.resolve)
  try {
    const { port } = listen
    const ports =
      port === 0 ? { http: 0, https: 0, echo: 0 } : { http: port, https: port + 1, echo: port + 2 }
    const probe = await startProbe({ listen: listen.host, host, ports, names })
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

/** The zone and its name server; undefined without a zone, and what is wrong with it where something is. */
function namesOf(
  values: {
    readonly zone?: string | undefined
    readonly address?: string | undefined
    readonly 'dns-port': string
  },
  host: string,
): ProbeOptions['names'] | string {
  const zone = values.zone?.toLowerCase().replace(/\.$/, '')
  if (zone === undefined)
    return values.address === undefined && values['dns-port'] === DNS_PORT
      ? undefined
      : '--dns-port and --address are for a zone: name it with --zone'
  if (!isZone(zone)) return `${JSON.stringify(zone)} is no name of a zone`
  const port = Number(values['dns-port'])
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    return `${JSON.stringify(values['dns-port'])} is no port`
  const address = values.address ?? (net.isIPv4(host) ? host : firstAddress())
  return net.isIPv4(address) ? { zone, port, address } : `${JSON.stringify(address)} is no IPv4 address`
}

/** The first IPv4 address of this host that others could reach; on a host without one its own. */
function firstAddress(): string {
  const all = Object.values(os.networkInterfaces()).flatMap((some) => some ?? [])
  return all.find(({ family, internal }) => family === 'IPv4' && !internal)?.address ?? '127.0.0.1'
}
