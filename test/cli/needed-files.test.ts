// A first start: what is missing is said at once with the commands that make it, and certificates for development are
// made only where they are asked for, in place of nothing that is there.
import { readFile, writeFile } from 'node:fs/promises'
import { X509Certificate } from 'node:crypto'
import os from 'node:os'
import { describe, expect, it } from 'vitest'
import { provideFiles } from '../../src/cli/needed-files.ts'
import { configSchema, type Config } from '../../src/config/schema.ts'
import { tempDir, type TempDir } from '../support/temp-dir.ts'

function tunnelIn(dir: TempDir): Config {
  const tls = {
    certificate: dir.file('gateway.crt'),
    key: dir.file('gateway.key'),
    clientAuthority: dir.file('ca.crt'),
    revocationList: dir.file('ca.crl'),
  }
  return configSchema.parse({ inbounds: [{ type: 'tunnel', listen: '127.0.0.1:0', tls }] })
}

async function provide(config: Config, env: Record<string, string> = {}): Promise<string[]> {
  const said: string[] = []
  await provideFiles(config, { env, err: (line) => void said.push(line) })
  return said
}

describe('a first start', () => {
  it('says all that is missing, and how to make it', async () => {
    await using dir = await tempDir()
    const failed = provide(tunnelIn(dir))
    await expect(failed).rejects.toMatchObject({
      code: 'file-unusable',
      message: `missing: ${['gateway.crt', 'gateway.key', 'ca.crt', 'ca.crl'].map((name) => dir.file(name)).join(', ')}`,
      hint: expect.stringMatching(
        /sightline pki init .*pki issue gateway --server .*SIGHTLINE_DEV_PKI=1/,
      ) as string,
    })
    await expect(provide(tunnelIn(dir), { SIGHTLINE_DEV_PKI: '0' })).rejects.toThrow('missing: ')
  })

  it('makes certificates for this machine where it is asked, and never again', async () => {
    await using dir = await tempDir()
    const [said] = await provide(tunnelIn(dir), { SIGHTLINE_DEV_PKI: '1' })
    expect(said).toMatch(/^made certificates for development in .*: ca\.crt, ca\.crl, gateway\.crt/)
    const certificate = await readFile(dir.file('gateway.crt'), 'utf8')
    for (const host of ['localhost', os.hostname().toLowerCase()])
      expect(new X509Certificate(certificate).checkHost(host)).toBe(host)
    expect(await provide(tunnelIn(dir), { SIGHTLINE_DEV_PKI: '1' })).toEqual([])
    expect(await readFile(dir.file('gateway.crt'), 'utf8')).toBe(certificate)
  })

  it('does not take another name for the one that it makes', async () => {
    await using dir = await tempDir()
    const config = tunnelIn(dir)
    const tls = { ...config.inbounds[0]!.tls!, certificate: dir.file('other.crt') }
    const other = { ...config, inbounds: [{ ...config.inbounds[0]!, tls }] }
    await expect(provide(other, { SIGHTLINE_DEV_PKI: '1' })).rejects.toThrow(
      `missing: ${dir.file('other.crt')}`,
    )
  })

  it('needs nothing more where everything is there', async () => {
    await using dir = await tempDir()
    for (const name of ['gateway.crt', 'gateway.key', 'ca.crt', 'ca.crl']) await writeFile(dir.file(name), '')
    expect(await provide(tunnelIn(dir))).toEqual([])
  })
})
