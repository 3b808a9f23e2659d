// The shape of a config file (DESIGN's contract), its defaults and its checks. Pure. Rules: unknown keys are
// errors; what is unsafe must be asked for in so many words; every message says how to mend it.
import { z } from 'zod'
import { isLoopback, parseCidr, parseListenAddress, parsePortRange } from './address.ts'
import { outboundProblems, outboundSchema, type OutboundSettings, type Problem } from './outbounds.ts'
import { stateProblems, stateSchema } from './state.ts'
import { quotaSchema, repeatedQuotas, usageSchema } from './usage.ts'

const listen = z
  .string()
  .refine((text) => parseListenAddress(text) !== undefined, {
    error: 'not an address to listen on; write it as 127.0.0.1:3128 or [::1]:3128',
  })
  .describe('Address and port, as 127.0.0.1:3128 or [::1]:3128; port 0 takes any free one')

const cidr = z.string().refine((text) => parseCidr(text) !== undefined, {
  error: 'not a range of addresses; write it as 10.0.0.0/8 or ::1/128',
})

const path = z.string().min(1)
const milliseconds = z
  .int()
  .min(1)
  .max(86_400_000 * 7)
const bytes = z.int().min(0)

const tlsSchema = z.strictObject({
  certificate: path.describe('PEM file: the certificate of this listener'),
  key: path.describe('PEM file: its private key'),
  clientAuthority: path
    .optional()
    .describe('PEM file: ask for, and require, a client certificate of this authority'),
  clientCertificate: z
    .enum(['required', 'optional'])
    .default('required')
    .describe('optional: a client may come without one; on http only'),
  revocationList: path.optional().describe("The authority's revocation list"),
  sessionTickets: z
    .boolean()
    .default(true)
    .describe('Clients may resume a TLS session; they are judged all the same'),
})

const authSchema = z.strictObject({
  users: path.optional().describe('File with lines of name:scrypt-hash (sightline user add)'),
  sources: z.array(cidr).min(1).optional().describe('Addresses that may connect'),
})

const udpSchema = z.strictObject({
  ports: z
    .string()
    .refine((text) => parsePortRange(text) !== undefined, {
      error: 'not a range of ports; write it as "40000-40999", the smaller one first',
    })
    .describe('Ports for UDP relays, as 40000-40999, one for each association; default any free port'),
})

const inboundSchema = z.strictObject({
  type: z.enum(['http', 'socks', 'mixed', 'tunnel']),
  listen,
  tls: tlsSchema.optional(),
  auth: authSchema.optional().describe('What a client must show; all that is listed must hold'),
  allowOpenProxy: z.boolean().optional().describe('true: serve anybody who can reach this address'),
  udp: udpSchema.optional().describe('UDP ASSOCIATE of SOCKS5'),
  proxyProtocol: z
    .array(cidr)
    .min(1)
    .optional()
    .describe(
      'Balancers that send a PROXY header (v1 or v2) before all else; from any other address none is believed',
    ),
  outbound: z.string().default('direct').describe('Name of the outbound that dials'),
})

const egressRules = {
  allow: z.array(z.string()).default([]),
  deny: z.array(z.string()).default([]),
  allowOnly: z.boolean().default(false),
}

const egressSchema = z.strictObject({
  mode: z.enum(['enforce', 'report']).default('enforce'),
  ...egressRules,
  identities: z
    .record(z.string().min(1), z.strictObject(egressRules))
    .default({})
    .describe(
      'By user or certificate name: rules beside the general ones; a deny of either beats an allow of either',
    ),
})

/** An address, or an address with a port; no name, which would have to be looked up first. */
function isDnsServer(text: string): boolean {
  if (z.union([z.ipv4(), z.ipv6()]).safeParse(text).success) return true
  return !/^(?:localhost|\*|.*:0+$)/.test(text) && parseListenAddress(text) !== undefined
}

const dnsServer = z.string().refine(isDnsServer, {
  error: 'not the address of a DNS server; write it as 192.0.2.1, 192.0.2.1:53 or [2001:db8::1]:53',
})

const dnsSchema = z
  .strictObject({
    servers: z.array(dnsServer).min(1).optional().describe('DNS servers to ask; default those of the system'),
    localAddress: z
      .union([z.ipv4(), z.ipv6()])
      .optional()
      .describe('Address of this machine to ask from; default what leads to the server'),
    timeoutMs: milliseconds.default(5_000).describe('One look-up, all tries together'),
    cacheEntries: z
      .int()
      .min(0)
      .max(1_000_000)
      .default(10_000)
      .describe('Names that are remembered; 0 remembers none'),
    minTtlMs: z.int().min(0).max(3_600_000).default(0).describe('An answer is kept at least so long'),
    maxTtlMs: z
      .int()
      .min(0)
      .max(86_400_000)
      .default(300_000)
      .describe('An answer is kept no longer than this'),
  })
  .refine(({ minTtlMs, maxTtlMs }) => minTtlMs <= maxTtlMs, {
    error: 'is more than maxTtlMs; give the smaller one here',
    path: ['minTtlMs'],
  })

