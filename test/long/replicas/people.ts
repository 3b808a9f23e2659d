// People at several gateways: tunnel clients with a stream that stays open, spread by the balancer until there is one at each
// gateway, and users who download for as long as they are let. The creator disposes.
import http from 'node:http'
import { configSchema } from '../../../src/config/schema.ts'
import { Gateway } from '../../../src/gateway/gateway.ts'
import { Metrics } from '../../../src/telemetry/metrics.ts'
import { eventually } from '../../support/eventually.ts'
import { clientConfig } from '../../support/stacks.ts'
import type { TempDir } from '../../support/temp-dir.ts'
import { connectHead } from '../../support/through.ts'
import { Wire } from '../../support/wire.ts'

export interface Crowd extends Disposable {
  readonly streams: ReadonlyArray<{
    /** The number of the gateway that carries it. */
    readonly gateway: number
    readonly wire: Wire
  }>
}

/**
 * Clients with the certificate `name`, until each gateway has one. `sessions` gives how many sessions each gateway has,
 * in the order of their numbers.
 */
export async function openCrowd(
  dir: TempDir,
  name: string,
  tunnelPort: number,
  originPort: number,
  sessions: () => Promise<number[]>,
): Promise<Crowd> {
  const clients: Gateway[] = []
  const streams: Array<{ gateway: number; wire: Wire }> = []
  const dispose = (): void => {
    for (const { wire } of streams) wire[Symbol.dispose]()
    for (const client of clients) client.destroy()
  }
  try {
    while (new Set(streams.map(({ gateway }) => gateway)).size < (await sessions()).length) {
      if (clients.length > 30) throw new Error('the balancer does not spread the clients')
      const before = await sessions()
      const client = await Gateway.start({
        config: configSchema.parse(clientConfig(dir, tunnelPort, name)),
        observer: new Metrics('test', { ofProcess: false }).observer,
      })
      clients.push(client)
      const wire = await Wire.connect(client.addresses[0]?.address.port ?? 0)
      wire.send(connectHead('127.0.0.1', originPort))
      await wire.untilText('\r\n\r\n')
      if (!wire.text.startsWith('HTTP/1.1 200')) throw new Error(wire.text)
      await eventually(async () => {
        const gateway = (await sessions()).findIndex((count, index) => count > (before[index] ?? 0))
        if (gateway < 0) throw new Error('no gateway has the session')
        streams.push({ gateway, wire })
      })
    }
  } catch (thrown) {
    dispose()
    throw thrown
  }
  return { streams, [Symbol.dispose]: dispose }
}

/** Bytes of one download through a proxy as `name`; less than were asked for where it was ended. */
export function download(proxyPort: number, name: string, password: string, url: string): Promise<number> {
  return new Promise((resolve) => {
    let bytes = 0
    const authorization = `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`
    const request = http.request(
      {
        host: '127.0.0.1',
        port: proxyPort,
        path: url,
        headers: { host: new URL(url).host, 'proxy-authorization': authorization },
        agent: false,
      },
      (response) => {
        if (response.statusCode !== 200) {
          response.resume()
          return resolve(0)
        }
        response.on('data', (chunk: Buffer) => (bytes += chunk.length))
        response.on('error', () => resolve(bytes))
        response.on('close', () => resolve(bytes))
      },
    )
    request.on('error', () => resolve(bytes))
    request.end()
  })
}
