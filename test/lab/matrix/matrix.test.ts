// The matrix as a terminal shows it: a golden page for a small result, colour only when asked for, and findings named.
import { describe, expect, it } from 'vitest'
import { formatMatrix } from '../../../src/lab/matrix.ts'
import { resultOf, runOf, type Row } from './results.ts'

const PROXY: Row = { access: 'CCCICCC-', gateway: 'CCCCCCC-', destination: '--CCCCC-' }
const TUNNEL: Row = { access: 'CSS-SSC-', gateway: 'CCCCCCC-', destination: '--CCCCC-' }

const GOLDEN = `A SITE WITHOUT TLS (http)

access network: whoever carries what leaves the client
                       http-proxy tunnel
  client-address       clear      clear
  client-identity      clear      sealed
  destination-name     clear      sealed
  destination-address  inferable  -
  url-and-headers      clear      sealed
  content              clear      sealed
  traffic-shape        clear      clear
  client-fingerprint   -          -

gateway operator: whoever runs the proxy or the gateway
                       http-proxy tunnel
  client-address       clear      clear
  client-identity      clear      clear
  destination-name     clear      clear
  destination-address  clear      clear
  url-and-headers      clear      clear
  content              clear      clear
  traffic-shape        clear      clear
  client-fingerprint   -          -

destination: the site that is visited
                       http-proxy tunnel
  client-address       -          -
  client-identity      -          -
  destination-name     clear      clear
  destination-address  clear      clear
  url-and-headers      clear      clear
  content              clear      clear
  traffic-shape        clear      clear
  client-fingerprint   -          -

clear      readable there, in the bytes or from the kernel
sealed     it was there, encrypted: found by decrypting the capture
inferable  not there, but a procedure that was run recovers it
-          absent: looked for, and not there
.          not measured: there is no such party in this mode

from http-proxy to tunnel, for a site with http:
  access network: clear to sealed: client-identity, destination-name, url-and-headers, content
  access network: inferable to absent: destination-address
  gateway operator: nothing changes
  destination: nothing changes

controls: what was sent was found again after decrypting in 2 of 2 runs; what was never sent was found in 0
truth table: every cell agrees (seed golden)`

describe('formatMatrix', () => {
  it('shows two modes side by side, what changes between them, and the verdict', () => {
    const result = resultOf(
      'golden',
      runOf('http-proxy', null, 'http', PROXY),
      runOf('tunnel', null, 'http', TUNNEL),
    )
    expect(formatMatrix(result, false)).toBe(GOLDEN)
  })

  it('is the same text with colour around it, when asked', () => {
    const result = resultOf(
      'golden',
      runOf('http-proxy', null, 'http', PROXY),
      runOf('tunnel', null, 'http', TUNNEL),
    )
    const coloured = formatMatrix(result, true)
    const escapes = /\u001b\[\d+m/g
    expect(coloured.replaceAll(escapes, '').replaceAll(/ +$/gm, '')).toBe(GOLDEN)
    expect(coloured).toContain('\u001b[31mclear      \u001b[0m')
    expect(coloured).toContain('\u001b[32msealed')
    expect(formatMatrix(result, false)).not.toMatch(escapes)
  })

  it('gives each scheme its part, names a socks run by its variant, and dots the gateway that direct has not', () => {
    const text = formatMatrix(
      resultOf(
        's',
        runOf('direct', null, 'http', { ...PROXY, gateway: '........' }),
        runOf('socks-proxy', 'socks5h', 'https', PROXY),
      ),
      false,
    )
    expect(text).toContain('A SITE WITHOUT TLS (http)\n')
    expect(text).toContain('A SITE WITH TLS (https)\n')
    expect(text).toContain('\n                       socks5h\n')
    expect(text).toContain('\n  client-address       .\n')
    expect(text).not.toContain('from http-proxy to tunnel')
  })

  it('names each finding with its run, and counts the controls that failed', () => {
    const finding = 'access-network, content: measured clear, the truth table says sealed (a reason)'
    const red = {
      ...runOf('tunnel', null, 'http', { ...TUNNEL, access: 'CSS-SCC-' }),
      findings: [finding, 'negative control: a canary that was never sent was found'],
      controls: { negative: 'failed', positive: 'failed' } as const,
    }
    const text = formatMatrix(
      {
        ...resultOf('seed7', runOf('socks-proxy', 'socks5', 'http', PROXY), red),
        agreesWithTruthTable: false,
      },
      false,
    )
    expect(text.split('\n').slice(-4)).toEqual([
      'controls: what was sent was found again after decrypting in 1 of 2 runs; what was never sent was found in 1',
      'truth table: the measurement DISAGREES (seed seed7)',
      `  tunnel, http: ${finding}`,
      '  tunnel, http: negative control: a canary that was never sent was found',
    ])
  })

  it('fits a terminal of 80 columns with all five runs side by side', () => {
    const runs = [
      runOf('direct', null, 'http', { ...PROXY, gateway: '........' }),
      runOf('http-proxy', null, 'http', PROXY),
      runOf('socks-proxy', 'socks5', 'http', PROXY),
      runOf('socks-proxy', 'socks5h', 'http', PROXY),
      runOf('tunnel', null, 'http', TUNNEL),
    ]
    const [tables = ''] = formatMatrix(resultOf('s', ...runs), false).split('\nfrom http-proxy')
    expect(Math.max(...tables.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80)
  })
})
