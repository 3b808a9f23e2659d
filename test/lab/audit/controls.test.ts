// An audit whose own measurement went wrong says that first, and nothing of the proxy.
import { describe, expect, it } from 'vitest'
import { judge } from '../../../src/lab/audit/audit.ts'
import { measure } from '../../../src/lab/audit/measure.ts'
import { startProbe } from '../../../src/lab/audit/probe.ts'
import { startDishonestProxy } from './dishonest-proxy.ts'

describe('a measurement', () => {
  it('whose TLS could not be opened again, or that holds a word that was never sent, does not stand', async () => {
    await using proxy = await startDishonestProxy()
    const { port } = new URL(proxy.url)
    const names = { zone: undefined, port: 0, address: '127.0.0.1' }
    const ports = { http: 0, https: 0, echo: 0 }
    const probe = await startProbe({ listen: '127.0.0.1', host: 'localhost', ports, names })
    try {
      const measured = await measure({
        proxy: {
          scheme: 'http',
          host: '127.0.0.1',
          port: Number(port),
          username: undefined,
          password: undefined,
        },
        probe: probe.address,
        ownDns: probe.dns,
        seed: 'controls',
      })
      expect(judge(measured)).toMatchObject({
        stands: true,
        answer: expect.stringMatching(/^this is a plain proxy/),
      })

      const unopened = judge({ ...measured, https: { ...measured.https, siteKeylog: '' } })
      expect(unopened.stands).toBe(false)
      expect(unopened.answer).toMatch(/^this measurement does not stand: a control failed \(https\)/)
      expect(unopened.runs.map(({ controls }) => controls.positive)).toEqual(['passed', 'failed'])

      const { canaries } = measured
      const ghost = judge({ ...measured, canaries: { ...canaries, neverSent: canaries.path } })
      expect(ghost.stands).toBe(false)
      expect(ghost.answer).toMatch(/^this measurement does not stand: a control failed \(http, https\)/)
      expect(ghost.runs.map(({ controls }) => controls.negative)).toEqual(['failed', 'failed'])
    } finally {
      probe.close()
    }
  })
})
