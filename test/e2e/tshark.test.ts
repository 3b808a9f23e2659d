// What Wireshark makes of the tunnel's link. With the keys our dissector (docs/wireshark) reads the mux frame by frame;
// without them there is TLS 1.3, a hybrid key exchange and the name by which the client calls the gateway.
import { createHash, randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { configSchema } from '../../src/config/schema.ts'
import { ERROR_ANSWERS } from '../../src/errors.ts'
import { Gateway } from '../../src/gateway/gateway.ts'
import { Recorder, streamBytes } from '../../src/lab/capture.ts'
import { Tap } from '../../src/lab/tap.ts'
import { initAuthority, issue } from '../../src/pki/store.ts'
import { FRAME_TYPES, SUBPROTOCOL } from '../../src/protocol/mux/frame.ts'
import { Metrics } from '../../src/telemetry/metrics.ts'
import { bytesHash, startOrigin } from '../support/origin.ts'
import { writeCapture } from '../support/pcapng.ts'
import { isMissing } from '../support/programs.ts'
import { tempDir, type TempDir } from '../support/temp-dir.ts'
import { connectHead } from '../support/through.ts'
import { tshark, tsharkFields } from '../support/tshark.ts'
import { Wire } from '../support/wire.ts'

const NO_TSHARK = isMissing('tshark')
const DOWNLOAD_BYTES = 300_000
const GROUP_X25519MLKEM768 = '4588'
const TLS13 = '0x0304'

/** Planted where only the keys may show them. The gateway's own certificate is one of the secrets: only its SNI is not. */
const CANARIES = {
  clientSubject: `cs${randomBytes(6).toString('hex')}`,
  gatewaySubject: `gs${randomBytes(6).toString('hex')}`,
  destination: `d${randomBytes(6).toString('hex')}.sightline.test`,
  refused: `r${randomBytes(6).toString('hex')}.sightline.test`,
  path: `p${randomBytes(6).toString('hex')}`,
}

interface Capture {
  readonly file: string
  readonly keylog: string
  readonly port: number
  /** Both directions of each connection, as they passed. */
  readonly streams: readonly Buffer[]
  readonly originPort: number
  /** The reference that the client was told with the refusal. */
  readonly reference: string
}

/** One download and one refusal through a real gateway and tunnel client, with a tap between them. */
async function captureTunnel(directory: TempDir): Promise<Capture> {
  await initAuthority(directory.path)
  await issue(directory.path, CANARIES.gatewaySubject, { kind: 'server', hosts: ['localhost', '127.0.0.1'] })
  await issue(directory.path, CANARIES.clientSubject, { kind: 'client', hosts: [] })
  const pair = (name: string) => ({
    certificate: directory.file(`${name}.crt`),
    key: directory.file(`${name}.key`),
  })
  const authority = directory.file('ca.crt')
  const trust = { clientAuthority: authority, revocationList: directory.file('ca.crl') }
  const origin = await startOrigin()
  const recorder = new Recorder()
  let keylog = ''
  const gateway = await Gateway.start({
    config: configSchema.parse({
      inbounds: [
        { type: 'tunnel', listen: '127.0.0.1:0', tls: { ...pair(CANARIES.gatewaySubject), ...trust } },
      ],
      egress: { allow: ['127.0.0.0/8'], deny: [CANARIES.refused] },
    }),
    observer: new Metrics('test').observer,
    resolve: async () => ['127.0.0.1'],
  })
  const onward = gateway.addresses[0]?.address ?? { address: '', port: 0 }
  const tap = await Tap.start({ listen: { address: '127.0.0.1', port: 0 }, onward, recorder: () => recorder })
  const client = await Gateway.start({
    config: configSchema.parse({
      inbounds: [{ type: 'mixed', listen: '127.0.0.1:0', outbound: 'gateway' }],
      outbounds: {
        gateway: {
          type: 'tunnel',
          url: `wss://localhost:${tap.address.port}/tunnel`,
          ...pair(CANARIES.clientSubject),
          authority,
        },
      },
    }),
    observer: new Metrics('test').observer,
    lab: { onClientKeylog: (line) => (keylog += line.toString('latin1')) },
  })
  const { port } = tap.address
  try {
    const proxy = client.addresses[0]?.address.port ?? 0
    const download = await Wire.connect(proxy)
    download.send(connectHead(CANARIES.destination, origin.port))
    await download.untilText('HTTP/1.1 200 ')
    const target = `/bytes/${DOWNLOAD_BYTES}/${CANARIES.path}`
    download.send(`GET ${target} HTTP/1.1\r\nHost: ${CANARIES.destination}\r\nConnection: close\r\n\r\n`)
    expect(await download.ended()).toBe('end')
    download.socket.end()
    const refused = await Wire.connect(proxy)
    refused.send(connectHead(CANARIES.refused, 443))
    await refused.ended()
    const reference = /^sightline-reference: (\S+)\r$/im.exec(refused.text)?.[1] ?? ''
    await client.drain(5_000)
    expect(await tap.settled(AbortSignal.timeout(5_000))).toBe(true)
    const connections = recorder.take()
    await writeCapture(directory.file('tunnel.pcapng'), connections)
    await writeFile(directory.file('keys.log'), keylog)
    return {
      file: directory.file('tunnel.pcapng'),
      keylog: directory.file('keys.log'),
      port,
      streams: connections.flatMap((one) => [streamBytes(one, 'up'), streamBytes(one, 'down')]),
      originPort: origin.port,
      reference,
    }
  } finally {
    client.destroy()
    gateway.destroy()
    tap.close()
    await origin.close()
  }
}

const TYPE_NAMES = Object.fromEntries(
  Object.entries(FRAME_TYPES).map(([name, number]) => [`0x0${number}`, name]),
)

describe('a capture of the tunnel', () => {
  it.skipIf(NO_TSHARK)('with the keys reads frame by frame (needs tshark)', async () => {
    await using directory = await tempDir()
    const capture = await captureTunnel(directory)
    const { file, port, keylog, originPort, reference } = capture
    const rows = await tsharkFields(
      file,
      'sightline',
      [
        'tcp.dstport',
        'sightline.type',
        'sightline.stream',
        'sightline.open.host',
        'sightline.open.port',
        'sightline.data.offset',
        'sightline.data.length',
        'sightline.data.payload',
        'sightline.credit.offset',
        'sightline.error',
        'sightline.refused.reference',
        'sightline.destination',
      ],
      { port, keylog },
    )
    const sent = rows.filter((row) => row['tcp.dstport'][0] === String(port))
    const received = rows.filter((row) => row['tcp.dstport'][0] !== String(port))
    const types = (of: typeof rows, stream: string): string[] =>
      of.flatMap((row) =>
        row['sightline.type'].flatMap((type, index) =>
          row['sightline.stream'][index] === stream ? [TYPE_NAMES[type] ?? type] : [],
        ),
      )
    const squeezed = (list: string[]): string[] => list.filter((type, index) => type !== list[index - 1])

    // The download, from the client: its credit is raised again and again, and both directions end in order.
    const up = types(sent, '1')
    expect(up.slice(0, 2)).toEqual(['open', 'data'])
    expect(up.filter((type) => type !== 'credit')).toEqual(['open', 'data', 'fin'])
    expect(squeezed(types(received, '1'))).toEqual(['opened', 'data', 'fin'])
    expect(sent.flatMap((row) => row['sightline.open.host'])).toEqual([
      CANARIES.destination,
      CANARIES.refused,
    ])
    expect(sent.flatMap((row) => row['sightline.open.port'])).toEqual([String(originPort), '443'])

    // Every byte of the answer, in its place.
    const pieces = received.flatMap((row) => row['sightline.data.payload'])
    const answer = Buffer.from(pieces.join(''), 'hex')
    const body = answer.subarray(answer.indexOf('\r\n\r\n') + 4)
    expect(createHash('sha256').update(body).digest('hex')).toBe(bytesHash(DOWNLOAD_BYTES))
    const lengths = received.flatMap((row) => row['sightline.data.length']).map(Number)
    const offsets = received.flatMap((row) => row['sightline.data.offset']).map(Number)
    let offset = 0
    expect(offsets).toEqual(lengths.map((length) => (offset += length) - length))
    expect(offset).toBe(answer.length)

    // CREDIT offsets are absolute, only rise, and were enough for what came.
    const credits = sent.flatMap((row) => row['sightline.credit.offset']).map(Number)
    expect(credits.length).toBe(up.filter((type) => type === 'credit').length)
    expect(credits).toEqual([...new Set(credits)].toSorted((one, other) => one - other))
    expect(credits[0]).toBeGreaterThan(64 * 1024)
    expect(credits.at(-1)).toBeGreaterThanOrEqual(answer.length)
    expect(await tshark(file, ['-Y', '_ws.expert && sightline'], { port, keylog })).toBe('')

    // The refusal, with the code and the reference that the application was given.
    expect(types(sent, '3')).toEqual(['open', 'goaway'])
    expect(sent.flatMap((row) => row['sightline.error'])).toEqual([
      String(ERROR_ANSWERS['shutting-down'].mux),
    ])
    expect(types(received, '3')).toEqual(['refused'])
    expect(received.flatMap((row) => row['sightline.error'])).toEqual([
      String(ERROR_ANSWERS['destination-denied'].mux),
    ])
    expect(reference).toMatch(/^[0-9a-f]{12}$/)
    expect(received.flatMap((row) => row['sightline.refused.reference'])).toEqual([reference])
    const named = new Set(received.flatMap((row) => row['sightline.destination']))
    expect(named).toEqual(
      new Set([`tcp ${CANARIES.destination}:${originPort}`, `tcp ${CANARIES.refused}:443`]),
    )
  })

  it.skipIf(NO_TSHARK)(
    'without the keys has TLS 1.3, X25519MLKEM768 and no name but the SNI (needs tshark)',
    async () => {
      await using directory = await tempDir()
      const { file, port, keylog, streams } = await captureTunnel(directory)
      const hellos = await tsharkFields(
        file,
        'tls.handshake.type == 2',
        ['tls.handshake.extensions.supported_version', 'tls.handshake.extensions_key_share_group'],
        { port },
      )
      expect(hellos).toEqual([
        {
          'tls.handshake.extensions.supported_version': [TLS13],
          'tls.handshake.extensions_key_share_group': [GROUP_X25519MLKEM768],
        },
      ])
      const offers = await tsharkFields(
        file,
        'tls.handshake.type == 1',
        ['tls.handshake.extensions.supported_version', 'tls.handshake.extensions_server_name'],
        { port },
      )
      expect(offers).toEqual([
        {
          'tls.handshake.extensions.supported_version': [TLS13],
          'tls.handshake.extensions_server_name': ['localhost'],
        },
      ])

      // Our dissector, the upgrade and the certificates: there with the keys, and nothing of them without.
      const layers = async (keys: { keylog?: string }): Promise<Set<string>> => {
        const rows = await tsharkFields(file, 'tls', ['frame.protocols', 'tls.handshake.type'], {
          port,
          ...keys,
        })
        return new Set(
          rows.flatMap((row) => [
            ...(row['frame.protocols'][0] ?? '').split(':'),
            ...row['tls.handshake.type'].map((type) => `handshake ${type}`),
          ]),
        )
      }
      const hidden = [
        'http',
        'websocket',
        'sightline',
        'handshake 11',
        'handshake 13',
        'handshake 15',
        'x509sat',
      ]
      expect([...(await layers({ keylog }))]).toEqual(expect.arrayContaining(hidden))
      expect([...(await layers({}))].toSorted()).toEqual([
        'eth',
        'ethertype',
        'handshake 1',
        'handshake 2',
        'ip',
        'tcp',
        'tls',
      ])

      const secrets = await secretsOf(directory)
      const shown = (await tshark(file, ['-V'], { port })) + (await tshark(file, ['-T', 'pdml'], { port }))
      const opened = await tshark(file, ['-T', 'pdml'], { port, keylog })
      const bytes = [await readFile(file), ...streams]
      expect(shown).toContain('localhost')
      expect(bytes.filter((all) => all.includes('localhost')).length, 'the SNI in the raw bytes').toBe(2)
      for (const [name, secret] of Object.entries(secrets)) {
        const hex = secret.toString('hex')
        const found = (text: string): boolean =>
          text.includes(secret.toString('latin1')) || text.includes(hex)
        expect(found(opened), `${name} with the keys`).toBe(true)
        expect(found(shown), `${name} without the keys`).toBe(false)
        expect(
          bytes.some((all) => all.includes(secret)),
          `${name} in the raw bytes`,
        ).toBe(false)
      }
    },
    // tshark is started ten times and more.
    60_000,
  )
})

/** What must not be readable, and is known to have crossed. */
async function secretsOf(directory: TempDir): Promise<Record<string, Buffer>> {
  const der = async (name: string): Promise<Buffer> => {
    const pem = await readFile(directory.file(name), 'utf8')
    return Buffer.from(pem.replaceAll(/-----[^-]+-----|\s/g, ''), 'base64')
  }
  const names = Object.entries(CANARIES).map(([name, canary]) => [name, Buffer.from(canary)] as const)
  return {
    ...Object.fromEntries(names),
    authorityName: Buffer.from('Sightline authority'),
    clientCertificate: await der(`${CANARIES.clientSubject}.crt`),
    gatewayCertificate: await der(`${CANARIES.gatewaySubject}.crt`),
    subprotocol: Buffer.from(SUBPROTOCOL),
  }
}
