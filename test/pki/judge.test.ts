import { sign, X509Certificate, type webcrypto } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { openAuthority, SIGNING_ALGORITHM, createAuthority, generateKeys } from '../../src/pki/authority.ts'
import { ClientTrust } from '../../src/pki/judge.ts'
import { pemBlocks } from '../../src/pki/pem.ts'
import { createRevocationList } from '../../src/pki/revocation-list.ts'
import { x509 } from '../../src/pki/x509.ts'
import { makeTestPki } from '../support/pki.ts'
import { errorOf } from './errors.ts'
import { hasOpenssl, openssl } from './openssl.ts'

const NOW = new Date('2030-03-01T12:00:00Z')
const DAY_MS = 86_400_000
const pki = await makeTestPki(NOW)
const authorities = pki.authority.certificate
const trust = ClientTrust.load({ authorities, revocationList: pki.revocationList })
const trustWithoutList = ClientTrust.load({ authorities })
const certificateOf = ({ certificate }: { certificate: string }) => new X509Certificate(certificate)
const codeOf = async (judge: () => unknown) => (await errorOf(judge)).code
const after = (ms: number) => new Date(NOW.getTime() + ms)

/** A certificate that the test authority signs, with any subject, usage and signing key. */
async function unusual(parts: {
  subject?: x509.JsonName
  usages?: string[]
  signingKey?: webcrypto.CryptoKey
}): Promise<X509Certificate> {
  const authority = openAuthority(pki.authority)
  const keys = await generateKeys()
  const certificate = await x509.X509CertificateGenerator.create({
    subject: parts.subject ?? [{ CN: ['alice'] }],
    issuer: authority.certificate.subjectName,
    notBefore: NOW,
    notAfter: after(DAY_MS),
    signingAlgorithm: SIGNING_ALGORITHM,
    publicKey: keys.publicKey,
    signingKey: parts.signingKey ?? authority.signingKey,
    extensions: parts.usages ? [new x509.ExtendedKeyUsageExtension(parts.usages)] : [],
  })
  return new X509Certificate(Buffer.from(certificate.rawData))
}

describe('a client that is let in', () => {
  it('gets the name that it was issued under, and its serial', () => {
    expect(trust.judge(certificateOf(pki.client), NOW)).toEqual({
      identity: 'alice',
      serial: pki.client.serial,
      expiresMs: pki.client.notAfter.getTime() + 1000,
      authority: new X509Certificate(authorities).fingerprint256,
    })
  })

  it('keeps its name over a renewal by the same authority', async () => {
    const renewed = await pki.issueClient('alice')
    expect(trust.judge(certificateOf(renewed), NOW)).toMatchObject({
      identity: 'alice',
      serial: renewed.serial,
    })
  })

  it('may come from any of several authorities', () => {
    const both = ClientTrust.load({ authorities: pki.otherAuthority.certificate + authorities })
    expect(both.judge(certificateOf(pki.client), NOW).identity).toBe('alice')
    expect(both.judge(certificateOf(pki.foreign), NOW).identity).toBe('alice')
  })

  it('is good through the last second and from the first', () => {
    const client = certificateOf(pki.client)
    const first = client.validFromDate.getTime()
    const last = client.validToDate.getTime()
    expect(trustWithoutList.judge(client, new Date(first)).identity).toBe('alice')
    expect(trustWithoutList.judge(client, new Date(last + 999)).identity).toBe('alice')
  })
})

