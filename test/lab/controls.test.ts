// The controls can fail. Each test takes what a real run recorded, changes one thing that a leak or a lying key would
// change, and sees the assessment turn red at the right place.
import { beforeAll, describe, expect, it } from 'vitest'
import { assess } from '../../src/lab/assess.ts'
import type { CapturedConnection, Direction } from '../../src/lab/capture.ts'
import { packetsOf } from '../../src/lab/pcapng/packets.ts'
import type { LabRun } from '../../src/lab/model.ts'
import type { Recording } from '../../src/lab/recording.ts'
import { measure, valueOf } from './measure.ts'

/** The connection with `change` made to the bytes of one direction; all later places move along. */
function rewritten(
  connection: CapturedConnection,
  direction: Direction,
  change: (bytes: Buffer) => Buffer,
): CapturedConnection {
  let streamOffset = 0
  let done = false
  const frames = connection.frames.map((frame) => {
    if (frame.direction !== direction) return frame
    const bytes = done ? frame.bytes : change(frame.bytes)
    done ||= !bytes.equals(frame.bytes)
    const moved = { ...frame, bytes, streamOffset }
    streamOffset += bytes.length
    return moved
  })
  if (!done) throw new Error('nothing was changed')
  return { ...connection, frames }
}

/** `line` added to the first HTTP head. */
function withHeader(line: string): (bytes: Buffer) => Buffer {
  return (bytes) => Buffer.from(bytes.toString('latin1').replace('\r\n', `\r\n${line}\r\n`), 'latin1')
}

/** A connection of the client's own that says `text`, beside all that was recorded. */
function beside({ parties, access, exit }: Recording, text: string): CapturedConnection {
  const last = Math.max(...[...access, ...exit].flatMap(({ frames }) => frames.map(({ atMs }) => atMs)))
  return {
    transport: 'tcp',
    openedMs: last + 1,
    from: { address: parties.client, port: 40_000 },
    to: { address: '127.0.0.53', port: 80 },
    seenAs: undefined,
    frames: [{ number: 1, atMs: last + 1, direction: 'up', bytes: Buffer.from(text), streamOffset: 0 }],
    endings: [],
  }
}

/** Key log lines whose last secret bytes are others: the random still fits. */
function spoiled(keylog: string): string {
  return keylog.replace(/[0-9a-f]{8}$/gm, '00000000')
}

