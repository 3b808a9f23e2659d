// A log that cannot be written, for the disk is full: lines are lost and counted, and the gateway serves on.
import { describe, expect, it } from 'vitest'
import { get, inShell, serve, sightline } from '../support/gateway-process.ts'
import { sum } from '../support/metrics.ts'
import { run } from '../support/programs.ts'
import { tempDir } from '../support/temp-dir.ts'
import { Wire } from '../support/wire.ts'

describe('a full disk', () => {
  it('costs log lines, which are counted, and not the gateway', async () => {
    await using dir = await tempDir()
    const config = { inbounds: [{ type: 'http', listen: '127.0.0.1:0' }], log: { level: 'debug' } } as const
    await using gateway = await serve(
      dir.file('gateway.json'),
      { ...config, inbounds: [...config.inbounds] },
      inShell('exec "$@" 2>/dev/full'),
    )
    for (let turn = 0; turn < 3; turn += 1) {
      using wire = await Wire.connect(gateway.port('http'))
      wire.send('CONNECT 10.0.0.1:80 HTTP/1.1\r\nHost: x\r\n\r\n')
      expect((await wire.untilText('sightline-error')).toString()).toMatch(/^HTTP\/1\.1 403 /)
    }
    const { body } = await get(gateway.port('admin'), '/metrics')
    expect(sum(body, 'sightline_refusals_total', { code: 'destination-denied' })).toBe(3)
    expect(sum(body, 'sightline_log_lines_lost_total')).toBe(3)
  })

  it('is said by a command whose answer is lost', async () => {
    const done = await run('sh', ['-c', `exec "${process.execPath}" src/main.ts --help >/dev/full`])
    expect(done).toMatchObject({
      code: 1,
      stderr: 'error: standard output: ENOSPC; hint: is the disk full?\n',
    })
    expect((await sightline(['--help'])).code).toBe(0)
  })
})