const limitsSchema = z.strictObject({
  connections: z.int().min(1).default(8_000).describe('Client connections at once, over all inbounds'),
  connectionsPerSource: z
    .int()
    .min(1)
    .default(6_000)
    .describe('Of these, from one source: an IPv4 address or an IPv6 /64'),
  connectionsPerIdentity: z
    .int()
    .min(1)
    .default(4_096)
    .describe('Streams, requests and associations at once of one user or certificate'),
  sessionsPerIdentity: z.int().min(1).default(64).describe('Tunnel sessions at once of one certificate'),
  newConnectionsPerSecond: z
    .int()
    .min(0)
    .default(10_000)
    .describe('New client connections a second in all; 0 sets no limit'),
  newConnectionsPerSourcePerSecond: z
    .int()
    .min(0)
    .default(5_000)
    .describe('Of these, from one source; 0 sets no limit'),
  bytesPerSecondPerIdentity: bytes
    .default(0)
    .describe('In each direction, for one user or certificate; 0 sets no limit'),
  bytesPerDayPerIdentity: bytes
    .default(0)
    .describe('In both directions together, from midnight to midnight UTC; 0 sets no limit'),
  quotas: z.array(quotaSchema).default([]).describe('Who may move another number of bytes a day'),
  streamsPerTunnel: z.int().min(1).max(65_536).default(1_024),
  headBytes: z.int().min(1_024).max(1_048_576).default(32_768).describe('Largest HTTP head'),
  handshakeMs: milliseconds.default(10_000).describe('From accept to a complete request'),
  dialMs: milliseconds.default(10_000).describe('From the request to a connected upstream'),
  idleMs: milliseconds.default(600_000).describe('A relay in which nothing moves'),
  lifetimeMs: z
    .int()
    .min(0)
    .max(86_400_000 * 7)
    .default(0)
    .describe('A relay or an association, whatever moves in it; 0 sets no limit'),
  udpAssociations: z
    .int()
    .min(0)
    .max(16_384)
    .default(256)
    .describe('UDP associations at once; 0 serves none'),
  udpDestinations: z
    .int()
    .min(1)
    .max(65_536)
    .default(256)
    .describe('Destinations of one UDP association at once'),
  udpIdleMs: milliseconds.default(120_000).describe('A UDP association in which nothing moves'),
  keepAliveMs: milliseconds.default(30_000).describe('An HTTP client connection between two requests'),
})

const adminSchema = z.strictObject({
  listen: listen.default('127.0.0.1:9901'),
  allowFrom: z.array(cidr).min(1).optional().describe('Addresses that may ask, where it is not on loopback'),
  token: path.optional().describe('File with a bearer token that must be shown'),
  countStep: z
    .int()
    .min(1)
    .max(1_000)
    .default(1)
    .describe('/metrics shows open connections, streams and tunnels in multiples of this'),
})

const WORKERS_MAX = 64