describe('a client that is refused', () => {
  it('certificate-required: sends none', async () => {
    expect(await codeOf(() => trust.judge(undefined, NOW))).toBe('certificate-required')
  })

  it('certificate-untrusted: comes from another authority', async () => {
    expect(await codeOf(() => trust.judge(certificateOf(pki.foreign), NOW))).toBe('certificate-untrusted')
  })

  it('certificate-untrusted: names our authority, but another key signed it', async () => {
    const { signingKey } = await createAuthority({ now: NOW })
    const forged = await unusual({ signingKey, usages: ['1.3.6.1.5.5.7.3.2'] })
    expect(forged.issuer).toBe(certificateOf(pki.client).issuer)
    expect(await codeOf(() => trust.judge(forged, NOW))).toBe('certificate-untrusted')
  })

  it.each([
    ['no common name', [{ O: ['alice'] }]],
    ['two common names', [{ CN: ['alice'] }, { CN: ['bob'] }]],
    ['a line break in its name', [{ CN: ['alice\nbob'] }]],
  ])('certificate-untrusted: has %s', async (_what, subject) => {
    const certificate = await unusual({ subject, usages: ['1.3.6.1.5.5.7.3.2'] })
    expect(await codeOf(() => trust.judge(certificate, NOW))).toBe('certificate-untrusted')
  })

  it('certificate-expired: a second too late', async () => {
    const client = certificateOf(pki.client)
    expect(await codeOf(() => trust.judge(certificateOf(pki.expired), NOW))).toBe('certificate-expired')
    const tooLate = new Date(client.validToDate.getTime() + 1000)
    expect(await codeOf(() => trustWithoutList.judge(client, tooLate))).toBe('certificate-expired')
  })

  it('certificate-not-yet-valid: a millisecond too early', async () => {
    const client = certificateOf(pki.client)
    expect(await codeOf(() => trust.judge(certificateOf(pki.notYetValid), NOW))).toBe(
      'certificate-not-yet-valid',
    )
    const tooEarly = new Date(client.validFromDate.getTime() - 1)
    expect(await codeOf(() => trustWithoutList.judge(client, tooEarly))).toBe('certificate-not-yet-valid')
  })

  it('certificate-expired: its authority ended, though it did not', async () => {
    const old = await createAuthority({ now: after(-9 * DAY_MS), days: 10 })
    const young = await createAuthority({ now: NOW })
    const signer = { ...young, signingKey: old.signingKey, certificate: old.certificate }
    const outliving = await x509.X509CertificateGenerator.create({
      subject: [{ CN: ['alice'] }],
      issuer: signer.certificate.subjectName,
      notBefore: NOW,
      notAfter: after(30 * DAY_MS),
      signingAlgorithm: SIGNING_ALGORITHM,
      publicKey: (await generateKeys()).publicKey,
      signingKey: signer.signingKey,
      extensions: [new x509.ExtendedKeyUsageExtension(['1.3.6.1.5.5.7.3.2'])],
    })
    const certificate = new X509Certificate(Buffer.from(outliving.rawData))
    const oldTrust = ClientTrust.load({ authorities: old.pem.certificate })
    expect(oldTrust.judge(certificate, NOW).identity).toBe('alice')
    const error = await errorOf(() => oldTrust.judge(certificate, after(2 * DAY_MS)))
    expect(error).toMatchObject({
      code: 'certificate-expired',
      message: expect.stringContaining('authority'),
    })
  })

  it('certificate-wrong-usage: is a server, or says no usage, or is the authority itself', async () => {
    const wrongUsage = 'certificate-wrong-usage'
    expect(await codeOf(() => trust.judge(certificateOf(pki.wrongUsage), NOW))).toBe(wrongUsage)
    expect(await codeOf(async () => trust.judge(await unusual({}), NOW))).toBe(wrongUsage)
    expect(await codeOf(() => trust.judge(certificateOf(pki.authority), NOW))).toBe(wrongUsage)
  })

  it('certificate-revoked: is on the list, and only with a list', async () => {
    expect(await codeOf(() => trust.judge(certificateOf(pki.revoked), NOW))).toBe('certificate-revoked')
    expect(trustWithoutList.judge(certificateOf(pki.revoked), NOW).identity).toBe('rita')
  })

  it('is told the first reason only: dates before usage, usage before revocation', async () => {
    const revocationList = await pki.revoke(pki.wrongUsage, pki.expired)
    const strict = ClientTrust.load({ authorities, revocationList })
    expect(await codeOf(() => strict.judge(certificateOf(pki.expired), NOW))).toBe('certificate-expired')
    expect(await codeOf(() => strict.judge(certificateOf(pki.wrongUsage), NOW))).toBe(
      'certificate-wrong-usage',
    )
    expect(await codeOf(() => strict.judge(certificateOf(pki.wrongUsage), after(-DAY_MS)))).toBe(
      'certificate-not-yet-valid',
    )
  })

  it('blames the client for its certificate, and this side for the list', async () => {
    expect((await errorOf(() => trust.judge(undefined, NOW))).side).toBe('client')
    expect((await errorOf(() => trust.judge(certificateOf(pki.revoked), NOW))).side).toBe('client')
  })

  it.skipIf(!hasOpenssl)('certificate-untrusted: has a serial below zero (needs openssl)', async () => {
    const files = { 'ca.crt': authorities, 'ca.key': pki.authority.key, 'alice.key': pki.client.key }
    const request = await openssl(['req', '-new', '-key', 'alice.key', '-subj', '/CN=alice'], files)
    const withExtension = { ...files, 'a.csr': request.output, 'a.ext': 'extendedKeyUsage=clientAuth' }
    const signWith = [
      'x509',
      '-req',
      '-in',
      'a.csr',
      '-CA',
      'ca.crt',
      '-CAkey',
      'ca.key',
      '-extfile',
      'a.ext',
    ]
    const [positive, negative] = await Promise.all(
      ['0x0abc', '-0x0abc'].map(async (serial) => {
        const { output } = await openssl([...signWith, '-set_serial', serial, '-days', '9999'], withExtension)
        const [der] = pemBlocks(output, 'CERTIFICATE')
        return new X509Certificate(der ?? '')
      }),
    )
    expect(trust.judge(positive, NOW)).toMatchObject({ identity: 'alice', serial: 'abc' })
    expect(negative?.serialNumber).toBe('-0ABC')
    expect(await codeOf(() => trust.judge(negative, NOW))).toBe('certificate-untrusted')
  })
})