describe('a recording that was tampered with', () => {
  let recordings: readonly Recording[] = []
  const recorded = (mode: string, scheme: string): Recording => {
    const found = recordings.find(({ scenario }) => scenario.mode === mode && scenario.scheme === scheme)
    if (found === undefined) throw new Error(`no recording of ${mode}, ${scheme}`)
    return found
  }
  const first = ([connection]: readonly CapturedConnection[]): CapturedConnection => {
    if (connection === undefined) throw new Error('nothing was recorded')
    return connection
  }
  const expectRed = (run: LabRun, finding: RegExp): void => {
    expect(run.findings).toEqual(expect.arrayContaining([expect.stringMatching(finding)]))
  }

  beforeAll(async () => {
    ;({ recordings } = await measure({
      seed: 'controls',
      modes: ['direct', 'http-proxy', 'tunnel'],
      variants: [],
    }))
  })

  it('is green as it was recorded, which is what the changes below are held against', () => {
    expect(recordings.flatMap((recording) => assess(recording).findings)).toEqual([])
  })

  describe('positive control', () => {
    it('fails when the tunnel’s key log fits the connection but not its secrets', () => {
      const recording = recorded('tunnel', 'http')
      const { tunnelClient } = recording.keylogs
      const run = assess({
        ...recording,
        keylogs: { ...recording.keylogs, tunnelClient: spoiled(tunnelClient), gateway: '' },
      })
      expect(run.controls).toEqual({ negative: 'passed', positive: 'failed' })
      expectRed(run, /^positive control: not found .*: path, query, .*hostLabel, certificateSubject, tcp: /)
    })

    it('fails when one observer’s keys do not fit, though the client’s do', () => {
      const recording = recorded('tunnel', 'http')
      const run = assess({
        ...recording,
        keylogs: { ...recording.keylogs, gateway: spoiled(recording.keylogs.gateway) },
      })
      expect(run.controls.positive).toBe('failed')
      expectRed(run, /^positive control: .*: tcp: /)
    })

    it('fails without any key log of the tunnel: sealed is never said unproved', () => {
      const recording = recorded('tunnel', 'http')
      const run = assess({ ...recording, keylogs: { ...recording.keylogs, tunnelClient: '' } })
      expect(run.controls.positive).toBe('failed')
      expect(valueOf(run, 'access-network', 'content')).toBe('absent')
      expectRed(run, /^access-network, content: measured absent, the truth table says sealed/)
    })

    it('fails without the application’s key log: what is inside the site’s own TLS is not shown', () => {
      const recording = recorded('tunnel', 'https')
      const run = assess({ ...recording, keylogs: { ...recording.keylogs, application: '' } })
      expect(run.controls.positive).toBe('failed')
      expectRed(run, /^positive control: not found .*: path, query/)
    })

    it('fails when one byte of a sealed capture is another', () => {
      const recording = recorded('tunnel', 'http')
      const access = recording.access.map((connection) =>
        rewritten(connection, 'up', (bytes) => {
          // Past the hellos, in the ciphertext of a record that is long enough to hold the request.
          if (bytes[0] !== 23 || bytes.length < 300) return bytes
          const changed = Buffer.from(bytes)
          changed.writeUInt8((changed[200] ?? 0) ^ 1, 200)
          return changed
        }),
      )
      const run = assess({ ...recording, access })
      expect(run.controls.positive).toBe('failed')
    })

    it('fails when a word that was sent is not in the capture', () => {
      const recording = recorded('http-proxy', 'http')
      const { cookie } = recording.canaries
      const blank = (bytes: Buffer): Buffer =>
        Buffer.from(bytes.toString('latin1').replaceAll(cookie, 'x'.repeat(cookie.length)), 'latin1')
      const run = assess({ ...recording, access: [rewritten(first(recording.access), 'up', blank)] })
      expect(run.controls).toEqual({ negative: 'passed', positive: 'failed' })
      expectRed(run, /^positive control: .*: cookie$/)
    })
  })

  describe('negative control', () => {
    it('fails when a word that was never sent stands in a capture in clear', () => {
      const recording = recorded('http-proxy', 'http')
      const exit = [
        rewritten(first(recording.exit), 'down', withHeader(`x-note: ${recording.canaries.neverSent}`)),
      ]
      const run = assess({ ...recording, exit })
      expect(run.controls).toEqual({ negative: 'failed', positive: 'passed' })
      expectRed(run, /^negative control: a canary that was never sent was found$/)
    })

    it('fails when it stands there in base64', () => {
      const recording = recorded('direct', 'http')
      const encoded = Buffer.from(`:${recording.canaries.neverSent}`).toString('base64')
      const run = assess({
        ...recording,
        exit: [rewritten(first(recording.exit), 'up', withHeader(`x-note: ${encoded}`))],
      })
      expect(run.controls.negative).toBe('failed')
    })

    it('fails when it stands in what was decrypted', () => {
      const recording = recorded('tunnel', 'https')
      // The word that was sent inside both layers of TLS, taken for one that was not.
      const canaries = { ...recording.canaries, neverSent: recording.canaries.path }
      expect(assess({ ...recording, canaries }).controls.negative).toBe('failed')
    })
  })

  describe('records', () => {
    it('are found wanting where there was nothing to search: a log that was never written proves nothing', () => {
      const recording = recorded('http-proxy', 'http')
      const written = { ...recording.written, 'log-debug': '', metrics: '' }
      expect(assess({ ...recording, written }).findings).toEqual([
        "record audit: the gateway's log-debug holds nothing that could be searched",
        "record audit: the gateway's metrics holds nothing that could be searched",
      ])
    })

    it('are searched in refusals too, decrypted where the link was: an answer that repeats the target is red', () => {
      const recording = recorded('http-proxy', 'http')
      const [refused, ...others] = recording.refusals.access
      if (refused === undefined) throw new Error('nothing was refused')
      const access = [rewritten(refused, 'down', withHeader(`x-target: ${recording.siteName}`)), ...others]
      const run = assess({ ...recording, refusals: { ...recording.refusals, access } })
      expect(run.findings).toEqual([
        expect.stringMatching(/^the gateway's error-answers holds destination-name \(hostLabel\): /),
      ])
      const sealed = recorded('tunnel', 'http')
      const searched = assess(sealed).recorded.searched.find(({ source }) => source === 'error-answers')
      expect(searched?.bytes).toBeGreaterThan(100)
    })

    it('hold no word that was never sent, or the negative control fails', () => {
      const recording = recorded('tunnel', 'http')
      const written = {
        ...recording.written,
        metrics: `${recording.written.metrics}\n${recording.canaries.neverSent}`,
      }
      expect(assess({ ...recording, written }).controls.negative).toBe('failed')
    })
  })

  describe('coverage', () => {
    it('is outside what went to anybody but the gateway, though it went inside as well', () => {
      const recording = recorded('tunnel', 'http')
      const direct = recorded('direct', 'http')
      const other = recording.other.map((one) =>
        one.traffic === 'udp' ? { ...one, recorded: direct.other[0]?.recorded ?? one.recorded } : one,
      )
      const run = assess({ ...recording, other })
      expect(run.coverage.find(({ traffic }) => traffic === 'udp')).toMatchObject({
        outside: true,
        evidence: [{ capture: 'access-network-udp.pcapng', layer: 'udp' }, {}],
      })
      expect(run.findings).toEqual([
        expect.stringMatching(/^coverage, udp: measured outside, the truth table says inside/),
      ])
    })

    it('is inside what was not found there: an untold application that stays silent is red', () => {
      const recording = recorded('http-proxy', 'http')
      const other = recording.other.filter(({ traffic }) => traffic !== 'untold-application')
      expect(assess({ ...recording, other }).findings).toEqual([
        expect.stringMatching(/^coverage, untold-application: measured inside, the truth table says outside/),
      ])
    })
  })

  describe('cells', () => {
    it('the destination’s client-address turns clear when the gateway adds X-Forwarded-For', () => {
      const recording = recorded('http-proxy', 'http')
      const line = `X-Forwarded-For: ${recording.parties.client}`
      const run = assess({ ...recording, exit: [rewritten(first(recording.exit), 'up', withHeader(line))] })
      expect(
        run.cells.find(
          ({ observer, information }) => observer === 'destination' && information === 'client-address',
        ),
      ).toMatchObject({
        value: 'clear',
        evidence: [
          {
            kind: 'bytes',
            capture: 'destination.pcapng',
            encoding: 'plain',
            field: 'http.header.x-forwarded-for',
          },
        ],
      })
      expect(run.findings).toEqual([
        expect.stringMatching(/^exit-network, client-address: measured clear, the truth table says absent/),
        expect.stringMatching(/^destination, client-address: measured clear, the truth table says absent/),
      ])
    })

    it('and when the kernel reports the client itself to the site', () => {
      const recording = recorded('tunnel', 'https')
      const run = assess({ ...recording, siteClients: [{ address: recording.parties.client, port: 1 }] })
      expect(run.findings).toEqual([expect.stringMatching(/^destination, client-address: measured clear/)])
    })

    it('the access network’s destination-name turns clear when the name goes out beside the tunnel', () => {
      for (const scheme of ['http', 'https']) {
        const recording = recorded('tunnel', scheme)
        const leak = beside(recording, `GET / HTTP/1.1\r\nHost: ${recording.siteName}\r\n\r\n`)
        const run = assess({ ...recording, exit: [...recording.exit, leak] })
        expect(run.controls).toEqual({ negative: 'passed', positive: 'passed' })
        expectRed(run, /^access-network, destination-name: measured clear, the truth table says sealed/)
        // Who reads the name can resolve it.
        expectRed(
          run,
          /^access-network, destination-address: measured inferable, the truth table says absent/,
        )
      }
    })

    it('evidence of such a leak names a frame that is in the joined capture only once', () => {
      const recording = recorded('tunnel', 'http')
      const leak = beside(recording, `GET / HTTP/1.1\r\nHost: ${recording.siteName}\r\n\r\n`)
      const run = assess({ ...recording, exit: [...recording.exit, leak] })
      const cell = run.cells.find(
        ({ observer, information }) => observer === 'access-network' && information === 'destination-name',
      )
      const before = packetsOf(recording.access).length
      // Behind the leak's own handshake of three.
      expect(cell?.evidence).toMatchObject([{ frame: before + 4, field: 'http.host', encoding: 'plain' }])
    })

    it('a client that goes direct while the tunnel is on is seen by access network and destination', () => {
      const recording = recorded('tunnel', 'http')
      const direct = recorded('direct', 'http')
      const run = assess({
        ...recording,
        exit: [...recording.exit, ...direct.exit],
        siteClients: direct.siteClients,
      })
      expectRed(run, /^access-network, content: measured clear/)
      expectRed(run, /^access-network, destination-address: measured clear/)
      expectRed(run, /^destination, client-address: measured clear/)
    })

    it('a mode that exposes less than the table says is red too', () => {
      const recording = recorded('http-proxy', 'http')
      const run = assess({ ...recording, siteClients: [], exit: [], resolver: [] })
      expectRed(run, /^destination, content: measured absent, the truth table says clear/)
      expectRed(run, /^gateway-operator, destination-address: measured inferable, the truth table says clear/)
    })
  })

  it('keeps what went wrong while it was recorded as its first finding', () => {
    const run = assess({ ...recorded('direct', 'http'), problems: ['the request failed: no route'] })
    expect(run.findings).toEqual(['the request failed: no route'])
  })
})
