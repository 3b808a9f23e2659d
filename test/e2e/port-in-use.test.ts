// A port that is taken: the process says which and how to mend it, and ends with 1; nothing half-started stays.
import { writeFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { sightline } from '../support/gateway-process.ts'
import { tempDir } from '../support/temp-dir.ts'
import { startRawOrigin } from '../support/wire.ts'

describe('a port in use', () => {
  it.each([
    [
      'an inbound',
      (port: number) => ({
        inbounds: [
          { type: 'socks', listen: '127.0.0.1:0' },
          { type: 'http', listen: `127.0.0.1:${port}` },
        ],
        admin: { listen: '127.0.0.1:0' },
      }),
    ],
    [
      'admin',
      (port: number) => ({
        inbounds: [{ type: 'socks', listen: '127.0.0.1:0' }],
        admin: { listen: `127.0.0.1:${port}` },
      }),
    ],
  ])('%s', async (_name, config) => {
    await using dir = await tempDir()
    await using taken = await startRawOrigin()
    await writeFile(dir.file('c.json'), JSON.stringify(config(taken.port)))
    const { code, stdout, stderr } = await sightline(['serve', '--config', dir.file('c.json')])
    expect(code).toBe(1)
    expect(stdout.toString()).toBe('')
    expect(stderr).toBe(
      `error: 127.0.0.1:${taken.port} is in use; hint: stop what listens there (ss -ltnp 'sport = :${taken.port}' shows it), or choose another port\n`,
    )
  })
})
