// Records real TLS connections on loopback: Node's client and server with a byte relay between them, and
// certificates that are made here. What it returns is what a tap would have, and the client's key log.
import 'reflect-metadata'
import * as x509 from '@peculiar/x509'
import { webcrypto } from 'node:crypto'
import { once } from 'node:events'
import * as net from 'node:net'
import * as tls from 'node:tls'

export interface Credentials {
  readonly key: string
  readonly cert: string
  readonly der: Buffer
}

export interface Recording {
  readonly clientBytes: Buffer
  readonly serverBytes: Buffer
  readonly keylog: string
  /** What the client itself says of the connection. */
  readonly cipher: string
  readonly group: string | undefined
}

export interface ConnectionPlan {
  readonly server?: tls.TlsOptions
  readonly client?: tls.ConnectionOptions
  /** What the client sends, then ends. */
  readonly request: Uint8Array
  /** What the server answers when it has the whole request. */
  readonly response: Uint8Array
  /** Largest TLS record fragment of either side; splits hellos and certificates over records. */
  readonly maxFragmentBytes?: number
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
/** Fixed dates: a test must not begin to fail on some day. */
const NOT_BEFORE = new Date('2020-01-01T00:00:00Z')
const NOT_AFTER = new Date('2049-12-31T00:00:00Z')

/** A self-signed P-256 certificate with that common name. */
export async function makeCredentials(commonName: string): Promise<Credentials> {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      name: `CN=${commonName}`,
      keys,
      signingAlgorithm: ALGORITHM,
      notBefore: NOT_BEFORE,
      notAfter: NOT_AFTER,
      serialNumber: '01',
    },
    webcrypto,
  )
  const key = x509.PemConverter.encode(
    await webcrypto.subtle.exportKey('pkcs8', keys.privateKey),
    'PRIVATE KEY',
  )
  return { key, cert: certificate.toString('pem'), der: Buffer.from(certificate.rawData) }
}

/** One connection from hello to close, recorded between the two sides. */
export async function recordConnection(identity: Credentials, plan: ConnectionPlan): Promise<Recording> {
  const clientChunks: Buffer[] = []
  const serverChunks: Buffer[] = []
  const keylog: Buffer[] = []

  const origin = net.createServer((raw) => {
    const socket = new tls.TLSSocket(raw, {
      isServer: true,
      key: identity.key,
      cert: identity.cert,
      ...plan.server,
    })
    if (plan.maxFragmentBytes !== undefined) socket.setMaxSendFragment(plan.maxFragmentBytes)
    void answer(socket, plan)
  })
  await once(origin.listen(0, '127.0.0.1'), 'listening')
  const relay = net.createServer({ allowHalfOpen: true }, (near) => {
    const far = net.connect({ port: portOf(origin), host: '127.0.0.1', allowHalfOpen: true })
    near.on('data', (chunk: Buffer) => clientChunks.push(chunk))
    far.on('data', (chunk: Buffer) => serverChunks.push(chunk))
    near.pipe(far).pipe(near)
    near.on('error', () => far.destroy())
    far.on('error', () => near.destroy())
  })
  await once(relay.listen(0, '127.0.0.1'), 'listening')
  try {
    const client = tls.connect({
      port: portOf(relay),
      host: '127.0.0.1',
      servername: 'site.example',
      ca: identity.cert,
      checkServerIdentity: () => undefined,
      ...plan.client,
    })
    client.on('keylog', (line: Buffer) => keylog.push(line))
    if (plan.maxFragmentBytes !== undefined) client.setMaxSendFragment(plan.maxFragmentBytes)
    await once(client, 'secureConnect')
    const { name: group } = { name: undefined, ...client.getEphemeralKeyInfo() }
    const cipher = client.getCipher().standardName
    client.resume().end(plan.request)
    await once(client, 'close')
    const clientBytes = Buffer.concat(clientChunks)
    return { clientBytes, serverBytes: Buffer.concat(serverChunks), keylog: keylog.join(''), cipher, group }
  } finally {
    await Promise.all([closed(origin), closed(relay)])
  }
}

async function answer(socket: tls.TLSSocket, plan: ConnectionPlan): Promise<void> {
  try {
    let received = 0
    for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
      received += (chunk as Buffer).length
      if (received === plan.request.length) break
    }
    socket.end(plan.response)
  } catch {
    socket.destroy()
  }
}

function portOf(server: net.Server): number {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server does not listen')
  return address.port
}

function closed(server: net.Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
  })
}
