// A gateway and a tunnel client as two real processes, for scenarios about their memory and their speed.
import { ensureDevelopmentPki } from '../../src/pki/store.ts'
import { serve, startSightline, type SightlineProcess } from './gateway-process.ts'
import { everyInbound, LOOPBACK_EGRESS } from './stacks.ts'
import { tempDir, type TempDir } from './temp-dir.ts'

export interface ProcessStack extends AsyncDisposable {
  readonly gateway: SightlineProcess
  readonly client: SightlineProcess
  readonly pki: TempDir
  readonly ports: Readonly<Record<'http' | 'https' | 'socks' | 'mixed' | 'tunnel' | 'client', number>>
}

/** Starts both, with the default limits. */
/** `before`: words before the gateway's command, as `serve` takes them. */
export async function startProcessStack(before?: readonly string[]): Promise<ProcessStack> {
  const pki = await tempDir()
  await ensureDevelopmentPki(pki.path)
  const config = { inbounds: everyInbound(pki), egress: LOOPBACK_EGRESS }
  const gateway = await serve(pki.file('gateway.json'), config, before)
  const own = [
    '--certificate',
    pki.file('client.crt'),
    '--key',
    pki.file('client.key'),
    '--authority',
    pki.file('ca.crt'),
  ]
  const url = `wss://localhost:${gateway.port('tunnel')}/tunnel`
  const client = await startSightline(['connect', url, ...own, '--listen', '127.0.0.1:0'])
  const [http, https, socks, mixed, tunnel] = ['http', 'https', 'socks', 'mixed', 'tunnel'].map((name) =>
    gateway.port(name),
  )
  return {
    gateway,
    client,
    pki,
    ports: { http, https, socks, mixed, tunnel, client: client.port('client') } as ProcessStack['ports'],
    [Symbol.asyncDispose]: async () => {
      await client[Symbol.asyncDispose]()
      await gateway[Symbol.asyncDispose]()
      await pki[Symbol.asyncDispose]()
    },
  }
}
