// The matrix as a terminal shows it: a golden page for a small result, colour only when asked for, and findings named.
import { describe, expect, it } from 'vitest'
import { formatMatrix, isUnicodeLocale } from '../../../src/lab/report/terminal.ts'
import { resultOf, runOf, type Row } from '../matrix/results.ts'

const PLAIN = { colour: false, unicode: false }
const PROXY: Row = { access: 'CCCICCC-', gateway: 'CCCCCCC-', destination: '--CCCCC-' }
const TUNNEL: Row = { access: 'CSS-SSC-', gateway: 'CCCCCCC-', destination: '--CCCCC-' }

const GOLDEN = `A SITE WITHOUT TLS (http)

access network: whoever carries what leaves the client
                      http-proxy  tunnel
  client-address      clear       clear
  client-identity     clear       sealed
  destination-name    clear       sealed
  destination-address inferable   -
  url-and-headers     clear       sealed
  content             clear       sealed
  traffic-shape       clear       clear
  client-fingerprint  -           -

gateway operator: whoever runs the proxy or the gateway
                      http-proxy  tunnel
  client-address      clear       clear
  client-identity     clear       clear
  destination-name    clear       clear
  destination-address clear       clear
  url-and-headers     clear       clear
  content             clear       clear
  traffic-shape       clear       clear
  client-fingerprint  -           -

resolver: whoever answers the look-up of the name
                      http-proxy  tunnel
  client-address      .           .
  client-identity     .           .
  destination-name    .           .
  destination-address .           .
  url-and-headers     .           .
  content             .           .
  traffic-shape       .           .
  client-fingerprint  .           .

exit network: whoever carries it between gateway and destination
                      http-proxy  tunnel
  client-address      .           .
  client-identity     .           .
  destination-name    .           .
  destination-address .           .
  url-and-headers     .           .
  content             .           .
  traffic-shape       .           .
  client-fingerprint  .           .

destination: the site that is visited
                      http-proxy  tunnel
  client-address      -           -
  client-identity     -           -
  destination-name    clear       clear
  destination-address clear       clear
  url-and-headers     clear       clear
  content             clear       clear
  traffic-shape       clear       clear
  client-fingerprint  -           -

clear      readable there, in the bytes or from the kernel
sealed     it was there, encrypted: found by decrypting the capture
inferable  not there, but a procedure that was run recovers it
-          absent: looked for, and not there
.          not-measured: there is no such party, or nothing to measure

what changes, for a site without TLS (http):
  tunnel, compared with http-proxy:
    hides from the access network: client-identity, destination-name, destination-address,
        url-and-headers and content
    for the gateway operator and the destination nothing changes

eight facts, and the cells that show them:
  1. shown: for an http site the operator of the tunnel learns what the operator of the plain proxy
      learns: the tunnel changes the row of the access network
     - http-proxy, http: gateway operator: destination-name is clear
     - http-proxy, http: gateway operator: url-and-headers is clear
     - http-proxy, http: gateway operator: content is clear
     - and 13 more, all in the report (--html)
  2. not shown by this run: CONNECT hides content from the access network; its target and
      Proxy-Authorization are in clear
  3. not shown by this run: on a cleartext link socks5h shows the name to the access network, and
      the SOCKS password is in clear
  4. CONTRADICTED: a client certificate gives the operator a name that an authority has vouched for:
      more than an IP address
     - tunnel, http: gateway operator: client-identity is clear
     - tunnel, http: gateway operator: client-address is clear
     - tunnel, http: access network: client-identity is sealed
  5. not shown by this run: the TLS fingerprint of the user's application passes through every proxy
      unchanged
  6. shown: sizes and times stay visible to the access network in every mode
     - http-proxy, http: access network: traffic-shape is clear
     - tunnel, http: access network: traffic-shape is clear
  7. not shown by this run: a tunnel that carries what programs send to a SOCKS port is an encrypted
      proxy; "VPN" means the whole device
  8. not shown by this run: what is not sent through the mode is not protected by it

controls: what was sent was found again after decrypting in 2 of 2 runs; what was never sent was found in 0
truth table: every cell agrees (seed golden)`

