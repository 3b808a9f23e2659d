// Every piece of evidence is held against the capture files: the bytes at its frame and offset are read again from the
// file that it names, and have to be what it says. Rule: a reader and decoders of the tests' own; the lab's search and its
// writer are what is being checked.
import { beforeAll, describe, expect, it } from 'vitest'
import { vantagesOf } from '../../src/lab/vantages.ts'
import type { Canaries, CanaryField } from '../../src/lab/canary.ts'
import type { CapturedConnection } from '../../src/lab/capture.ts'
import { captureFiles } from '../../src/lab/captures.ts'
import type { Cell, Evidence, LabRun } from '../../src/lab/model.ts'
import type { Recording } from '../../src/lab/recording.ts'
import type { Information } from '../../src/policy/exposure.ts'
import { readPcapng, readSegment, type ReadCapture } from '../support/pcapng.ts'
import { measure, type Measured } from './measure.ts'

const PLANTED: Partial<Record<Information, readonly CanaryField[]>> = {
  'client-identity': ['proxyUser', 'proxyPassword', 'certificateSubject'],
  'destination-name': ['hostLabel'],
  'url-and-headers': ['path', 'query', 'header', 'cookie', 'userAgent'],
  content: ['requestBody', 'responseBody', 'siteUser', 'sitePassword'],
}
/** Layers whose bytes are on the wire as they are. */
const WIRE_LAYER = /^(tcp|udp)( > (connect|socks))*$/

interface Exhibit {
  readonly run: LabRun
  readonly recording: Recording
  readonly cell: Cell
  readonly evidence: Evidence
}

function exhibitsOf({ result, recordings }: Measured): Exhibit[] {
  return result.runs.flatMap((run, index) => {
    const recording = recordings[index]
    if (recording === undefined) throw new Error('a run without a recording')
    return run.cells.flatMap((cell) => cell.evidence.map((evidence) => ({ run, recording, cell, evidence })))
  })
}

function connectionsOf({ recording, evidence }: Exhibit): readonly CapturedConnection[] {
  const captures = vantagesOf(recording).flatMap((vantage) => vantage.captures)
  const found = captures.filter(({ name }) => name === evidence.capture)
  expect(found).toHaveLength(1)
  return found.flatMap(({ connections }) => connections)
}

const opened = new Map<Recording, Map<string, ReadCapture>>()

/** The files that a run leaves, read again from their bytes. */
function filesOf(recording: Recording): Map<string, ReadCapture> {
  const known = opened.get(recording)
  if (known !== undefined) return known
  const files = [...captureFiles(recording, 0)].map(([name, file]) => [name, readPcapng(file)] as const)
  opened.set(recording, new Map(files))
  return new Map(files)
}

/** `length` bytes from the evidence's place on, over as many packets of that direction as they take. */
function bytesAt({ recording, evidence }: Exhibit): Buffer {
  const { capture, frame, offset, length } = evidence
  if (frame === null || offset === null) throw new Error('this evidence has no place')
  const packets = filesOf(recording).get(capture)?.packets ?? []
  const first = packets[frame - 1]
  if (first === undefined) throw new Error(`${capture} has no frame ${frame}`)
  const { from, fromPort, to, toPort } = readSegment(first.bytes)
  const rest = packets
    .slice(frame)
    .map(({ bytes }) => readSegment(bytes))
    .filter((one) => one.from === from && one.fromPort === fromPort && one.to === to && one.toPort === toPort)
    .map(({ payload }) => payload)
  return Buffer.concat([first.bytes.subarray(offset), ...rest]).subarray(0, length)
}

/** What bytes can say under an encoding; base64 in each of its alignments. */
function readings(bytes: Buffer, encoding: string): string[] {
  if (encoding === 'plain') return [bytes.toString('latin1')]
  if (encoding === 'hex') return [Buffer.from(bytes.toString('latin1'), 'hex').toString('latin1')]
  if (encoding === 'percent') return [decodeURIComponent(bytes.toString('latin1'))]
  if (encoding === 'binary') return [bytes.join('.')]
  if (encoding === 'base64')
    return ['', 'A', 'AA', 'AAA'].map((lead) =>
      Buffer.from(lead + bytes.toString('latin1'), 'base64').toString('latin1'),
    )
  throw new Error(`the lab should not find ${encoding} here`)
}

