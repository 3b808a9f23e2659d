// What an outbound may be in a config file: the shapes, and the checks between their settings. Pure. Rule: no message
// repeats what may hold a password.
import { z } from 'zod'
import { readProxyUrl, upstreamProblem, type ProxyType } from './proxy-url.ts'

const path = z.string().min(1)
const MAX_GATEWAYS = 8
const MAX_CONNECTIONS = 16

const directSchema = z.strictObject({
  type: z.literal('direct'),
  localAddress: z.union([z.ipv4(), z.ipv6()]).optional().describe('Address of this machine to dial from'),
})

function proxyUrl(type: ProxyType): z.ZodString {
  return z.string().superRefine((text, context) => {
    const read = readProxyUrl(text, type)
    if ('problem' in read) context.addIssue({ code: 'custom', message: read.problem })
  })
}

const upstreamUser = {
  username: z.string().min(1).optional().describe('User name for it, where the url holds none'),
  passwordFile: path.optional().describe('File with the password; better than a password in the url'),
}

const httpProxy = {
  url: proxyUrl('http').describe(
    'Upstream proxy, asked by CONNECT: http://host:3128, or https:// for TLS to it',
  ),
  ...upstreamUser,
  authority: path
    .optional()
    .describe('PEM file: the authority of its certificate; default those that Node knows'),
}

const gatewayUrl = z.url({
  protocol: /^wss$/,
  error: 'not a tunnel address; write it as wss://host:8443/tunnel',
})

const tunnelSchema = z.strictObject({
  type: z.literal('tunnel'),
  url: z
    .union([gatewayUrl, z.array(gatewayUrl).min(1).max(MAX_GATEWAYS)], {
      error: 'not a tunnel address, or a list of up to 8; write each as wss://host:8443/tunnel',
    })
    .describe('The gateway, or several in order of preference: the first that can be reached is used'),
  certificate: path.optional().describe("PEM file: this client's certificate"),
  key: path.optional(),
  connections: z
    .union([z.literal('auto'), z.int().min(1).max(MAX_CONNECTIONS)], {
      error: 'not a number of connections; write auto, or a number from 1 to 16',
    })
    .default('auto')
    .describe(
      'Connections to the gateway that share the streams; auto: one, and up to 4 while they are busy',
    ),
  authority: path.describe("PEM file: the authority that the gateway's certificate must come from"),
  proxy: z
    .strictObject(httpProxy)
    .optional()
    .describe('HTTP proxy on the way to the gateway; nothing is read from HTTPS_PROXY'),
})

const socksSchema = z.strictObject({
  type: z.literal('socks'),
  url: proxyUrl('socks').describe(
    'Upstream proxy: socks5h:// and socks4a:// hand names on, socks5:// looks them up here',
  ),
  ...upstreamUser,
})

const httpSchema = z.strictObject({ type: z.literal('http'), ...httpProxy })

export const outboundSchema = z.discriminatedUnion('type', [
  directSchema,
  tunnelSchema,
  socksSchema,
  httpSchema,
])
export type OutboundSettings = z.output<typeof outboundSchema>

export interface Problem {
  readonly path: readonly string[]
  readonly message: string
}

/** What is wrong between the settings of one outbound, each with the setting to look at. */
export function outboundProblems(outbound: OutboundSettings): Problem[] {
  if (outbound.type === 'direct') return []
  const upstream = outbound.type === 'tunnel' ? outbound.proxy : outbound
  const problem = upstream && upstreamProblem(upstream, outbound.type === 'socks' ? 'socks' : 'http')
  const problems: Problem[] = []
  if (problem !== undefined) {
    const where = outbound.type === 'tunnel' ? ['proxy', problem.key] : [problem.key]
    problems.push({ path: where, message: problem.message })
  }
  if (outbound.type === 'tunnel' && (outbound.certificate === undefined) !== (outbound.key === undefined)) {
    problems.push({ path: [], message: 'certificate and key go together: give both or neither' })
  }
  return problems
}
