import * as fc from 'fast-check'
import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { GatewayError } from '../../src/errors.ts'
import { createAuthority, SIGNING_ALGORITHM } from '../../src/pki/authority.ts'
import { pemBlocks } from '../../src/pki/pem.ts'
import { readRevocationLists } from '../../src/pki/revocation-list-reader.ts'
import { createRevocationList } from '../../src/pki/revocation-list.ts'
import { x509 } from '../../src/pki/x509.ts'
import { errorOf } from './errors.ts'
import { hasOpenssl, openssl } from './openssl.ts'

const NOW = new Date('2030-03-01T12:00:00Z')
const authority = await createAuthority({ now: NOW })
const { publicKey } = new X509Certificate(authority.pem.certificate)

const listOf = async (serials: string[], number = 1): Promise<string> => {
  const revocations = serials.map((serial) => ({ serial, revokedAt: NOW }))
  return (await createRevocationList(authority, { revocations, number, now: NOW })).pem
}
const derOf = async (serials: string[]): Promise<Buffer> => {
  const [der] = pemBlocks(await listOf(serials), 'X509 CRL')
  return der ?? Buffer.alloc(0)
}
const critical = (oid: string) => new x509.Extension(oid, true, Buffer.from([0x02, 0x01, 0x01]))
const foreignList = async (parts: Partial<x509.X509CrlCreateParams>): Promise<Buffer> => {
  const list = await x509.X509CrlGenerator.create({
    issuer: authority.certificate.subjectName,
    thisUpdate: NOW,
    nextUpdate: new Date('2031-03-01T12:00:00Z'),
    signingAlgorithm: SIGNING_ALGORITHM,
    signingKey: authority.signingKey,
    ...parts,
  })
  return Buffer.from(list.rawData)
}