function wantedOf({ parties }: Recording, canaries: Canaries, information: Information): string[] {
  if (information === 'client-address') return [parties.client]
  if (information === 'destination-address') return [parties.destination]
  return (PLANTED[information] ?? []).map((field) => canaries[field])
}

/** Base64 leaves out what its neighbours share a character with: the first and the last byte. */
function isReadAt(exhibit: Exhibit): boolean {
  const { recording, cell, evidence } = exhibit
  const bytes = bytesAt(exhibit)
  if (bytes.length !== evidence.length) return false
  const read = readings(bytes, evidence.encoding)
  return wantedOf(recording, recording.canaries, cell.information).some((wanted) =>
    evidence.encoding === 'base64'
      ? read.some((text) => text.includes(wanted.slice(1, -1)))
      : read.some((text) => text.toLowerCase() === wanted),
  )
}

function shown({ run, cell, evidence }: Exhibit): string {
  return `${run.mode} ${run.variant} ${run.scheme}: ${cell.observer} ${cell.information}: ${JSON.stringify(evidence)}`
}

describe('evidence', () => {
  let measured: Measured
  let exhibits: Exhibit[]
  const of = (...information: Information[]): Exhibit[] =>
    exhibits.filter(({ cell }) => information.includes(cell.information))
  const placed = (list: Exhibit[]): Exhibit[] =>
    list.filter(({ evidence }) => evidence.kind === 'bytes' && evidence.frame !== null)
  const onWire = (list: Exhibit[]): Exhibit[] =>
    placed(list).filter(({ evidence }) => WIRE_LAYER.test(evidence.layer))
  const found = (list: Exhibit[]): Exhibit[] =>
    list.filter(({ cell }) => PLANTED[cell.information] !== undefined || cell.information.endsWith('address'))

  beforeAll(async () => {
    measured = await measure({ seed: 'evidence' })
    exhibits = exhibitsOf(measured)
  })

  it('stands behind every cell that says clear, sealed or inferable, and behind no other', () => {
    for (const { cells } of measured.result.runs) {
      for (const { value, evidence, reason } of cells) {
        expect(evidence.length > 0).toBe(['clear', 'sealed', 'inferable'].includes(value))
        if (value !== 'clear') expect(reason).toMatch(/^[a-z]/)
      }
    }
  })

  it('is in the captured bytes at the frame and offset that it names, under the encoding that it names', () => {
    const checked = onWire(found(exhibits))
    expect(checked.filter((exhibit) => !isReadAt(exhibit)).map(shown)).toEqual([])
    expect(checked.length).toBeGreaterThan(100)
    expect([...new Set(checked.map(({ evidence }) => evidence.encoding))].toSorted()).toEqual([
      'base64',
      'binary',
      'plain',
    ])
  })

  it('is not readable at that place where a layer of TLS had to be taken off', () => {
    const checked = placed(found(exhibits)).filter(({ evidence }) => evidence.layer.includes(' > tls'))
    expect(checked.length).toBeGreaterThan(50)
    for (const exhibit of checked) {
      const bytes = bytesAt(exhibit)
      // A value in several records or frames takes their framing with it.
      expect(bytes.length).toBe(exhibit.evidence.length)
      const wanted = wantedOf(exhibit.recording, exhibit.recording.canaries, exhibit.cell.information)
      for (const word of wanted) expect(bytes.toString('latin1').toLowerCase()).not.toContain(word)
    }
  })

  it('shows the planted word, or as much of it as the encoding leaves, in its excerpt', () => {
    for (const { cell, evidence, recording } of found(exhibits)) {
      if (evidence.kind !== 'bytes' || evidence.encoding === 'base64') continue
      const wanted = wantedOf(recording, recording.canaries, cell.information)
      expect(wanted.some((word) => evidence.excerpt.includes(word))).toBe(true)
      expect(evidence.excerpt.length).toBeLessThanOrEqual(64)
    }
  })

  it('says sealed only of what stands in a layer that had to be decrypted', () => {
    const sealed = exhibits.filter(({ cell }) => cell.value === 'sealed')
    expect(sealed.length).toBeGreaterThan(0)
    expect(sealed.filter(({ evidence }) => !evidence.layer.includes(' > tls')).map(shown)).toEqual([])
  })

  it('is found in bodies under each content coding, and leads to the body that holds it', () => {
    const coded = exhibits.filter(({ evidence }) => /^(gzip|br|deflate):plain$/.test(evidence.encoding))
    expect(new Set(coded.map(({ evidence }) => evidence.encoding)).size).toBe(3)
    for (const { cell, evidence, recording } of coded) {
      expect([cell.information, evidence.excerpt.includes(recording.canaries.responseBody)]).toEqual([
        'content',
        true,
      ])
      expect(evidence.layer.endsWith(` > ${evidence.encoding.split(':')[0]}`)).toBe(true)
    }
  })

  it('of the access network’s clear cells never needs a key', () => {
    const clear = exhibits.filter(({ cell }) => cell.observer === 'access-network' && cell.value === 'clear')
    expect(clear.filter(({ evidence }) => evidence.layer.includes('tls')).map(shown)).toEqual([])
  })

  it('of kind endpoint is an address that the recording holds from a kernel', () => {
    for (const { recording, evidence } of of('client-address', 'destination-address')) {
      if (evidence.kind !== 'endpoint') continue
      const { access, exit, resolver, siteClients } = recording
      const links = [...access, ...exit, ...resolver].flatMap(({ from, to, seenAs }) => [
        from,
        to,
        ...(seenAs === undefined ? [] : [seenAs]),
      ])
      expect([...links, ...siteClients].map(({ address }) => address)).toContain(evidence.excerpt)
    }
  })

  it('of a fingerprint is the application’s own ClientHello, known by the random that its key log names', () => {
    const prints = placed(of('client-fingerprint'))
    expect(prints.length).toBeGreaterThan(0)
    const values = new Set<string>()
    for (const exhibit of prints) {
      values.add(exhibit.evidence.excerpt)
      if (!WIRE_LAYER.test(exhibit.evidence.layer)) continue
      const bytes = bytesAt(exhibit)
      // RFC 8446 section 4.1.2: type 1, length, version, random.
      expect(bytes[0]).toBe(1)
      expect(exhibit.recording.keylogs.application).toContain(bytes.subarray(6, 38).toString('hex'))
    }
    // One application, one fingerprint for each version that it speaks, whatever it went through.
    expect([...values].toSorted()).toEqual([
      expect.stringMatching(/^t12d[0-9]{4}h1_[0-9a-f]{12}_[0-9a-f]{12}$/),
      expect.stringMatching(/^t13d[0-9]{4}h1_[0-9a-f]{12}_[0-9a-f]{12}$/),
    ])
  })

  it('of the shape is the first frame of a connection, with the sizes that passed', () => {
    const shapes = of('traffic-shape')
    // Access network, exit network, destination; and both links of the gateway. The resolver carries none of it.
    expect(shapes).toHaveLength(
      measured.result.runs.reduce((sum, { mode }) => sum + (mode === 'direct' ? 3 : 5), 0),
    )
    for (const exhibit of shapes) {
      const connection = connectionsOf(exhibit).find(
        ({ frames }) => frames[0]?.number === exhibit.evidence.frame,
      )
      const sizes =
        connection?.frames
          .map(({ direction, bytes }) => `${direction === 'up' ? '>' : '<'}${bytes.length}`)
          .join(' ') ?? ''
      expect(sizes.startsWith(exhibit.evidence.excerpt)).toBe(true)
      expect(bytesAt(exhibit)).toEqual(connection?.frames[0]?.bytes)
    }
  })

  it('of an inferred address is the name that was read there', () => {
    const inferred = exhibits.filter(({ cell }) => cell.value === 'inferable')
    expect(inferred.map(({ run }) => run.variant ?? run.mode)).toEqual([
      'http-proxy',
      'http-proxy',
      'tls12',
      'socks5h',
      'socks5h',
      'tls12',
    ])
    for (const { evidence, recording } of inferred) {
      expect(evidence).toMatchObject({ kind: 'procedure', frame: null, offset: null })
      expect(evidence.excerpt.startsWith(`resolve ${recording.siteName} = `.slice(0, 64))).toBe(true)
    }
  })

  it('without a place of its own is of a decrypted handshake: the certificate of the tunnel client', () => {
    const placeless = exhibits.filter(({ evidence }) => evidence.kind === 'bytes' && evidence.frame === null)
    expect(placeless.length).toBeGreaterThan(0)
    for (const { cell, evidence, recording } of placeless) {
      expect(evidence.layer).toMatch(/ > tls handshake$/)
      expect(evidence.excerpt).toContain(
        recording.canaries[cell.information === 'client-identity' ? 'certificateSubject' : 'hostLabel'],
      )
    }
  })
})
