// The claim that the whole project stands on, and its proof that it can fail: with the tunnel's TLS switched off, the
// very cell that the tunnel is for turns to clear, and the run turns red.
import { describe, expect, it } from 'vitest'
import { formatMatrix } from '../../src/lab/report/terminal.ts'
import { measure, measureOne, valueOf } from './measure.ts'

const CONTENT_IN_CLEAR =
  /^access-network, content: measured clear, the truth table says sealed \(it runs inside the TLS of the tunnel/

describe('the content of an http site', () => {
  it('is clear to the access network through the plain proxy, sealed through the tunnel, clear to the operator in both', async () => {
    const { result } = await measure({ modes: ['http-proxy', 'tunnel'], variants: [], schemes: ['http'] })
    const [proxy, tunnel] = result.runs
    if (proxy === undefined || tunnel === undefined) throw new Error('two runs were asked for')
    expect(valueOf(proxy, 'access-network', 'content')).toBe('clear')
    expect(valueOf(tunnel, 'access-network', 'content')).toBe('sealed')
    expect(valueOf(proxy, 'gateway-operator', 'content')).toBe('clear')
    expect(valueOf(tunnel, 'gateway-operator', 'content')).toBe('clear')
  })

  it('is clear to the access network once the tunnel has no TLS: the run is red and names that cell', async () => {
    const { result, run } = await measureOne('tunnel', 'http', { faults: { tunnelWithoutTls: true } })
    expect(valueOf(run, 'access-network', 'content')).toBe('clear')
    expect(valueOf(run, 'gateway-operator', 'content')).toBe('clear')
    expect(run.findings.filter((finding) => CONTENT_IN_CLEAR.test(finding))).toHaveLength(1)
    expect(run.findings.filter((finding) => finding.startsWith('the request failed'))).toEqual([])
    expect(result.agreesWithTruthTable).toBe(false)
    const text = formatMatrix(result, { colour: false, unicode: false })
    expect(text).toContain('truth table: the measurement DISAGREES')
    expect(text).toContain(
      'tunnel, http: access-network, content: measured clear, the truth table says sealed',
    )
  })

  it('names no cell of a run that the fault does not reach', async () => {
    const { result } = await measureOne('http-proxy', 'http', { faults: { tunnelWithoutTls: true } })
    expect(result.runs.flatMap(({ findings }) => findings)).toEqual([])
  })

  it('stays sealed for an https site even then: its own TLS is inside', async () => {
    const { run } = await measureOne('tunnel', 'https', { faults: { tunnelWithoutTls: true } })
    expect(valueOf(run, 'access-network', 'content')).toBe('sealed')
    expect(valueOf(run, 'access-network', 'destination-name')).toBe('clear')
    expect(valueOf(run, 'access-network', 'client-fingerprint')).toBe('clear')
  })
})
