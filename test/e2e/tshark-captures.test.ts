// The lab's capture files as tshark reads them: no complaint about a checksum, a sequence or a dissector; its own names,
// targets and credentials are ours, capture by capture; and the tunnel opens with the keys embedded, and only then.
import { writeFile } from 'node:fs/promises'
import { beforeAll, describe, expect, it } from 'vitest'
import { makeCanaries, type Canaries } from '../../src/lab/canary.ts'
import type { Recording } from '../../src/lab/recording.ts'
import { vantagesOf } from '../../src/lab/vantages.ts'
import { Recorder, streamBytes, type CapturedConnection } from '../../src/lab/capture.ts'
import { captureFiles, captureFolder } from '../../src/lab/captures.ts'
import { dissectDns } from '../../src/lab/dissect/dns.ts'
import type { Field } from '../../src/lab/dissect/field.ts'
import { attempt } from '../../src/lab/layer.ts'
import { peel } from '../../src/lab/layers.ts'
import { decodeAs, encodeCapture } from '../../src/lab/pcapng/file.ts'
import { packetsOf } from '../../src/lab/pcapng/packets.ts'
import * as dns from '../lab/dissect/dns-builder.ts'
import { measure } from '../lab/measure.ts'
import { isMissing, succeed } from '../support/programs.ts'
import { tempDir } from '../support/temp-dir.ts'
import { DISSECTOR } from '../support/tshark.ts'

const NO_TSHARK = isMissing('tshark')

/** tshark's names, and ours for the same. */
const FIELDS: Readonly<Record<string, readonly string[]>> = {
  'http.host': ['http.host'],
  'http.request.uri': ['http.uri'],
  'tls.handshake.extensions_server_name': ['ssl.server_name'],
  'socks.username': ['socks.user'],
  'socks.password': ['socks.password'],
  'socks.remote_name': ['socks.request.name'],
  'socks.dst': ['socks.request.host', 'socks.bound.host'],
  'dns.qry.name': ['dns.query'],
}
const NAMES = Object.keys(FIELDS)
/** In the order of `NAMES`. */
const EXTRA = ['sightline.data.payload', '_ws.expert.severity', '_ws.expert.message'] as const
/** `PI_WARN`; an error is above it. */
const WARNING = 0x00600000
/** What runs inside the mux, or in a CONNECT inside TLS, tshark 4.0 does not look into. */
const BEYOND_TSHARK = /mux|tls > connect/
const RESET = 'Connection reset (RST)'

interface File {
  readonly title: string
  readonly bytes: Buffer
  readonly connections: readonly CapturedConnection[]
  readonly keylogs: readonly string[]
  readonly canaries: Canaries
}

interface Seen {
  readonly values: Readonly<Record<string, readonly string[]>>
  readonly payloads: Buffer
  readonly complaints: readonly string[]
}

/** The files of a run; `keys`: the copies that hold the keys. */
function filesOf(recording: Recording, keys: boolean): File[] {
  const files = captureFiles(recording, performance.timeOrigin)
  const { tunnelClient, application } = recording.keylogs
  return vantagesOf(recording).flatMap(({ captures }) =>
    captures.flatMap(({ name, connections }) => {
      const bytes = files.get(keys ? name.replace('.pcapng', '-with-keys.pcapng') : name)
      if (bytes === undefined) return []
      const title = `${captureFolder(recording.scenario)}/${name}`
      const { canaries } = recording
      return [{ title, bytes, connections, canaries, keylogs: keys ? [tunnelClient, application] : [] }]
    }),
  )
}

/** What our dissectors read of a file with its keys. See `BEYOND_TSHARK`. */
function ours({ connections, keylogs }: File): Record<string, string[]> {
  // With keys tshark is not told of SOCKS: see `decodeAs`.
  const isRead = (name: string): boolean => keylogs.length === 0 || !name.startsWith('socks.')
  const fields = connections.flatMap((connection): readonly Field[] => {
    if (connection.transport === 'udp')
      return connection.frames.flatMap(({ bytes }) => attempt(() => dissectDns(bytes))?.fields ?? [])
    const streams = { up: streamBytes(connection, 'up'), down: streamBytes(connection, 'down') }
    const { layers } = peel(streams, keylogs)
    return layers.filter(({ path }) => !BEYOND_TSHARK.test(path)).flatMap((layer) => layer.fields)
  })
  const of = (name: string): string[] =>
    fields.filter((field) => FIELDS[name]?.includes(field.name) === true).map(({ value }) => value)
  return Object.fromEntries(NAMES.map((name) => [name, isRead(name) ? valuesOf(name, of(name)) : []]))
}

