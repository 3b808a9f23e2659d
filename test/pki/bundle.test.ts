import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { createBundle } from '../../src/pki/bundle.ts'
import { pemBlocks } from '../../src/pki/pem.ts'
import { makeTestPki } from '../support/pki.ts'
import { isMissing, run } from '../support/programs.ts'
import { tempDir } from '../support/temp-dir.ts'
import { errorOf } from './errors.ts'
import { hasOpenssl, openssl } from './openssl.ts'

const pki = await makeTestPki()
const contents = {
  name: 'alice',
  leaf: pki.client,
  authority: pki.authority.certificate,
  password: 'correct horse',
}
const open = (p12: Buffer, password: string, ...args: string[]) =>
  openssl(['pkcs12', '-in', 'x.p12', '-passin', `pass:${password}`, ...args], { 'x.p12': p12 })

describe('bundle', () => {
  it.skipIf(!hasOpenssl)('opens in openssl with key, certificate and authority (needs openssl)', async () => {
    const { status, output } = await open(createBundle(contents), 'correct horse', '-nodes')
    expect(status).toBe(0)
    const certificates = pemBlocks(output, 'CERTIFICATE').map((der) => new X509Certificate(der))
    expect(certificates.map(({ raw }) => raw)).toEqual(
      [pki.client.certificate, pki.authority.certificate].map((pem) => new X509Certificate(pem).raw),
    )
    const [der] = pemBlocks(output, 'PRIVATE KEY')
    const key = createPrivateKey({ key: der ?? Buffer.alloc(0), format: 'der', type: 'pkcs8' })
    expect(key.equals(createPrivateKey(pki.client.key))).toBe(true)
    expect(certificates[0]?.publicKey.equals(createPublicKey(key))).toBe(true)
    expect(output.match(/friendlyName: alice/g)).toHaveLength(2)
    expect(new Set(output.match(/localKeyID: [0-9A-F ]+/g)).size).toBe(1)
  })

  it.skipIf(!hasOpenssl)('is encrypted as current software does it (needs openssl)', async () => {
    const { output } = await open(createBundle(contents), 'correct horse', '-info', '-noout')
    expect(output).toContain('MAC: sha256, Iteration 20000')
    expect(output.match(/PBES2, PBKDF2, AES-256-CBC, Iteration 20000, PRF hmacWithSHA256/g)).toHaveLength(2)
  })

  it.skipIf(!hasOpenssl)('stays shut for another password (needs openssl)', async () => {
    const { status, output } = await open(createBundle(contents), 'wrong horse', '-nodes')
    expect(status).toBe(1)
    expect(output).toContain('invalid password')
  })

  it.skipIf(!hasOpenssl)('takes a password in any script (needs openssl)', async () => {
    const password = 'Gruß 🔑 пароль'
    const { status, output } = await open(createBundle({ ...contents, password }), password, '-nodes')
    expect(output).toContain('BEGIN PRIVATE KEY')
    expect(status).toBe(0)
  })

  it.skipIf(isMissing('pk12util', 'certutil'))(
    'is imported by NSS, as Firefox and Chromium do, with key, certificate and authority (needs pk12util)',
    async () => {
      await using directory = await tempDir()
      const { path } = directory
      await writeFile(directory.file('alice.p12'), createBundle(contents))
      await writeFile(directory.file('password'), contents.password)
      const nss = async (program: string, ...args: string[]) => {
        const { code, stdout, stderr } = await run(program, [...args, '-d', `sql:${path}`])
        return { code, output: stdout.toString() + stderr }
      }
      expect((await nss('certutil', '-N', '--empty-password')).code).toBe(0)
      const wrong = await nss('pk12util', '-i', directory.file('alice.p12'), '-W', 'wrong horse')
      expect(wrong.code).not.toBe(0)
      const imported = await nss(
        'pk12util',
        '-i',
        directory.file('alice.p12'),
        '-w',
        directory.file('password'),
      )
      expect(imported).toEqual({ code: 0, output: 'pk12util: PKCS12 IMPORT SUCCESSFUL\n' })
      expect((await nss('certutil', '-L')).output).toMatch(
        /^alice +u,u,u$[\s\S]*^Sightline authority [0-9a-f]{8} +,, +$/m,
      )
      expect((await nss('certutil', '-K')).output).toMatch(/< 0> ec +[0-9a-f]{40} +alice$/m)
    },
  )

  it('shows neither key nor certificate without the password', () => {
    const bundle = createBundle(contents)
    const { raw } = new X509Certificate(pki.client.certificate)
    const key = createPrivateKey(pki.client.key).export({ type: 'pkcs8', format: 'der' })
    expect(bundle.includes(raw.subarray(0, 64))).toBe(false)
    expect(bundle.includes(key.subarray(-64))).toBe(false)
  })

  it('is never the same twice: salts are random', () => {
    expect(createBundle(contents).equals(createBundle(contents))).toBe(false)
  })

  it('refuses an empty password', async () => {
    const error = await errorOf(() => createBundle({ ...contents, password: '' }))
    expect(error).toMatchObject({ code: 'pki-invalid', message: 'the password is empty' })
  })
})
