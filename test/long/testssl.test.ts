// testssl.sh (Debian: apt install testssl.sh) against the tunnel's listener, with our authority given to it: no protocol
// below TLS 1.3, and no weakness that testssl/findings.ts does not accept by name. This reproduces the report:
//   SIGHTLINE_TESTSSL_LOG=report.txt npx vitest run --config test/long/vitest.config.ts testssl
import { copyFile, readFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { ensureDevelopmentPki } from '../../src/pki/store.ts'
import { serve } from '../support/gateway-process.ts'
import { findProgram, isMissing, run } from '../support/programs.ts'
import { everyInbound } from '../support/stacks.ts'
import { tempDir } from '../support/temp-dir.ts'
import { Wire } from '../support/wire.ts'
import { judgeReport, PROTOCOLS, WAIVED, type Finding } from './testssl/findings.ts'

/** Debian calls it testssl; where it comes from upstream it is testssl.sh. */
const TESTSSL = findProgram('testssl.sh') === undefined ? 'testssl' : 'testssl.sh'
const SCAN_MS = 280_000

describe('testssl.sh', () => {
  it.skipIf(isMissing(TESTSSL))(
    'finds no old protocol and no weakness in the tunnel (needs testssl.sh)',
    async () => {
      await using directory = await tempDir()
      await ensureDevelopmentPki(directory.path)
      const inbounds = everyInbound(directory)?.filter(({ type }) => type === 'tunnel')
      await using gateway = await serve(directory.file('gateway.json'), {
        inbounds,
        log: { level: 'silent' },
      })
      const port = gateway.port('tunnel')
      const json = directory.file('report.json')
      const log = directory.file('report.txt')
      const scan = await run(
        TESTSSL,
        [
          ...['--quiet', '--color', '0', '--warnings', 'batch', '--nodns', 'none', '--ip', '127.0.0.1'],
          ...[
            '--add-ca',
            directory.file('ca.crt'),
            '--jsonfile',
            json,
            '--logfile',
            log,
            `localhost:${port}`,
          ],
        ],
        { timeoutMs: SCAN_MS, cwd: directory.path },
      )
      expect(scan.signal, 'how testssl ended').toBeNull()
      const report = JSON.parse(await readFile(json, 'utf8')) as Finding[]
      const keep = process.env['SIGHTLINE_TESTSSL_LOG']
      if (keep !== undefined) await copyFile(log, keep)
      expect(judgeReport(report)).toEqual([])

      // The scan has taken no place for good: a client with a certificate is let in.
      const file = (name: string): Promise<string> => readFile(directory.file(name), 'utf8')
      using client = await Wire.connectTls(port, {
        ca: await file('ca.crt'),
        cert: await file('client.crt'),
        key: await file('client.key'),
      })
      client.send('GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n')
      await client.untilText('sightline-error: not-found')
    },
  )

  it('is believed only where it has looked and found nothing new', () => {
    const good: Finding[] = [
      ...Object.entries(PROTOCOLS).map(([id, finding]) => ({ id, severity: 'OK', finding })),
      ...Object.keys(WAIVED).map((id) => ({ id, severity: 'HIGH', finding: 'as expected' })),
    ]
    const missing = judgeReport(good)
    expect(missing.every((line) => line.startsWith('not tested: '))).toBe(true)
    expect(missing).toContain('not tested: heartbleed')
    const whole = [
      ...good,
      ...missing.map((line) => ({ id: line.slice(12), severity: 'OK', finding: 'not vulnerable' })),
    ]
    expect(judgeReport(whole)).toEqual([])
    const weak = { id: 'BEAST', severity: 'LOW', finding: 'VULNERABLE' }
    expect(judgeReport([...whole, weak])).toEqual(['LOW: BEAST: VULNERABLE'])
    expect(judgeReport([...whole, { ...weak, severity: 'WARN' }])).toEqual(['WARN: BEAST: VULNERABLE'])
    const ofItsTools = { id: 'engine_problem', severity: 'WARN', finding: 'no GOST' }
    expect(judgeReport([...whole, ofItsTools])).toEqual([])
    const old = whole.map((one) => (one.id === 'TLS1_2' ? { ...one, finding: 'offered' } : one))
    expect(judgeReport(old)).toEqual(['protocol: TLS1_2: offered'])
    expect(judgeReport(whole.filter(({ id }) => id !== 'HSTS'))).toEqual(['waived without need: HSTS'])
  })
})