/** In an order of their own; tshark repeats a SOCKS target with all that follows. */
function valuesOf(name: string, values: readonly string[]): string[] {
  return (name === 'socks.dst' ? [...new Set(values)] : [...values]).toSorted()
}

/**
 * Reads many files in few runs of tshark: a file of several sections is what one gets by putting files one behind the
 * other. Files that share a connection are read apart, for tshark would take the second for the first sent again; and so
 * are files with TLS in SOCKS, whose dissector hands on what is inside as if it were on the target's port.
 */
async function tsharkReads(files: readonly File[]): Promise<Map<File, Seen>> {
  const batches: { files: File[]; ends: Set<string> }[] = []
  for (const file of files) {
    const ends = file.connections.map(({ from, to }) => `${from.port} ${to.port}`)
    const isSocks = decodeAs(file.connections, false).some((hint) => hint.endsWith(',socks'))
    if (isSocks && file.title.includes('-https/')) ends.push('TLS in SOCKS')
    const free = batches.find((batch) => ends.every((one) => !batch.ends.has(one)))
    const batch = free ?? { files: [], ends: new Set<string>() }
    if (free === undefined) batches.push(batch)
    batch.files.push(file)
    for (const one of ends) batch.ends.add(one)
  }
  const read = await Promise.all(batches.map((batch) => readBatch(batch.files)))
  return new Map(read.flat())
}