describe('revocation list', () => {
  it('is read as it was made', async () => {
    const serials = ['1', 'f', '80', 'abc', 'ff00ff00ff00ff00ff00ff00ff00ff00']
    const [list] = readRevocationLists(await listOf(serials))
    expect(list?.serials).toEqual(new Set(serials))
    expect(list?.thisUpdate).toEqual(new Date('2030-03-01T11:55:00Z'))
    expect(list?.nextUpdate).toEqual(new Date('2031-03-01T12:00:00Z'))
    expect(list?.isSignedBy(publicKey)).toBe(true)
  })

  it('may be empty', async () => {
    const [list] = readRevocationLists(await listOf([]))
    expect(list?.serials.size).toBe(0)
    expect(list?.isSignedBy(publicKey)).toBe(true)
  })

  it('is read from DER, from PEM bytes and from a PEM text with two', async () => {
    const pem = await listOf(['abc'])
    expect(readRevocationLists(await derOf(['abc']))[0]?.serials).toEqual(new Set(['abc']))
    expect(readRevocationLists(Buffer.from(pem))[0]?.serials).toEqual(new Set(['abc']))
    const both = readRevocationLists(pem + (await listOf(['def'])))
    expect(both.map(({ serials }) => serials)).toEqual([new Set(['abc']), new Set(['def'])])
  })

  it('is not signed by another key, nor once a bit of it has changed', async () => {
    const other = await createAuthority({ now: NOW })
    const der = await derOf(['abcdef'])
    expect(
      readRevocationLists(der)[0]?.isSignedBy(new X509Certificate(other.pem.certificate).publicKey),
    ).toBe(false)
    const at = der.indexOf(Buffer.from('abcdef', 'hex'))
    der.writeUInt8(0x7b, at)
    const [list] = readRevocationLists(der)
    expect(list?.serials).toEqual(new Set(['7bcdef']))
    expect(list?.isSignedBy(publicKey)).toBe(false)
  })

  it('is refused before its entries are read where it has to be signed by a key that it is not', async () => {
    const other = await createAuthority({ now: NOW })
    const strange = new X509Certificate(other.pem.certificate).publicKey
    const pem = await listOf(['abcdef'])
    expect(readRevocationLists(pem, [strange, publicKey])[0]?.serials).toEqual(new Set(['abcdef']))
    expect(() => readRevocationLists(pem, [strange])).toThrow('none of the authorities has signed it')
    // Its entries are no entries: who reads them says so.
    const der = await derOf(['abcdef'])
    der.writeUInt8(0x00, der.indexOf(Buffer.from('abcdef', 'hex')) - 2)
    expect(() => readRevocationLists(der)).not.toThrow('none of the authorities')
    expect(() => readRevocationLists(der)).toThrow(GatewayError)
    expect(() => readRevocationLists(der, [publicKey])).toThrow('none of the authorities has signed it')
  })

  it('is not signed by a key of another kind, which is no reason to fail', async () => {
    const [list] = readRevocationLists(await listOf([]))
    expect(list?.isSignedBy(generateKeyPairSync('ed25519').publicKey)).toBe(false)
  })

  it('is refused when the algorithm outside its signature is not the one inside', async () => {
    const der = await derOf([])
    const oid = Buffer.from('2a8648ce3d040302', 'hex')
    der.writeUInt8(0x03, der.lastIndexOf(oid) + 7)
    const error = await errorOf(() => readRevocationLists(der))
    expect(error.code).toBe('revocation-list-unusable')
    expect(error.message).toContain('two signature algorithms')
  })

  it('is refused when it is partial: a critical extension of the list (a delta) or of an entry', async () => {
    const delta = await foreignList({ extensions: [critical('2.5.29.27')] })
    const indirect = await foreignList({
      entries: [{ serialNumber: '01', revocationDate: NOW, extensions: [critical('2.5.29.29')] }],
    })
    for (const der of [delta, indirect]) {
      const error = await errorOf(() => readRevocationLists(der))
      expect(error).toMatchObject({
        code: 'revocation-list-unusable',
        message: expect.stringContaining('partial'),
      })
    }
  })

  it('is refused when it does not say when the next is due', async () => {
    const error = await errorOf(async () => readRevocationLists(await foreignList({ nextUpdate: undefined })))
    expect(error.code).toBe('revocation-list-unusable')
    expect(error.message).toContain('when the next one is due')
  })

  it('is refused when cut short at any byte, or followed by anything', async () => {
    const der = await derOf(['abc', 'def'])
    for (let length = 1; length < der.length; length++) {
      expect(await errorOf(() => readRevocationLists(der.subarray(0, length)))).toMatchObject({
        code: 'pki-invalid',
      })
    }
    const error = await errorOf(() => readRevocationLists(Buffer.concat([der, Buffer.from([0])])))
    expect(error).toMatchObject({ code: 'pki-invalid', message: expect.stringContaining('follows its end') })
  })

  it('gives a GatewayError, or a list that fails its signature, for any damage', async () => {
    const der = await derOf(['abc', 'def'])
    const damage = fc.record({ at: fc.nat(der.length - 1), flip: fc.integer({ min: 1, max: 255 }) })
    fc.assert(
      fc.property(damage, ({ at, flip }) => {
        const damaged = Buffer.from(der)
        damaged.writeUInt8(damaged.readUInt8(at) ^ flip, at)
        try {
          return readRevocationLists(damaged).every((list) => !list.isSignedBy(publicKey))
        } catch (error) {
          return error instanceof GatewayError
        }
      }),
      { numRuns: 1500 },
    )
  })

  it('gives a GatewayError for garbage', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), fc.boolean(), (bytes, isDer) => {
        const source = isDer ? Uint8Array.from([0x30, bytes.length, ...bytes]) : bytes
        try {
          readRevocationLists(source)
          return false
        } catch (error) {
          return error instanceof GatewayError
        }
      }),
    )
  })

  it.skipIf(!hasOpenssl)('is what openssl reads, its number too (needs openssl)', async () => {
    for (const [number, shown] of [
      [1, '1'],
      [127, '127'],
      [128, '128'],
      [65_535, '65535'],
    ] as const) {
      const files = { 'ca.crt': authority.pem.certificate, 'ca.crl': await listOf(['80', 'abc'], number) }
      const { output } = await openssl(
        ['crl', '-in', 'ca.crl', '-CAfile', 'ca.crt', '-text', '-noout'],
        files,
      )
      expect(output).toContain('verify OK')
      // Not an empty list of entry extensions, which some readers refuse.
      expect(output.match(/Privilege Withdrawn/g)).toHaveLength(2)
      expect(output).toMatch(new RegExp(`CRL Number: \\s+${shown}\\n`))
      expect(output.match(/Serial Number: \S+/g)).toEqual(['Serial Number: 80', 'Serial Number: 0ABC'])
    }
  })

  it.skipIf(!hasOpenssl)('of an RSA authority made by openssl is read too (needs openssl)', async () => {
    const config = '[ca]\ndefault_ca=d\n[d]\ndatabase=db\ndefault_md=sha256\n'
    const files = { 'ca.cnf': config, db: 'R\t350101000000Z\t300101000000Z\t0ABC\tunknown\t/CN=x\n' }
    const key = await openssl(['genrsa', '-traditional', '2048'], {})
    const withKey = { ...files, 'ca.key': pemBlocks(key.output, 'RSA PRIVATE KEY').map(rsaKey).join('') }
    const request = ['req', '-x509', '-key', 'ca.key', '-subj', '/CN=rsa', '-days', '30']
    const certificate = (await openssl(request, withKey)).output
    const sign = [
      'ca',
      '-config',
      'ca.cnf',
      '-gencrl',
      '-keyfile',
      'ca.key',
      '-cert',
      'ca.crt',
      '-crldays',
      '9',
    ]
    const made = await openssl(sign, { ...withKey, 'ca.crt': certificate })
    const [list] = readRevocationLists(made.output)
    expect(list?.serials).toEqual(new Set(['abc']))
    expect(list?.isSignedBy(new X509Certificate(certificate).publicKey)).toBe(true)
    expect(list?.isSignedBy(publicKey)).toBe(false)
  })
})

function rsaKey(der: Buffer): string {
  return `-----BEGIN RSA PRIVATE KEY-----\n${der.toString('base64')}\n-----END RSA PRIVATE KEY-----\n`
}
