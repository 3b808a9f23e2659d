// Gateways that share a store, in this process: each with files of its own, as on machines of their own. The creator
// disposes.
import { copyFile, writeFile } from 'node:fs/promises'
import { configSchema, type Config, type ConfigInput } from '../../src/config/schema.ts'
import { Gateway } from '../../src/gateway/gateway.ts'
import { ensureDevelopmentPki } from '../../src/pki/store.ts'
import { Metrics } from '../../src/telemetry/metrics.ts'
import { everyInbound, LOOPBACK_EGRESS } from './stacks.ts'
import { tempDir, type TempDir } from './temp-dir.ts'
import { Wire } from './wire.ts'

/** What every replica of a test is given: any text of 32 characters. */
const SECRET = 'a secret of replicas, in a test only'

export interface Replica extends AsyncDisposable {
  readonly gateway: Gateway
  readonly config: Config
  readonly files: TempDir
  metrics(): Promise<string>
  port(index: number): number
}

export interface ReplicaOptions {
  /** Where the authority is; ca.crl is copied, and the rest too. */
  readonly authority: TempDir
  readonly state: Omit<NonNullable<ConfigInput['state']>, 'secretFile'>
  readonly limits?: ConfigInput['limits']
  /** Its store is put beside the other files. */
  readonly usage?: ConfigInput['usage']
  /** Lines of a users file; none by default. */
  readonly users?: string
}

/** An authority with the certificates that a stack needs. */
export async function makeAuthority(): Promise<TempDir> {
  const authority = await tempDir()
  await ensureDevelopmentPki(authority.path)
  return authority
}

export async function startReplica({
  authority,
  state,
  limits,
  usage,
  users,
}: ReplicaOptions): Promise<Replica> {
  const files = await tempDir()
  for (const name of ['ca.crt', 'ca.crl', 'gateway.crt', 'gateway.key'])
    await copyFile(authority.file(name), files.file(name))
  await writeFile(files.file('secret'), `${SECRET}\n`)
  if (users !== undefined) await writeFile(files.file('users'), users)
  const metrics = new Metrics('test', { ofProcess: false })
  const config = configSchema.parse({
    inbounds: everyInbound(files, users && files.file('users')),
    egress: LOOPBACK_EGRESS,
    limits,
    usage: usage && { ...usage, store: files.file(usage.store) },
    state: { ...state, secretFile: files.file('secret') },
  })
  const gateway = await Gateway.start({ config, observer: metrics.observer })
  return {
    gateway,
    config,
    files,
    metrics: () => metrics.registry.metrics(),
    port: (index) => gateway.addresses[index]?.address.port ?? 0,
    [Symbol.asyncDispose]: async () => {
      gateway.destroy()
      await files[Symbol.asyncDispose]()
    },
  }
}

/** Of the http listener's answer to a request for where nobody may go. */
export async function statusFor(replica: Replica, credentials: string): Promise<string> {
  using wire = await Wire.connect(replica.port(0))
  const basic = Buffer.from(credentials).toString('base64')
  wire.send(`GET http://10.0.0.1/ HTTP/1.1\r\nhost: x\r\nproxy-authorization: Basic ${basic}\r\n\r\n`)
  await wire.untilText('\r\n\r\n')
  return wire.text.split(' ')[1] ?? ''
}
