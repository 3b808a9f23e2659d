// The report as a file: every cell is on it and leads to its evidence, the bytes it marks are those in the capture files,
// nothing in it runs or comes from outside, and no text of a measurement becomes markup.
import { beforeAll, describe, expect, it } from 'vitest'
import type { Recording } from '../../../src/lab/recording.ts'
import { captureFiles, captureFolder } from '../../../src/lab/captures.ts'
import type { LabRun } from '../../../src/lab/model.ts'
import { chosen } from '../../../src/lab/report/page/evidence.ts'
import { hexdump } from '../../../src/lab/report/page/hexdump.ts'
import { Html, markup } from '../../../src/lab/report/page/html.ts'
import { htmlReport } from '../../../src/lab/report/page/report.ts'
import { readPcapng } from '../../support/pcapng.ts'
import { measure, type Measured } from '../measure.ts'

const HOSTILE = `"><script>alert(1)</script><img src=x onerror='alert(2)'>&amp;`

describe('a template', () => {
  it('escapes text, in content and in attributes, and lists of templates not twice', () => {
    const { text } = markup`<a title="${HOSTILE}">${HOSTILE}${[markup`<b>${'<'}</b>`, markup`${1}`]}</a>`
    expect(text).not.toMatch(/<script|<img|'/)
    expect(text).toContain('<b>&lt;</b>1</a>')
    expect(text).toContain('&amp;amp;')
  })
})

describe('bytes with some of them marked', () => {
  const bytes = Uint8Array.from({ length: 40 }, (_, index) => 0x41 + index)
  const marked = (text: string): string[] =>
    [...text.matchAll(/<mark>([^<]*)<\/mark>/g)].map(([, inner = '']) => inner)

  it('marks them in hex and as text, over rows, and shows a row before and behind', () => {
    const { text } = hexdump(bytes, 14, 4)
    expect(marked(text)).toEqual(['4f 50', 'OP', '51 52', 'QR'])
    const lines = text
      .replaceAll(/<[^>]*>/g, '')
      .trimEnd()
      .split('\n')
    expect(lines).toEqual([
      '0000  41 42 43 44 45 46 47 48  ABCDEFGH',
      '0008  49 4a 4b 4c 4d 4e 4f 50  IJKLMNOP',
      '0010  51 52 53 54 55 56 57 58  QRSTUVWX',
      '0018  59 5a 5b 5c 5d 5e 5f 60  YZ[\\]^_`',
    ])
  })

  it('keeps the columns in a last row that is short', () => {
    const lines = hexdump(bytes.subarray(0, 10), 8, 9)
      .text.replaceAll(/<[^>]*>/g, '')
      .split('\n')
    expect(lines[1]).toBe('0008  49 4a                    IJ')
  })

  it('says how much more there is behind the rows it shows', () => {
    expect(hexdump(new Uint8Array(1_000), 0, 1_000).text).toContain('and 888 bytes more of it')
  })
})

describe('the report', () => {
  let measured: Measured
  let page: string
  beforeAll(async () => {
    measured = await measure({ seed: 'report', modes: ['http-proxy', 'tunnel'], variants: [null] })
    page = htmlReport({ ...measured, observers: ['access-network', 'destination'] })
  })
  const pairs = (): Array<readonly [LabRun, Recording]> =>
    measured.result.runs.map((run, index) => [run, measured.recordings[index]!] as const)

  it('has a button for every cell, and what it shows', () => {
    const buttons = [
      ...page.matchAll(
        /class="cell [^"]*"\s+popovertarget="((?![^"]*\.around\.)[^"]*)"[^>]*>\s*([a-z-]+)\s*<\/button>/g,
      ),
    ]
    const shown = buttons.map(([, id, text]) => `${id} ${text}`)
    const cells = measured.result.runs.flatMap((run) =>
      run.cells.map(
        ({ observer, information, value }) => `${captureFolder(run)}.${observer}.${information} ${value}`,
      ),
    )
    expect(shown.toSorted()).toEqual(cells.toSorted())
    const popovers = [...page.matchAll(/<div popover id="([^"]*)"/g)].map(([, id = '']) => id)
    const opened = [...page.matchAll(/class="cell [^"]*"\s+popovertarget="([^"]*)"/g)].map(
      ([, id = '']) => id,
    )
    expect(popovers.toSorted()).toEqual(opened.toSorted())
    expect(opened.length - buttons.length).toBe(measured.result.runs.length * (4 + 7))
  })

  it('marks, of each piece of evidence, the very bytes that stand there in the capture file', () => {
    let compared = 0
    for (const [run, recording] of pairs()) {
      const files = new Map([...captureFiles(recording, 0)].map(([name, file]) => [name, readPcapng(file)]))
      for (const cell of run.cells) {
        const shown = popoverOf(page, `${captureFolder(run)}.${cell.observer}.${cell.information}`)
        const pieces = shown.split('<div class="piece">').slice(1)
        const listed = chosen(cell.evidence)
        expect(pieces).toHaveLength(listed.length)
        for (const [index, { capture, frame, offset, length, excerpt }] of listed.entries()) {
          const piece = pieces[index] ?? ''
          expect(unescaped(piece.replaceAll(/<\/?mark>/g, ''))).toContain(excerpt)
          if (frame === null || offset === null) continue
          const bytes = files.get(capture)?.packets[frame - 1]?.bytes.subarray(offset, offset + length)
          const dump = /<pre class="hex"[^>]*>([^]*?)<\/pre>/.exec(piece)?.[1] ?? ''
          // A row marks the bytes in hex first, and then as text.
          const hex = dump
            .split('\n')
            .map((row) => /<mark>([^<]*)<\/mark>/.exec(row)?.[1] ?? '')
            .join(' ')
          const markedBytes = Buffer.from(hex.replaceAll(' ', ''), 'hex')
          const isWhole = !piece.includes('bytes more of it')
          expect(markedBytes.equals(isWhole ? bytes! : bytes!.subarray(0, markedBytes.length))).toBe(true)
          expect(piece).toContain(`frame ${frame}, offset ${offset}, ${length} bytes`)
          compared += 1
        }
      }
    }
    expect(compared).toBeGreaterThan(100)
  })

  it('marks the planted word in what was read', () => {
    const { canaries } = measured.recordings[0]!
    const shown = popoverOf(page, 'http-proxy-http.access-network.content')
    expect(shown).toContain(`<mark>${canaries.requestBody}</mark></code>`)
  })

  it('leads from what is absent to where it was found', () => {
    const shown = popoverOf(page, 'http-proxy-http.destination.client-address')
    expect(shown).toMatch(/found elsewhere/)
    expect(shown).toContain('popovertarget="http-proxy-http.access-network.client-address"')
  })

  it('shows behind what goes around a mode the bytes that did, and where all else went', () => {
    const [run, recording] = pairs().find(([{ mode }]) => mode === 'tunnel')!
    const { canaries, parties } = recording
    const untold = popoverOf(page, 'tunnel-http.around.untold-application')
    const excerpt = run.coverage.find(({ traffic }) => traffic === 'untold-application')!.evidence[0]!.excerpt
    expect(unescaped(untold.replaceAll(/<\/?mark>/g, ''))).toContain(excerpt)
    expect(untold).toContain(`<mark>${canaries.untoldLabel}</mark>`)
    expect(untold).toContain(`to the destination, ${parties.destination} port`)
    const datagram = popoverOf(page, 'tunnel-http.around.udp')
    expect(datagram).toContain('is not there')
    expect(datagram).toContain(`to the gateway, ${parties.gateway} port`)
    expect(datagram).not.toMatch(/class="hex"|to the (?:resolver|destination)/)
  })

  it('shows behind what the gateway wrote down the text that was searched', () => {
    const [, recording] = pairs().find(([{ mode, scheme }]) => mode === 'tunnel' && scheme === 'http')!
    const log = unescaped(popoverOf(page, 'tunnel-http.written.log-info'))
    expect(log).toContain(recording.written['log-info'].trimEnd())
    expect(log).toMatch(/Found:\s+0/)
    expect(popoverOf(page, 'tunnel-http.written.log-error')).toContain('Nothing was written there')
    expect(popoverOf(page, 'http-proxy-http.written.error-answers')).toMatch(/HTTP\/1\.1 (?:403|502)/)
    expect(popoverOf(page, 'tunnel-http.written.metrics')).toMatch(/The first 12000 of \d+ characters/)
  })

  it('names what was found in what the gateway wrote, and where', () => {
    const [run, recording] = pairs()[0]!
    const searched = run.recorded.searched
    const found = [
      { source: 'metrics', information: 'content', field: 'cookie', encoding: 'hex', excerpt: HOSTILE },
    ] as const
    const leaking = { ...run, recorded: { searched, found } }
    const text = htmlReport({
      result: { ...measured.result, runs: [leaking] },
      recordings: [recording],
      observers: ['access-network', 'destination'],
    })
    const bytes = searched.find(({ source }) => source === 'metrics')!.bytes
    expect(text).toMatch(new RegExp(`class="cell clear"[^>]*>\\s*1 in ${bytes}`))
    expect(popoverOf(text, `${captureFolder(run)}.written.metrics`)).toContain(
      'cookie (hex): <code>&quot;&gt;',
    )
  })

  it('has no script, no style from elsewhere and no address to fetch', () => {
    expect(page).not.toMatch(/<script|<link rel="stylesheet|@import|url\(|\son[a-z]+=/i)
    expect(
      [...page.matchAll(/(?:src|href)="([^"]*)"/g)].every(([, to = '']) => /^(?:#|data:,)/.test(to)),
    ).toBe(true)
    expect(page).toContain(`content="default-src 'none'; style-src 'unsafe-inline'; img-src data:"`)
  })

  it('shows text of the measurement as text, whatever it is', () => {
    const { result, recordings } = measured
    const cells = result.runs[0]!.cells.map((cell) => ({
      ...cell,
      reason: HOSTILE,
      evidence: cell.evidence.map((one) => ({
        ...one,
        field: HOSTILE,
        excerpt: HOSTILE,
        layer: HOSTILE,
        encoding: HOSTILE,
      })),
    }))
    const runs = [{ ...result.runs[0]!, cells, findings: [HOSTILE] }]
    const hostile = htmlReport({
      result: { ...result, seed: HOSTILE, standIns: [HOSTILE], runs, agreesWithTruthTable: false },
      recordings: recordings.slice(0, 1),
      observers: ['access-network', 'destination'],
    })
    expect(hostile).not.toMatch(/<script|<img/)
    expect(hostile).toContain('&lt;script&gt;')
    expect(hostile).toContain('The measurement disagrees with the truth table: 1 findings')
  })

  it('is of the eight facts and of each pair of modes', () => {
    expect(page.match(/class="verdict /g)).toHaveLength(8)
    expect(page).toContain('tunnel, compared with http-proxy')
    expect(page).toMatch(/By the times of their first bytes\s+alone, \d+ of \d+ visits/)
    expect(new Html(page).text).toBe(page)
  })
})

function popoverOf(page: string, id: string): string {
  const start = page.indexOf(`<div popover id="${id}"`)
  expect(start).toBeGreaterThan(0)
  const end = page.indexOf('<div popover', start + 1)
  return page.slice(start, end === -1 ? undefined : end)
}

function unescaped(text: string): string {
  const entities: Record<string, string> = {
    '&lt;': '<',
    '&gt;': '>',
    '&quot;': '"',
    '&#39;': "'",
    '&amp;': '&',
  }
  return text.replaceAll(/&(?:lt|gt|quot|#39|amp);/g, (entity) => entities[entity] ?? '')
}