describe('formatMatrix', () => {
  it('shows two modes side by side, what changes between them, and the verdict', () => {
    const result = resultOf(
      'golden',
      runOf('http-proxy', null, 'http', PROXY),
      runOf('tunnel', null, 'http', TUNNEL),
    )
    expect(formatMatrix(result, PLAIN)).toBe(GOLDEN)
  })

  it('is the same text with colour around it, when asked', () => {
    const result = resultOf(
      'golden',
      runOf('http-proxy', null, 'http', PROXY),
      runOf('tunnel', null, 'http', TUNNEL),
    )
    const coloured = formatMatrix(result, { colour: true, unicode: false })
    const escapes = /\u001b\[\d+m/g
    expect(coloured.replaceAll(escapes, '').replaceAll(/ +$/gm, '')).toBe(GOLDEN)
    expect(coloured).toContain('\u001b[31mclear       \u001b[0m')
    expect(coloured).toContain('\u001b[32msealed')
    expect(formatMatrix(result, PLAIN)).not.toMatch(escapes)
  })

  it('gives each scheme its part, names a socks run by its variant, and dots the gateway that direct has not', () => {
    const text = formatMatrix(
      resultOf(
        's',
        runOf('direct', null, 'http', { ...PROXY, gateway: '........' }),
        runOf('socks-proxy', 'socks5h', 'https', PROXY),
      ),
      PLAIN,
    )
    expect(text).toContain('A SITE WITHOUT TLS (http)\n')
    expect(text).toContain('A SITE WITH TLS (https)\n')
    expect(text).toContain('\n                      socks5h\n')
    expect(text).toContain('\n  client-address      .\n')
    expect(text).not.toContain('what changes')
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
      PLAIN,
    )
    expect(text.split('\n').slice(-4)).toEqual([
      'controls: what was sent was found again after decrypting in 1 of 2 runs; what was never sent was found in 1',
      'truth table: the measurement DISAGREES (seed seed7)',
      `  tunnel, http: ${finding}`,
      '  tunnel, http: negative control: a canary that was never sent was found',
    ])
  })

  it('fits a terminal of 80 columns with all six runs side by side', () => {
    const runs = [
      runOf('direct', null, 'http', { ...PROXY, access: 'C-CCCCC-', gateway: '........' }),
      runOf('http-proxy', null, 'http', PROXY),
      runOf('socks-proxy', 'socks5', 'http', { ...PROXY, access: 'CCCCCCC-' }),
      runOf('socks-proxy', 'socks5h', 'http', PROXY),
      runOf('https-proxy', null, 'http', TUNNEL),
      runOf('tunnel', null, 'http', TUNNEL),
    ]
    const [tables = ''] = formatMatrix(resultOf('s', ...runs), PLAIN).split('\nclear ')
    expect(Math.max(...tables.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80)
  })

  it('says of TLS 1.2 that it is as with TLS 1.3 where every cell is, and shows the cells where not', () => {
    const row = { access: 'CSS-SSCS', gateway: 'CCCCSSCC', destination: '--CCCCCC' }
    const both = (access: string): string =>
      formatMatrix(
        resultOf(
          's',
          runOf('tunnel', null, 'https', row),
          runOf('tunnel', 'tls12', 'https', { ...row, access }),
        ),
        PLAIN,
      )
    expect(both(row.access)).toContain('A SITE WITH TLS 1.2 (https): every cell as with TLS 1.3\n')
    expect(both('CCS-SSCS')).toContain('A SITE WITH TLS 1.2 (https)\n\naccess network')
  })

  it('is ASCII alone when plain, and has signs of its own for absent and not measured when not', () => {
    const result = resultOf('s', runOf('direct', null, 'http', { ...PROXY, gateway: '........' }))
    expect(formatMatrix(result, PLAIN)).toMatch(/^[\n -~]*$/)
    expect(formatMatrix(result, { colour: false, unicode: true })).toMatch(
      /client-fingerprint {2}\u2013\n[^]*client-address {6}\u00b7\n/,
    )
  })
})

describe('the locale', () => {
  it.each([
    [true, { LANG: 'en_US.UTF-8' }],
    [true, { LANG: 'C', LC_CTYPE: 'C.utf8' }],
    [false, { LANG: 'en_US.UTF-8', LC_ALL: 'C' }],
    [true, { LC_ALL: '', LANG: 'ur_PK.UTF-8' }],
    [false, { LANG: 'en_US.ISO-8859-1' }],
    [false, {}],
  ])('shows more than ASCII: %s, of %j', (isUnicode, env) => {
    expect(isUnicodeLocale(env)).toBe(isUnicode)
  })
})