describe('the revocation list', () => {
  it('lets no client in once it is past due, or before its time', async () => {
    const client = certificateOf(pki.client)
    const short = await createRevocationList(openAuthority(pki.authority), {
      revocations: [],
      number: 9,
      now: NOW,
      days: 2,
    })
    const shortTrust = ClientTrust.load({ authorities, revocationList: short.pem })
    expect(shortTrust.judge(client, after(2 * DAY_MS)).identity).toBe('alice')
    const error = await errorOf(() => shortTrust.judge(client, after(2 * DAY_MS + 1)))
    expect(error).toMatchObject({ code: 'revocation-list-unusable', side: 'self' })
    expect(error.message).toContain('was due for renewal on 2030-03-03')

    const early = await createRevocationList(openAuthority(pki.authority), {
      revocations: [],
      number: 9,
      now: after(DAY_MS),
    })
    const earlyTrust = ClientTrust.load({ authorities, revocationList: early.pem })
    expect((await errorOf(() => earlyTrust.judge(client, NOW))).message).toContain('only valid from')
  })

  it('is refused at once when another authority signed it', async () => {
    const source = { authorities: pki.otherAuthority.certificate, revocationList: pki.revocationList }
    expect(await codeOf(() => ClientTrust.load(source))).toBe('revocation-list-unusable')
  })

  it('has to cover each authority whose clients come', async () => {
    const both = authorities + pki.otherAuthority.certificate
    const half = ClientTrust.load({ authorities: both, revocationList: pki.revocationList })
    expect(half.judge(certificateOf(pki.client), NOW).identity).toBe('alice')
    expect(await codeOf(() => half.judge(certificateOf(pki.foreign), NOW))).toBe('revocation-list-unusable')

    const otherList = await createRevocationList(openAuthority(pki.otherAuthority), {
      revocations: [{ serial: pki.client.serial, revokedAt: NOW }],
      number: 1,
      now: NOW,
    })
    const whole = ClientTrust.load({ authorities: both, revocationList: pki.revocationList + otherList.pem })
    expect(whole.judge(certificateOf(pki.foreign), NOW).identity).toBe('alice')
    // The other authority's list says nothing about this authority's serials.
    expect(whole.judge(certificateOf(pki.client), NOW).identity).toBe('alice')
  })

  it('may be DER', async () => {
    const [der] = pemBlocks(pki.revocationList, 'X509 CRL')
    const derTrust = ClientTrust.load({ authorities, revocationList: der ?? new Uint8Array() })
    expect(await codeOf(() => derTrust.judge(certificateOf(pki.revoked), NOW))).toBe('certificate-revoked')
  })

  it('may not stand there twice', async () => {
    const twice = pki.revocationList + (await pki.revoke())
    const error = await errorOf(() => ClientTrust.load({ authorities, revocationList: twice }))
    expect(error).toMatchObject({ code: 'revocation-list-unusable', message: expect.stringContaining('two') })
  })

  it('may hold 200,000 serials', async () => {
    const serials = Array.from({ length: 200_000 }, (_, index) => (index + 1).toString(16))
    const big = ClientTrust.load({ authorities, revocationList: bigList([...serials, pki.client.serial]) })
    expect(await codeOf(() => big.judge(certificateOf(pki.client), NOW))).toBe('certificate-revoked')
    expect(big.judge(certificateOf(pki.revoked), NOW).identity).toBe('rita')
  })
})