export const configSchema = z
  .strictObject({
    inbounds: z.array(inboundSchema).min(1),
    outbounds: z
      .record(z.string(), outboundSchema)
      .default({})
      .transform((outbounds): Record<string, OutboundSettings> => ({
        direct: { type: 'direct' },
        ...outbounds,
      })),
    egress: egressSchema.prefault({}),
    dns: dnsSchema.prefault({}).describe('How names are looked up: hosts file first, no search domains'),
    limits: limitsSchema.prefault({}),
    log: z
      .strictObject({ level: z.enum(['debug', 'info', 'warn', 'error', 'silent']).default('info') })
      .prefault({}),
    exposure: z.enum(['first-bytes', 'off']).default('first-bytes'),
    admin: adminSchema.prefault({}),
    state: stateSchema.optional().describe('What several gateways share'),
    usage: usageSchema
      .optional()
      .describe('Keeps how much each identity moved on each day; left out: nothing is kept'),
    workers: z
      .union([z.literal('auto'), z.int().min(1).max(WORKERS_MAX)], {
        error: `give a number from 1 to ${WORKERS_MAX}, or auto for one a core`,
      })
      .default(1)
      .describe(
        'Processes that serve, all at the same addresses and within the same limits; auto: one a core',
      ),
    drainDelayMs: z
      .int()
      .min(0)
      .max(3_600_000)
      .default(0)
      .describe('How long it serves on after SIGTERM, not ready any more, so that balancers notice'),
    watchFiles: z
      .boolean()
      .default(true)
      .describe(
        'Certificates, revocation lists and users are read again by themselves when their files change',
      ),
    drainTimeoutMs: milliseconds.default(10_000).describe('What open connections get after that'),
  })
  .superRefine((config, context) => {
    config.inbounds.forEach((inbound, index) => {
      for (const problem of inboundProblems(inbound, config.outbounds)) {
        context.addIssue({
          code: 'custom',
          path: ['inbounds', index, ...problem.path],
          message: problem.message,
        })
      }
    })
    const { admin } = config
    const adminHost = parseListenAddress(admin.listen)?.host
    if (adminHost !== undefined && !isLoopback(adminHost) && !admin.allowFrom && !admin.token) {
      const message = 'the admin address is not on loopback: give allowFrom or token'
      context.addIssue({ code: 'custom', path: ['admin', 'listen'], message })
    }
    for (const [name, outbound] of Object.entries(config.outbounds)) {
      for (const { path: at, message } of outboundProblems(outbound)) {
        context.addIssue({ code: 'custom', path: ['outbounds', name, ...at], message })
      }
    }
    for (const index of repeatedQuotas(config.limits.quotas)) {
      const message = 'it has a quota further up already; give it one'
      context.addIssue({ code: 'custom', path: ['limits', 'quotas', index, 'identity'], message })
    }
    for (const { path: at, message } of config.state === undefined ? [] : stateProblems(config.state))
      context.addIssue({ code: 'custom', path: ['state', ...at], message })
  })

export type Config = z.output<typeof configSchema>
export type ConfigInput = z.input<typeof configSchema>
export type InboundConfig = Config['inbounds'][number]
export type TunnelOutboundConfig = Extract<OutboundSettings, { type: 'tunnel' }>
export type UpstreamOutboundConfig = Extract<OutboundSettings, { type: 'socks' | 'http' }>
export type Limits = Config['limits']

function inboundProblems(inbound: InboundConfig, outbounds: Config['outbounds']): Problem[] {
  const problems: Problem[] = []
  const add = (where: string[], message: string): void => void problems.push({ path: where, message })
  if (!Object.hasOwn(outbounds, inbound.outbound)) {
    add(
      ['outbound'],
      `no outbound has the name "${inbound.outbound}"; there are: ${Object.keys(outbounds).join(', ')}`,
    )
  }
  if (inbound.type === 'tunnel' && inbound.tls?.clientAuthority === undefined) {
    add(['tls'], 'a tunnel needs tls with certificate, key and clientAuthority')
  }
  if (inbound.tls !== undefined && inbound.type !== 'http' && inbound.type !== 'tunnel') {
    add(['tls'], `tls goes with type http or tunnel, not ${inbound.type}`)
  }
  if (inbound.tls?.clientCertificate === 'optional' && inbound.type !== 'http') {
    add(
      ['tls', 'clientCertificate'],
      'optional goes with type http; a tunnel knows its clients by certificate',
    )
  }
  if (inbound.tls?.revocationList !== undefined && inbound.tls.clientAuthority === undefined) {
    add(['tls', 'revocationList'], 'a revocation list needs clientAuthority beside it')
  }
  if (inbound.type === 'tunnel' && inbound.auth?.users !== undefined) {
    add(['auth', 'users'], 'a tunnel knows its clients by certificate; leave users out')
  }
  if (inbound.udp !== undefined && inbound.type !== 'socks' && inbound.type !== 'mixed') {
    add(['udp'], `udp goes with type socks or mixed, not ${inbound.type}`)
  }
  const host = parseListenAddress(inbound.listen)?.host
  const authority = inbound.tls?.clientCertificate === 'optional' ? undefined : inbound.tls?.clientAuthority
  const guarded = inbound.auth?.users ?? inbound.auth?.sources ?? authority
  if (host !== undefined && !isLoopback(host) && guarded === undefined && inbound.allowOpenProxy !== true) {
    add(
      ['listen'],
      `${inbound.listen} can be reached from other machines, and nothing says who may use it; ` +
        'add auth.users, auth.sources or tls.clientAuthority, listen on 127.0.0.1, or set allowOpenProxy: true',
    )
  }
  return problems
}

/** JSON Schema (draft 2020-12) of a config file, for editors. */
export function configJsonSchema(): unknown {
  return z.toJSONSchema(configSchema, { io: 'input', unrepresentable: 'any' })
}
