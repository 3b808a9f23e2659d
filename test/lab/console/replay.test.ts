// A replay through the console: the same words through both modes at once, each frame told at each vantage, and what a
// person typed found where it can be read and nowhere else.
import { describe, expect, it } from 'vitest'
import type { ConsoleEvent, Pane, Piece } from '../../../src/lab/console/wire.ts'
import type { Observer } from '../../../src/policy/exposure.ts'
import { EventReader } from '../../support/console-events.ts'
import { ORDER, runConsole } from '../../support/console.ts'

/** The last state of each piece, as the page holds them. */
function piecesOf(events: readonly ConsoleEvent[], pane: Pane, observer: Observer): Piece[] {
  const pieces = new Map<string, Piece>()
  for (const event of events) {
    if (event.type !== 'pieces' || event.pane !== pane || event.observer !== observer) continue
    for (const piece of event.pieces) pieces.set(piece.id, piece)
  }
  return [...pieces.values()]
}

function textOf(pieces: readonly Piece[]): string {
  return pieces.map(({ bytes }) => Buffer.from(bytes, 'base64').toString('utf8')).join('\n')
}

const wordsIn = (pieces: readonly Piece[]): Set<string> =>
  new Set(pieces.flatMap(({ marks }) => marks.filter(({ kind }) => kind === 'word').map(({ name }) => name)))

describe('a replay', () => {
  it('shows the message to the access network in http-proxy and not in tunnel, and to the operator in both', async () => {
    await using running = await runConsole()
    using reader = await EventReader.open(running.port)
    const asked = await running.post('/api/replay', ORDER)
    expect([asked.status, asked.body]).toEqual([202, '{"replay":1}'])
    const { tookMs } = await reader.event('done')
    expect(tookMs).toBeGreaterThan(0)

    const seen = (pane: Pane, observer: Observer): Piece[] => piecesOf(reader.events, pane, observer)
    expect(textOf(seen('left', 'access-network'))).toContain(ORDER.message)
    expect(textOf(seen('right', 'access-network'))).not.toContain(ORDER.message)
    expect(textOf(seen('left', 'gateway-operator'))).toContain(ORDER.message)
    expect(textOf(seen('right', 'gateway-operator'))).toContain(ORDER.message)
    expect(textOf(seen('right', 'destination'))).toContain(ORDER.message)
    for (const word of ['requestBody', 'cookie', 'sitePassword', 'hostLabel', 'path'])
      expect(wordsIn(seen('left', 'access-network'))).toContain(word)
    expect(wordsIn(seen('right', 'access-network'))).toEqual(new Set())
    // The operator of the tunnel also reads the name in the certificate.
    expect(wordsIn(seen('right', 'gateway-operator'))).toContain('certificateSubject')

    const runs = reader.events.filter((event) => event.type === 'run')
    expect(runs.map(({ pane, run }) => [pane, run.mode, run.findings])).toEqual(
      expect.arrayContaining([
        ['left', 'http-proxy', []],
        ['right', 'tunnel', []],
      ]),
    )
  })

  it('tells what passes while the request is still under way', async () => {
    await using running = await runConsole()
    using reader = await EventReader.open(running.port)
    await running.post('/api/replay', { ...ORDER, scheme: 'https' })
    await reader.event('done')
    const ofTunnel = reader.events.slice(
      0,
      reader.events.findIndex((event) => event.type === 'run' && event.pane === 'right'),
    )
    const first = ofTunnel.find((event) => event.type === 'pieces' && event.pane === 'right')
    const all = piecesOf(ofTunnel, 'right', 'access-network')
    // The first frame was told before the second had passed.
    expect(first).toMatchObject({ observer: 'access-network', pieces: [{ direction: 'up', layer: 'tcp' }] })
    expect(all.length).toBeGreaterThan(5)
  })

  it('tells a page that comes late all of the last replay, and nothing of the one before', async () => {
    await using running = await runConsole()
    using first = await EventReader.open(running.port)
    await running.post('/api/replay', ORDER)
    await first.event('done', ({ replay }) => replay === 1)
    await running.post('/api/replay', { ...ORDER, left: { mode: 'direct', variant: null } })
    await first.event('done', ({ replay }) => replay === 2)
    using late = await EventReader.open(running.port)
    await late.event('done')
    const told = first.events.slice(first.events.findLastIndex(({ type }) => type === 'replay'))
    expect(late.events.slice(1)).toEqual(told)
  })

  it('runs one at a time', async () => {
    await using running = await runConsole()
    using reader = await EventReader.open(running.port)
    const both = await Promise.all([1, 2].map(() => running.post('/api/replay', ORDER)))
    expect(both.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([202, 409])
    await reader.event('done')
    expect((await running.post('/api/replay', ORDER)).status).toBe(202)
    await reader.event('done', ({ replay }) => replay === 2)
  })
})

describe('the captures of a replay', () => {
  it('are pcapng, for as long as the replay is kept, by the names that were told', async () => {
    await using running = await runConsole()
    using reader = await EventReader.open(running.port)
    await running.post('/api/replay', ORDER)
    const { captures } = await reader.event('run', ({ pane }) => pane === 'right')
    await reader.event('done')
    expect(captures).toContain('access-network.pcapng')
    expect(captures).toContain('access-network-with-keys.pcapng')
    for (const name of captures) {
      const answer = await running.ask('GET', `/api/captures/1/right/${name}`)
      expect(answer.status).toBe(200)
      expect(answer.headers['content-disposition']).toBe(`attachment; filename="tunnel-http-${name}"`)
      // pcapng's section header block (draft-ietf-opsawg-pcapng, section 4.1).
      expect(answer.body.startsWith('\n\r\r\n')).toBe(true)
    }
    for (const target of [
      '/api/captures/1/middle/access-network.pcapng',
      '/api/captures/1/right/nothing.pcapng',
      '/api/captures/2/right/access-network.pcapng',
      '/api/captures/1/right/../../x.pcapng',
    ])
      expect((await running.ask('GET', target)).status).toBe(404)
    for (let replay = 2; replay <= 4; replay += 1) {
      await running.post('/api/replay', ORDER)
      await reader.event('done', (event) => event.replay === replay)
    }
    expect((await running.ask('GET', '/api/captures/1/right/access-network.pcapng')).status).toBe(404)
    expect((await running.ask('GET', '/api/captures/2/right/access-network.pcapng')).status).toBe(200)
  })
})
