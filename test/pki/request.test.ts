// Requests that are signed, and those that are not: keys of openssl, names that nobody gave, proofs that do not hold.
import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createRequest, keyOfRequest } from '../../src/pki/request.ts'
import { pemBlocks } from '../../src/pki/pem.ts'
import { issue, renew } from '../../src/pki/store.ts'
import { freshAuthority, judge, NOW, read } from './directory.ts'
import { errorOf } from './errors.ts'
import { hasOpenssl, openssl } from './openssl.ts'

const CLIENT = { kind: 'client', hosts: [], now: NOW } as const

/** What `openssl req` makes of a new key. */
async function opensslRequest(
  newkey: readonly string[],
  ...more: string[]
): Promise<{ request: Buffer; key: string }> {
  const args = [
    'req',
    '-new',
    '-newkey',
    ...newkey,
    '-nodes',
    '-keyout',
    '-',
    '-subj',
    '/CN=mallory/O=root',
    ...more,
  ]
  const { output } = await openssl(args, {})
  const block = (label: string): string =>
    new RegExp(`-----BEGIN ${label}-----[\\s\\S]+?-----END ${label}-----\\n`).exec(output)?.[0] ?? ''
  return { request: Buffer.from(block('CERTIFICATE REQUEST')), key: block('PRIVATE KEY') }
}

