// Keys under a passphrase: what openssl makes of ours, and we of openssl's.
import { createPrivateKey } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { createAuthority, openAuthority } from '../../src/pki/authority.ts'
import { isEncrypted, readAuthorityKey, writePrivateKey } from '../../src/pki/private-key.ts'
import { errorOf } from './errors.ts'
import { hasOpenssl, openssl } from './openssl.ts'

const NOW = new Date('2030-03-01T12:00:00Z')
const PASSPHRASE = 'Gruß 🔑 und Brot'
const authority = await createAuthority({ now: NOW, passphrase: PASSPHRASE })

describe('a key under a passphrase', () => {
  it('is not readable without, and opens with it', async () => {
    expect(isEncrypted(authority.pem.key)).toBe(true)
    expect(openAuthority(authority.pem, PASSPHRASE).certificate.subject).toMatch(/^CN=Sightline authority /)
    expect(await errorOf(() => openAuthority(authority.pem))).toMatchObject({
      code: 'pki-invalid',
      message: "the authority's key has a passphrase, and none was given",
    })
    for (const wrong of ['', 'Gruss', `${PASSPHRASE} `]) {
      expect((await errorOf(() => openAuthority(authority.pem, wrong))).message).toContain('is wrong')
    }
    const plain = readAuthorityKey(authority.pem.key, PASSPHRASE).export({ type: 'pkcs8', format: 'der' })
    expect(
      Buffer.from(authority.pem.key.replaceAll(/-----[^-]+-----|\s/g, ''), 'base64').includes(
        plain.subarray(-32),
      ),
    ).toBe(false)
  })

  it('never opens by chance: many wrong ones give the one error', async () => {
    for (let index = 0; index < 6; index++) {
      expect((await errorOf(() => readAuthorityKey(authority.pem.key, `guess ${index}`))).message).toBe(
        "the passphrase of the authority's key is wrong, or ca.key is damaged",
      )
    }
  })

  it.skipIf(!hasOpenssl)('is scrypt and AES-256 to openssl, which reads it (needs openssl)', async () => {
    const shown = await openssl(['asn1parse', '-in', 'k'], { k: authority.pem.key })
    expect(shown.output).toMatch(/PBES2[\s\S]*scrypt[\s\S]*:4000\n[\s\S]*aes-256-cbc/)
    const read = await openssl(['pkey', '-in', 'k', '-passin', `pass:${PASSPHRASE}`], {
      k: authority.pem.key,
    })
    expect(createPrivateKey(read.output).asymmetricKeyDetails?.namedCurve).toBe('prime256v1')
    expect((await openssl(['pkey', '-in', 'k', '-passin', 'pass:no'], { k: authority.pem.key })).status).toBe(
      1,
    )
  })

  it.skipIf(!hasOpenssl).each([['-scrypt'], ['-v2', 'aes-256-cbc', '-v2prf', 'hmacWithSHA256']])(
    'may be of openssl pkcs8 %s (needs openssl)',
    async (...how) => {
      const args = [
        'pkcs8',
        '-topk8',
        ...how,
        '-in',
        'k',
        '-passin',
        `pass:${PASSPHRASE}`,
        '-passout',
        'pass:two',
      ]
      const { output } = await openssl(args, { k: authority.pem.key })
      const again = output.slice(output.indexOf('-----BEGIN'))
      expect(openAuthority({ ...authority.pem, key: again }, 'two').signingKey.type).toBe('private')
    },
  )

  it('is salted: never the same twice', async () => {
    const key = createPrivateKey((await createAuthority({ now: NOW })).pem.key)
    expect(writePrivateKey(key, 'a')).not.toBe(writePrivateKey(key, 'a'))
    expect((await errorOf(() => writePrivateKey(key, ''))).message).toBe('the passphrase is empty')
  })
})