async function readBatch(files: readonly File[]): Promise<[File, Seen][]> {
  await using directory = await tempDir()
  await writeFile(directory.file('all.pcapng'), Buffer.concat(files.map(({ bytes }) => bytes)))
  const hints = files.flatMap(({ connections, keylogs }) => decodeAs(connections, keylogs.length > 0))
  const checks = ['tcp.check_checksum', 'ip.check_checksum', 'udp.check_checksum'].map(
    (name) => `${name}:TRUE`,
  )
  const home = directory.path
  const { stdout } = await succeed(
    'tshark',
    [
      ...['-n', '-r', directory.file('all.pcapng'), '-X', `lua_script:${DISSECTOR}`],
      ...hints.flatMap((hint) => ['-d', hint]),
      ...checks.flatMap((check) => ['-o', check]),
      ...['-T', 'fields', '-E', 'separator=/t', '-E', 'aggregator=|', '-e', 'frame.number'],
      ...[...NAMES, ...EXTRA].flatMap((name) => ['-e', name]),
    ],
    { env: { HOME: home, XDG_CONFIG_HOME: home, WIRESHARK_CONFIG_DIR: home }, timeoutMs: 60_000 },
  )
  // Frames are numbered through all sections.
  const rows = stdout
    .toString('utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => line.split('\t'))
  let first = 1
  return files.map((file) => {
    const end = first + packetsOf(file.connections).length
    const own = rows
      .filter(([number]) => Number(number) >= first && Number(number) < end)
      .map((row) => row.slice(1))
    first = end
    const column = (at: number): string[] => own.flatMap((row) => (row[at] ?? '').split('|').filter(Boolean))
    const severities = column(NAMES.length + 1)
    const messages = column(NAMES.length + 2)
    return [
      file,
      {
        values: Object.fromEntries(NAMES.map((name, at) => [name, valuesOf(name, column(at))])),
        payloads: Buffer.from(column(NAMES.length).join(''), 'hex'),
        complaints: messages.filter((_, at) => Number(severities[at]) >= WARNING),
      },
    ]
  })
}

describe.skipIf(NO_TSHARK)('the capture files of every mode', () => {
  let recordings: readonly Recording[]
  let plain: Map<File, Seen>
  let withKeys: Map<File, Seen>
  const tunnels = (seen: Map<File, Seen>): [File, Seen][] =>
    [...seen].filter(([{ title }]) => /^tunnel-.*access/.test(title))

  beforeAll(async () => {
    recordings = (await measure({ seed: 'tshark' })).recordings
    plain = await tsharkReads(recordings.flatMap((recording) => filesOf(recording, false)))
    withKeys = await tsharkReads(recordings.flatMap((recording) => filesOf(recording, true)))
  }, 60_000)

  it('are read without a complaint, but for the resets that there were (needs tshark)', () => {
    const complaints = [...plain, ...withKeys].map(([{ title, connections }, seen]) => {
      const hasReset = connections.some(({ endings }) => endings.some(({ kind }) => kind === 'reset'))
      return [title, seen.complaints.filter((message) => !(hasReset && message === RESET))]
    })
    expect(complaints.filter(([, found]) => found?.length !== 0)).toEqual([])
    expect(plain.size).toBeGreaterThan(30)
  })

  it('hold the names, targets and credentials that we read, capture by capture (needs tshark)', () => {
    const compared: Record<string, number> = {}
    for (const [file, { values }] of [...plain, ...withKeys]) {
      expect({ file: file.title, ...values }).toEqual({ file: file.title, ...ours(file) })
      for (const name of NAMES) compared[name] = (compared[name] ?? 0) + (values[name]?.length ?? 0)
    }
    for (const name of NAMES.filter((one) => one !== 'dns.qry.name'))
      expect(compared[name]).toBeGreaterThan(1)
  })

  it('open the tunnel with the keys embedded, down to what the client sent (needs tshark)', () => {
    const opened = tunnels(withKeys)
    expect(opened.length).toBeGreaterThan(0)
    for (const [{ title, canaries }, { payloads, values }] of opened) {
      expect(values['http.request.uri']).toEqual(['/tunnel'])
      const { path, hostLabel } = canaries
      // Of an https site the tunnel carries TLS: its hello names the site, and the path stays sealed.
      expect([title, payloads.includes(title.startsWith('tunnel-http/') ? path : hostLabel)]).toEqual([
        title,
        true,
      ])
    }
  })

  it('do not open it without (needs tshark)', () => {
    const sealed = tunnels(plain)
    expect(sealed.length).toBe(tunnels(withKeys).length)
    for (const [{ bytes, canaries }, { payloads, values }] of sealed) {
      expect([payloads.length, values['http.request.uri'], values['http.host']]).toEqual([0, [], []])
      for (const word of Object.values(canaries)) expect(bytes.includes(word)).toBe(false)
    }
  })
})

describe.skipIf(NO_TSHARK)('protocols that the lab’s own client does not speak', () => {
  const between = (port: number, transport: 'tcp' | 'udp'): ReturnType<Recorder['connection']> =>
    new Recorder().connection(
      { address: '127.1.1.1', port: 30_000 + port },
      { address: '127.2.2.2', port },
      transport,
    )

  it('are read alike: DNS with compression, SOCKS4, SOCKS4a, SOCKS5 with IPv6 (needs tshark)', async () => {
    const look = between(5_300, 'udp')
    const asked = dns.question(dns.name('www.Mixed-Case.example'), 28)
    look.record('up', dns.message({ questions: [asked] }))
    look.record(
      'down',
      dns.message({
        flags: 0x8180,
        questions: [asked],
        answers: [
          dns.record(dns.pointer(12), 5, dns.labelsThen('alias', 16)),
          dns.record(dns.labelsThen('alias', 16), 28, Buffer.from('20010db8000000000000000000000001', 'hex')),
        ],
      }),
    )
    const four = between(5_401, 'tcp')
    four.record('up', Buffer.from('\u0004\u0001\u0000P\u00c0\u0000\u0002\u0001someone\u0000', 'latin1'))
    four.record('down', Buffer.from([0, 90, 0, 80, 192, 0, 2, 1]))
    const named = between(5_402, 'tcp')
    named.record(
      'up',
      Buffer.from('\u0004\u0001\u0000P\u0000\u0000\u0000\u0001me\u0000four-a.example\u0000', 'latin1'),
    )
    named.record('down', Buffer.from([0, 90, 0, 80, 192, 0, 2, 2]))
    const five = between(5_405, 'tcp')
    five.record('up', Buffer.from([5, 1, 2]))
    five.record('down', Buffer.from([5, 2]))
    five.record('up', Buffer.from('\u0001\u0004user\u0006secret', 'latin1'))
    five.record('down', Buffer.from([1, 0]))
    five.record('up', Buffer.from('\u0005\u0001\u0000\u0003\u000cfive.example\u0000P', 'latin1'))
    five.record('down', Buffer.from([5, 0, 0, 1, 192, 0, 2, 5, 0, 80]))
    const files = [look, four, named, five].map(({ connection }): File => {
      const about = { vantage: 'test', subject: 'test', names: new Map<string, string>(), originMs: 0 }
      return {
        title: String(connection.to.port),
        bytes: encodeCapture({ ...about, connections: [connection] }),
        connections: [connection],
        keylogs: [],
        canaries: makeCanaries('none'),
      }
    })
    const seen = await tsharkReads(files)
    expect([...seen.values()].flatMap(({ complaints }) => complaints)).toEqual([])
    const [fromDns, from4, from4a, from5] = files.map((file) => seen.get(file)?.values)
    expect(fromDns).toEqual(ours(files[0]!))
    expect(fromDns?.['dns.qry.name']).toEqual(Array(2).fill('www.Mixed-Case.example'))
    expect(from5).toEqual(ours(files[3]!))
    expect(from5?.['socks.remote_name']).toEqual(['five.example'])
    expect(from4).toEqual(ours(files[1]!))
    // tshark shows the address that stands for a name in SOCKS4a, and the name in a field of another kind.
    expect(from4a?.['socks.username']).toEqual(['me'])
  })
})
