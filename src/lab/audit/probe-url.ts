// The address of a probe as it prints it and as `--origin` takes it: where it listens, its certificate's fingerprint, and
// the token. Pure. Rule: the token stands behind the #, which no client sends anywhere.
import { z } from 'zod'
import { GatewayError } from '../../errors.ts'
import { formatAddress } from '../../transport/listener.ts'

export interface ProbeAddress {
  /** A name, or an address without brackets. */
  readonly host: string
  readonly http: number
  readonly https: number
  /** UDP. */
  readonly echo: number
  /** SHA-256 of its certificate's DER, in lower-case hex. */
  readonly certificate: string
  readonly token: string
  /** Names below this one are answered by the probe itself, which notes who asks. */
  readonly zone?: string | undefined
}

/** A DNS name of two labels or more, in lower case, that leaves room for a label of an audit before it. */
export function isZone(name: string): boolean {
  return /^(?=.{3,200}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)+$/.test(name)
}

const port = z.coerce.number().int().min(1).max(65_535)
const FRAGMENT = z.strictObject({
  https: port,
  echo: port,
  certificate: z.string().regex(/^[0-9a-f]{64}$/),
  token: z.string().regex(/^[0-9a-f]{40}$/),
  zone: z.string().refine(isZone).optional(),
})

/** `http://HOST:PORT/#https=PORT,echo=PORT,certificate=HEX,token=HEX`, and `,zone=NAME`: no character that a shell takes for its own. */
export function formatProbeUrl({ host, http, https, echo, certificate, token, zone }: ProbeAddress): string {
  const parts = Object.entries({ https, echo, certificate, token, ...(zone !== undefined && { zone }) })
  const fragment = parts.map(([name, value]) => `${name}=${value}`).join(',')
  return `http://${formatAddress({ address: host, port: http })}/#${fragment}`
}

/** Throws `config-invalid`, without a word of the text: it holds the token. */
export function readProbeUrl(text: string): ProbeAddress {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const parts = url?.hash.slice(1).split(',') ?? []
  const fragment = FRAGMENT.safeParse(
    Object.fromEntries(parts.map((part) => [part.split('=')[0], part.split('=')[1]])),
  )
  if (url?.protocol !== 'http:' || url.hostname === '' || !fragment.success) {
    throw new GatewayError('config-invalid', {
      detail: 'the address given with --origin is not one that a probe prints',
      hint: 'run sightline probe on a host that the proxy can reach, and take the whole address that it prints',
    })
  }
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  return { host, http: url.port === '' ? 80 : Number(url.port), ...fragment.data }
}