describe('somebody who was let in', () => {
  const day = (days: number): Date => new Date(NOW.getTime() + days * 86_400_000)
  const load = (revocationList: string, from = authorities): ClientTrust =>
    ClientTrust.load({ authorities: from, revocationList })
  const alice = trust.judge(certificateOf(pki.client), NOW)

  it('stays in while nothing has changed', () => {
    expect(trust.judgeAgain(alice, NOW)).toBeUndefined()
    expect(trustWithoutList.judgeAgain(alice, day(300))).toBeUndefined()
  })

  it('is out once a later list has the serial, also when that list is past due', async () => {
    const later = load(await pki.revoke(pki.client))
    expect(later.judgeAgain(alice, NOW)).toBe('certificate-revoked')
    expect(later.judgeAgain(alice, day(364.9))).toBe('certificate-revoked')
    expect(load(await pki.revoke(pki.revoked)).judgeAgain(alice, NOW)).toBeUndefined()
  })

  it('is out when the certificate ends, with its last second', () => {
    const lastSecond = new Date(alice.expiresMs - 1)
    expect(trustWithoutList.judgeAgain(alice, lastSecond)).toBeUndefined()
    expect(trustWithoutList.judgeAgain(alice, new Date(alice.expiresMs))).toBe('certificate-expired')
  })

  it('is out when another authority has taken the place of the one that issued', async () => {
    const other = ClientTrust.load({ authorities: pki.otherAuthority.certificate })
    expect(other.judgeAgain(alice, NOW)).toBe('certificate-untrusted')
    const both = ClientTrust.load({ authorities: pki.otherAuthority.certificate + authorities })
    expect(both.judgeAgain(alice, NOW)).toBeUndefined()
  })

  it('is told when nothing says any more who is revoked', () => {
    expect(trust.withoutLists().judgeAgain(alice, NOW)).toBe('revocation-list-unusable')
    expect(trust.judgeAgain({ ...alice, expiresMs: Infinity }, day(366))).toBe('revocation-list-unusable')
  })
})

describe('what cannot be read', () => {
  it.each([
    ['nothing', '', 'no PEM block was found where CERTIFICATE was expected'],
    ['a key', pki.client.key, 'only PRIVATE KEY was found where CERTIFICATE was expected'],
    ['a leaf', pki.client.certificate, 'certificate 1 of the authorities is not an authority'],
    [
      'garbage in base64',
      '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n',
      'certificate 1 of the PEM text is not an X.509 certificate',
    ],
    [
      'no base64',
      '-----BEGIN CERTIFICATE-----\n<html>\n-----END CERTIFICATE-----\n',
      'a CERTIFICATE block holds something that is not base64',
    ],
  ])('pki-invalid for authorities: %s', async (_what, text, message) => {
    const error = await errorOf(() => ClientTrust.load({ authorities: text }))
    expect(error).toMatchObject({ code: 'pki-invalid', side: 'self', message })
    expect(error.hint).toMatch(/^(give|copy) /)
  })

  it('pki-invalid for a list that is a certificate', async () => {
    const error = await errorOf(() => ClientTrust.load({ authorities, revocationList: authorities }))
    expect(error).toMatchObject({
      code: 'pki-invalid',
      message: 'only CERTIFICATE was found where X509 CRL was expected',
    })
  })
})

function tlv(tag: number, ...parts: Buffer[]): Buffer {
  const content = Buffer.concat(parts)
  const head = Buffer.alloc(6)
  head.writeUInt8(tag, 0)
  head.writeUInt8(0x84, 1)
  head.writeUInt32BE(content.length, 2)
  return Buffer.concat([head, content])
}

/** A list put together byte by byte, since the package compares each new entry with all before it. */
function bigList(serials: string[]): Buffer {
  const time = (text: string): Buffer => tlv(0x17, Buffer.from(text))
  const algorithm = tlv(0x30, tlv(0x06, Buffer.from('2a8648ce3d040302', 'hex')))
  const revokedAt = time('300101000000Z')
  const entries = serials.map((serial) =>
    tlv(0x30, tlv(0x02, Buffer.from(serial.padStart(34, '0'), 'hex')), revokedAt),
  )
  const dates = [time('300101000000Z'), time('310101000000Z')]
  const signed = tlv(0x30, algorithm, tlv(0x30), ...dates, tlv(0x30, Buffer.concat(entries)))
  const signature = sign('sha256', signed, pki.authority.key)
  return tlv(0x30, signed, algorithm, tlv(0x03, Buffer.from([0]), signature))
}
