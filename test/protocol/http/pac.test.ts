// proxy.pac, run as a browser runs it: which requests go where, in which order, and that the script can do nothing else.
import vm from 'node:vm'
import { describe, expect, it } from 'vitest'
import { authorityOf, pacScript, type PacOptions } from '../../../src/protocol/http/pac.ts'

/** Runs the script with every function that evaluators offer; those that look names up fail the test. */
function evaluate(script: string): (url: string) => string {
  const lookedUp = (): never => {
    throw new Error('a name was looked up')
  }
  const sandbox = vm.createContext({
    dnsResolve: lookedUp,
    isResolvable: lookedUp,
    isInNet: lookedUp,
    myIpAddress: lookedUp,
  })
  vm.runInContext(script, sandbox, { timeout: 1_000 })
  return (url) => {
    const { hostname } = new URL(url)
    const found: unknown = vm.runInContext(
      `FindProxyForURL(${JSON.stringify(url)}, ${JSON.stringify(hostname)})`,
      sandbox,
      {
        timeout: 1_000,
      },
    )
    return String(found)
  }
}

const OPTIONS: PacOptions = {
  proxies: [
    { kind: 'PROXY', host: 'proxy.test', port: 3128 },
    { kind: 'SOCKS5', host: '192.0.2.1', port: 1080 },
    { kind: 'HTTPS', host: '2001:db8::1', port: 3129 },
  ],
  loopbackDirect: true,
}
const LINE = 'PROXY proxy.test:3128; SOCKS5 192.0.2.1:1080; HTTPS [2001:db8::1]:3129'

describe('proxy.pac', () => {
  it.each([
    'http://example.org/',
    'https://example.org:8443/path?query',
    'ws://intranet/',
    'http://printer/',
    'http://10.0.0.1/',
    'http://192.168.1.1/',
    'http://[2001:db8::2]/',
    'http://127.evil.example/',
    'http://127.0.0.1.evil.example/',
    'http://localhost.example/',
    'http://notlocalhost/',
    'ftp://example.org/',
  ])('sends %s to the proxies, in their order, and never past them', (url) => {
    expect(evaluate(pacScript(OPTIONS))(url)).toBe(LINE)
  })

  const LOOPBACK = [
    'http://localhost/',
    'http://LOCALHOST:8080/',
    'http://localhost./',
    'http://a.localhost/',
    'http://127.0.0.1/',
    'http://127.255.0.3:9000/',
    'http://[::1]:80/',
  ]
  it.each(LOOPBACK)('leaves %s, the client itself, alone', (url) => {
    expect(evaluate(pacScript(OPTIONS))(url)).toBe('DIRECT')
  })

  it.each(LOOPBACK)('sends %s too where the proxy serves loopback', (url) => {
    expect(evaluate(pacScript({ ...OPTIONS, loopbackDirect: false }))(url)).toBe(LINE)
  })

  it('is plain old JavaScript, which every evaluator knows', () => {
    expect(pacScript(OPTIONS)).not.toMatch(/=>|\b(?:let|const|class)\b|`/)
  })
})

describe('authorityOf', () => {
  it('puts brackets round IPv6 alone', () => {
    expect([authorityOf('a.test', 1), authorityOf('192.0.2.1', 2), authorityOf('::1', 3)]).toEqual([
      'a.test:1',
      '192.0.2.1:2',
      '[::1]:3',
    ])
  })
})
