// An upstream proxy that a test plays by hand, byte by byte, and the outbound before it.
import { GatewayError } from '../../src/errors.ts'
import type { DialRequest } from '../../src/outbound/outbound.ts'
import { UpstreamOutbound, type UpstreamOptions } from '../../src/outbound/upstream.ts'
import type { UpstreamServer } from '../../src/outbound/upstream-ask.ts'
import type { RawOrigin, Wire } from './wire.ts'

export const GRANTED_5 = Buffer.from([5, 0, 0, 1, 0, 0, 0, 0, 0, 0])
export const GRANTED_4 = Buffer.from([0, 90, 0, 0, 0, 0, 0, 0])
/** With what percent-encoding, colons and ASCII would each get wrong. */
export const PASSWORD = 'pä:ss wörd'

/** An outbound before `port` that judges nothing and looks nothing up. */
export function upstream(
  scheme: UpstreamServer['scheme'],
  port: number,
  options: Partial<UpstreamOptions> & { credentials?: UpstreamServer['credentials'] } = {},
): UpstreamOutbound {
  const { credentials, ...rest } = options
  return new UpstreamOutbound({
    server: { scheme, host: '127.0.0.1', port, credentials },
    dialMs: 10_000,
    lookup: () => Promise.reject(new Error('looked up')),
    resolve: () => Promise.reject(new Error('looked up')),
    admit: () => {},
    judge: () => {},
    judgeAnswer: () => {},
    ...rest,
  })
}

export function request(host = 'site.test', port = 443, signal = new AbortController().signal): DialRequest {
  return { mode: 'http-proxy', identity: undefined, destination: { host, port }, signal }
}

/** What a dial was refused with; fails where it was not. */
export async function failureOf(dialling: Promise<unknown>): Promise<GatewayError> {
  const outcome = await dialling.then(
    () => 'dialled',
    (error: unknown) => error,
  )
  if (outcome instanceof GatewayError) return outcome
  throw new Error(`no GatewayError: ${String(outcome)}`)
}

/** Plays the SOCKS5 greeting; gives what was asked when the request is whole. */
export async function playSocks5(origin: RawOrigin, index = 0): Promise<{ wire: Wire; asked: Buffer }> {
  const wire = await origin.wire(index)
  await wire.untilBytes(3)
  wire.take(3)
  wire.send(Buffer.from([5, 0]))
  await wire.untilBytes(10)
  return { wire, asked: wire.received }
}
