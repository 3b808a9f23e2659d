// The lab finds what it is there to find: with each fault switched in, `lab run` exits 1 and names the cell, the control or
// the record that shows it. Rule: a fault changes what the gateway or its client does, never what the lab measures.
import net from 'node:net'
import { Counter } from 'prom-client'
import { describe, expect, it, vi } from 'vitest'
import { labCommand } from '../../src/cli/lab.ts'
import { lookUp } from '../../src/lab/look-up.ts'
import { partiesOf } from '../../src/lab/parties.ts'
import type { Faults } from '../../src/lab/stage.ts'
import type { Outbound } from '../../src/outbound/outbound.ts'

/** Whom the seed makes the client. */
const CLIENT = partiesOf('faults').client
const lab = vi.hoisted(() => ({ faults: {} as Faults }))
vi.mock('../../src/lab/run.ts', async (original) => {
  const real = await original<typeof import('../../src/lab/run.ts')>()
  return {
    ...real,
    runLab: (options: Parameters<typeof real.runLab>[0]) => real.runLab({ ...options, faults: lab.faults }),
  }
})

async function run(args: string[], faults: Faults): Promise<{ readonly code: number; readonly out: string }> {
  const out: string[] = []
  lab.faults = faults
  const code = await labCommand(['run', ...args], {
    out: (line) => out.push(line),
    err: () => {},
    env: {},
    isTty: false,
    readStdin: async () => '',
    log: { write: () => {} },
    onSignal: () => {},
  })
  return { code, out: out.join('\n') }
}

/** Does something before each dial. */
function before(outbound: Outbound, act: (host: string) => void | Promise<void>): void {
  const dial = outbound.dial.bind(outbound)
  outbound.dial = async (request) => {
    await act(request.destination.host)
    return dial(request)
  }
}

interface Case {
  readonly fault: string
  readonly mode: string
  readonly scheme: string
  readonly faults: Faults
  readonly named: readonly RegExp[]
}

const CASES: readonly Case[] = [
  {
    fault: 'a log line with the target',
    mode: 'http-proxy',
    scheme: 'http',
    faults: {
      gatewayOutbound: (outbound, { logs }) =>
        before(outbound, (host) => {
          for (const log of logs) log.info('dial', { host })
        }),
    },
    named: [
      /http-proxy, http: the gateway's log-debug holds destination-name \(hostLabel\): .*sightline\.test/,
      /http-proxy, http: the gateway's log-info holds destination-name \(hostLabel\)/,
    ],
  },
  {
    fault: 'a tunnel without TLS',
    mode: 'tunnel',
    scheme: 'http',
    faults: { tunnelWithoutTls: true },
    named: [/tunnel, http: access-network, content: measured clear, the truth table says sealed/],
  },
  {
    fault: 'an added header',
    mode: 'http-proxy',
    scheme: 'http',
    faults: {
      gatewayOutbound: (outbound) => {
        const dial = outbound.dial.bind(outbound)
        outbound.dial = async (request) => {
          const dialled = await dial(request)
          const write = dialled.stream.write.bind(dialled.stream)
          const forwarded = (chunk: Buffer | string): Buffer =>
            Buffer.from(
              chunk.toString('latin1').replace('\r\n', `\r\nX-Forwarded-For: ${CLIENT}\r\n`),
              'latin1',
            )
          dialled.stream.write = ((chunk: Buffer | string, ...rest: unknown[]) =>
            write(
              chunk.toString('latin1').startsWith('POST ') ? forwarded(chunk) : chunk,
              ...(rest as []),
            )) as never
          return dialled
        }
      },
    },
    named: [/http-proxy, http: destination, client-address: measured clear, the truth table says absent/],
  },
  {
    fault: 'a name that is looked up on the wrong side',
    mode: 'tunnel',
    scheme: 'https',
    faults: {
      clientOutbound: (outbound, stage) =>
        before(outbound, async (host) => {
          if (net.isIP(host) === 0)
            await lookUp(host, { resolver: stage.resolverAddress('client'), from: CLIENT }).catch(() => {})
        }),
    },
    named: [
      /tunnel, https: access-network, destination-name: measured clear, the truth table says sealed/,
      /tunnel, https: resolver, client-address: measured clear, the truth table says absent/,
      /tunnel, https: coverage, client-dns: measured outside, the truth table says inside/,
    ],
  },
  {
    fault: 'a canary in a metric',
    mode: 'socks-proxy',
    scheme: 'http',
    faults: {
      gatewayOutbound: (outbound, { metrics }) => {
        const leak = new Counter({
          name: 'sightline_dials_total',
          help: 'dials',
          labelNames: ['target'],
          registers: [metrics.registry],
        })
        before(outbound, (host) => leak.inc({ target: host }))
      },
    },
    named: [/socks5h, http: the gateway's metrics holds destination-name \(hostLabel\): .*_total\{target=/],
  },
  {
    fault: 'a control that cannot decrypt',
    mode: 'tunnel',
    scheme: 'http',
    faults: {
      tunnelKeylog: (line) => Buffer.from(line.toString('latin1').replace(/[0-9a-f]{8}(\s*)$/, '00000000$1')),
    },
    named: [
      /tunnel, http: positive control: not found on the client's link after decrypting it: path, query/,
      /tunnel, http: access-network, content: measured absent, the truth table says sealed/,
    ],
  },
  {
    fault: 'TLS 1.2 with a client certificate in the tunnel',
    mode: 'tunnel',
    scheme: 'http',
    faults: { tunnelInTls12: true },
    named: [/tunnel, http: access-network, client-identity: measured clear, the truth table says sealed/],
  },
  {
    fault: 'TLS 1.2 with a client certificate to the site',
    mode: 'direct',
    scheme: 'https',
    faults: { siteAsksForCertificate: true },
    named: [
      /direct, tls12: access-network, client-identity: measured clear, the truth table says absent/,
      // In TLS 1.3 the same certificate is encrypted: the site alone learns it.
      /direct, https: access-network, client-identity: measured sealed, the truth table says absent/,
    ],
  },
  {
    fault: 'a direct dial by the tunnel client',
    mode: 'tunnel',
    scheme: 'http',
    faults: {
      clientOutbound: (outbound, stage) => {
        outbound.dial = async ({ destination: { host, port } }) => {
          const from = CLIENT
          const address =
            net.isIP(host) === 0
              ? await lookUp(host, { resolver: stage.resolverAddress('client'), from })
              : host
          const stream = net.connect({ host: address, port, localAddress: from, allowHalfOpen: true })
          await new Promise((resolve, reject) => stream.once('connect', resolve).once('error', reject))
          return { stream, bound: { address: from, port: stream.localPort ?? 0 } }
        }
      },
    },
    named: [
      /tunnel, http: access-network, content: measured clear, the truth table says sealed/,
      /tunnel, http: destination, client-address: measured clear, the truth table says absent/,
      /tunnel, http: coverage, application: measured outside, the truth table says inside/,
    ],
  },
]
describe('sightline lab run, with a fault switched in', () => {
  it.each(CASES)('exits 1 for $fault, and names what shows it', async ({ mode, scheme, faults, named }) => {
    const { code, out } = await run(['--mode', mode, '--scheme', scheme, '--seed', 'faults'], faults)
    expect(code).toBe(1)
    expect(out).toContain('truth table: the measurement DISAGREES')
    expect(out).not.toContain('the request failed')
    for (const line of named) expect(out).toMatch(line)
  })
})
