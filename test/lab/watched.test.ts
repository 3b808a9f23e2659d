// A run that somebody watches: their own words stand in the place of the seed's, and each frame is told as it passes.
import { describe, expect, it } from 'vitest'
import type { Recording } from '../../src/lab/recording.ts'
import { streamBytes } from '../../src/lab/capture.ts'
import { measure, valueOf } from './measure.ts'

describe('runLab, watched', () => {
  it('sends the words that a person chose, and finds them as it finds its own', async () => {
    const words = { requestBody: 'میں نے یہ لکھا ہے', cookie: 'my-own-cookie', hostLabel: 'riverside-clinic' }
    const { result, recordings } = await measure({
      modes: ['http-proxy', 'tunnel'],
      variants: [],
      schemes: ['http'],
      words,
    })
    expect(result.runs.flatMap(({ findings }) => findings)).toEqual([])
    expect(result.runs.map((run) => valueOf(run, 'access-network', 'content'))).toEqual(['clear', 'sealed'])
    expect(recordings.map(({ siteName }) => siteName)).toEqual([
      'riverside-clinic.sightline.test',
      'riverside-clinic.sightline.test',
    ])
    const [plain] = recordings
    const sent = plain?.access.map((connection) => streamBytes(connection, 'up').toString('utf8')).join('')
    for (const word of Object.values(words)) expect(sent).toContain(word)
  })

  it('measures the variants that were asked for alone, and modes without variants all the same', async () => {
    const { result } = await measure({
      modes: ['socks-proxy', 'direct'],
      variants: ['socks5h'],
      schemes: ['http'],
    })
    expect(result.runs.map(({ mode, variant }) => [mode, variant])).toEqual([
      ['socks-proxy', 'socks5h'],
      ['direct', null],
    ])
  })

  it('tells each frame once, when it has passed, with what was recorded until then', async () => {
    const seen: number[] = []
    const count = ({ access, exit, resolver }: Recording): number =>
      [...access, ...exit, ...resolver].reduce((sum, { frames }) => sum + frames.length, 0)
    const { recordings } = await measure({
      modes: ['tunnel'],
      variants: [],
      schemes: ['https'],
      passed: (soFar) => seen.push(count(soFar())),
    })
    const [recording] = recordings
    const total = recording === undefined ? 0 : count(recording)
    expect(total).toBeGreaterThan(5)
    expect(seen).toEqual(Array.from({ length: total }, (_, index) => index + 1))
  })

  it('shows whoever looks late the request, and nothing of what is sent after it', async () => {
    let soFar: (() => Recording) | undefined
    const sent: string[] = []
    const look = (): void => {
      const { access } = soFar?.() ?? { access: [] }
      sent.push(access.map((connection) => streamBytes(connection, 'up').toString('latin1')).join(''))
    }
    const timer = setInterval(look, 1)
    const { recordings } = await measure({
      modes: ['http-proxy'],
      variants: [],
      schemes: ['https'],
      words: { requestBody: 'between-us' },
      passed: (now) => (soFar = now),
    })
    clearInterval(timer)
    // The gateway is asked in clear for what it has to refuse, with the same words, when the request is over.
    const refused = recordings[0]?.refusals.access ?? []
    expect(refused.map((connection) => streamBytes(connection, 'up').toString()).join('')).toContain(
      'between-us',
    )
    expect(sent.at(-1)).toContain('CONNECT ')
    expect(sent.filter((text) => text.includes('between-us'))).toEqual([])
  })
})