describe('a request', () => {
  it('of our own is signed: its key, and nothing else of it', async () => {
    const dir = await freshAuthority()
    const made = await createRequest('bob')
    const { entry, keyFile } = await issue(dir, 'alice', { ...CLIENT, request: Buffer.from(made.request) })
    expect(keyFile).toBeUndefined()
    expect(entry).toMatchObject({ name: 'alice', keyElsewhere: true })
    const certificate = new X509Certificate(await read(dir, 'alice.crt'))
    expect(certificate.subject).toBe('CN=alice')
    expect(certificate.checkPrivateKey(createPrivateKey(made.key))).toBe(true)
    expect((await judge(dir, await read(dir, 'alice.crt'))).identity).toBe('alice')
    await expect(readFile(join(dir, 'alice.key'))).rejects.toMatchObject({ code: 'ENOENT' })
  })

  it('is signed again by a renewal, with the same key or that of another', async () => {
    const dir = await freshAuthority()
    const [one, two] = [await createRequest('alice'), await createRequest('alice')]
    await issue(dir, 'alice', { ...CLIENT, request: Buffer.from(one.request) })
    const holds = async (key: string): Promise<boolean> =>
      new X509Certificate(await read(dir, 'alice.crt')).checkPrivateKey(createPrivateKey(key))
    await renew(dir, 'alice', { now: NOW })
    expect(await holds(one.key)).toBe(true)
    await renew(dir, 'alice', { now: NOW, request: Buffer.from(two.request) })
    expect(await holds(two.key)).toBe(true)
  })

  it.skipIf(!hasOpenssl).each([
    ['ECDSA P-256', ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256']],
    ['ECDSA P-384', ['ec', '-pkeyopt', 'ec_paramgen_curve:P-384']],
    ['RSA 2048', ['rsa:2048']],
    ['Ed25519', ['ed25519']],
  ])(
    'of openssl is signed: %s; what it asks for beside is not given (needs openssl)',
    async (_kind, newkey) => {
      const dir = await freshAuthority()
      const wishes = [
        '-addext',
        'subjectAltName=DNS:evil.example',
        '-addext',
        'basicConstraints=critical,CA:TRUE',
        '-addext',
        'extendedKeyUsage=serverAuth,clientAuth',
      ]
      const { request, key } = await opensslRequest(newkey, ...wishes)
      await issue(dir, 'alice', { ...CLIENT, request })
      const pem = await read(dir, 'alice.crt')
      const certificate = new X509Certificate(pem)
      expect(certificate).toMatchObject({
        subject: 'CN=alice',
        subjectAltName: undefined,
        ca: false,
        keyUsage: ['1.3.6.1.5.5.7.3.2'],
      })
      expect(certificate.publicKey.equals(createPublicKey(key))).toBe(true)
      expect((await judge(dir, pem)).identity).toBe('alice')
      const files = {
        'ca.crt': await read(dir, 'ca.crt'),
        'ca.crl': await read(dir, 'ca.crl'),
        'alice.crt': pem,
      }
      const verify = [
        'verify',
        '-attime',
        String(NOW.getTime() / 1000),
        '-purpose',
        'sslclient',
        '-CAfile',
        'ca.crt',
        '-crl_check',
        '-CRLfile',
        'ca.crl',
        'alice.crt',
      ]
      expect((await openssl(verify, files)).output).toBe('alice.crt: OK\n')
    },
  )

  it('may be DER, or carry the old label', async () => {
    const { request } = await createRequest('alice')
    const [der = Buffer.alloc(0)] = pemBlocks(request, 'CERTIFICATE REQUEST')
    const spki = (await keyOfRequest(Buffer.from(request))).toString('hex')
    expect((await keyOfRequest(der)).toString('hex')).toBe(spki)
    const old = request.replaceAll('CERTIFICATE REQUEST', 'NEW CERTIFICATE REQUEST')
    expect((await keyOfRequest(Buffer.from(old))).toString('hex')).toBe(spki)
  })

  it('whose signature is not that of its key is not signed', async () => {
    const [one, two] = [await createRequest('alice'), await createRequest('alice')]
    const [first = Buffer.alloc(0)] = pemBlocks(one.request, 'CERTIFICATE REQUEST')
    const [second = Buffer.alloc(0)] = pemBlocks(two.request, 'CERTIFICATE REQUEST')
    // The 65 bytes of the other's point in the place of its own: somebody else's key, without the proof.
    const point = (der: Buffer): number => der.indexOf(Buffer.from('03420004', 'hex')) + 4
    const forged = Buffer.from(first)
    second.copy(forged, point(first), point(second), point(second) + 64)
    const error = await errorOf(() => keyOfRequest(forged))
    expect(error).toMatchObject({
      code: 'pki-invalid',
      message: 'the request cannot be signed: its signature was not made with the key that it names',
    })
    const dir = await freshAuthority()
    await errorOf(() => issue(dir, 'alice', { ...CLIENT, request: forged }))
    expect(JSON.parse(await read(dir, 'index.json'))).toMatchObject({ certificates: [] })
  })

  it.each([
    ['nothing', '', 'it is not a PKCS#10 request'],
    [
      'a certificate',
      '-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n',
      'only CERTIFICATE was found where CERTIFICATE REQUEST was expected',
    ],
    ['too much', 'x'.repeat(65_537), 'it is larger than 64 KiB'],
    [
      'garbage',
      '-----BEGIN CERTIFICATE REQUEST-----\nMAMCAQA=\n-----END CERTIFICATE REQUEST-----\n',
      'it is not a PKCS#10 request',
    ],
  ])('that is %s is refused', async (_what, text, message) => {
    const error = await errorOf(() => keyOfRequest(Buffer.from(text)))
    expect(error).toMatchObject({ code: 'pki-invalid', message: expect.stringContaining(message) })
  })

  it.skipIf(!hasOpenssl).each([
    ['RSA 1024', ['rsa:1024'], [], 'its RSA key has 1024 bits'],
    [
      'a curve of its own',
      ['ec', '-pkeyopt', 'ec_paramgen_curve:secp256k1'],
      [],
      'its key is on the curve secp256k1',
    ],
    ['SHA-1', ['rsa:2048'], ['-sha1'], 'it is signed with SHA-1'],
  ])('with %s is refused (needs openssl)', async (_what, newkey, more, message) => {
    const { request } = await opensslRequest(newkey, ...more)
    expect((await errorOf(() => keyOfRequest(request))).message).toContain(message)
  })
})
