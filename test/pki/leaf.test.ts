import { X509Certificate } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { createAuthority, openAuthority } from '../../src/pki/authority.ts'
import { issueLeaf } from '../../src/pki/leaf.ts'
import { makeTestPki } from '../support/pki.ts'
import { errorOf } from './errors.ts'
import { hasOpenssl, openssl } from './openssl.ts'

const NOW = new Date('2030-03-01T12:00:00.700Z')
const authority = await createAuthority({ now: NOW })
const client = { name: 'alice', kind: 'client', hosts: [], now: NOW } as const

describe('authority', () => {
  it('lasts ten years and starts five minutes back, in whole seconds', () => {
    const certificate = new X509Certificate(authority.pem.certificate)
    expect(certificate.ca).toBe(true)
    expect(certificate.validFromDate).toEqual(new Date('2030-03-01T11:55:00Z'))
    expect(certificate.validToDate).toEqual(new Date('2040-03-01T12:00:00Z'))
  })

  it('refuses a key of another authority', async () => {
    const other = await createAuthority({ now: NOW })
    const error = await errorOf(() => openAuthority({ ...authority.pem, key: other.pem.key }))
    expect(error).toMatchObject({ code: 'pki-invalid', message: expect.stringContaining('does not belong') })
  })

  it('refuses a leaf in its place', async () => {
    const leaf = await issueLeaf(authority, client)
    const error = await errorOf(() => openAuthority(leaf))
    expect(error).toMatchObject({ code: 'pki-invalid', message: expect.stringContaining('not an authority') })
  })

  it('never repeats a key file in an error', async () => {
    const key = authority.pem.key.replaceAll('-----', '=====')
    const error = await errorOf(() => openAuthority({ ...authority.pem, key }))
    expect(error).toMatchObject({
      code: 'pki-invalid',
      message: expect.stringContaining('not a PEM private key'),
    })
    expect(error.message).not.toContain(key.slice(40, 60))
  })
})

describe('leaf', () => {
  it('lasts 397 days for a server and 365 for a client', async () => {
    const server = await issueLeaf(authority, { ...client, kind: 'server', hosts: ['localhost'] })
    expect(server.notAfter).toEqual(new Date('2031-04-02T12:00:00Z'))
    expect((await issueLeaf(authority, client)).notAfter).toEqual(new Date('2031-03-01T12:00:00Z'))
  })

  it('never outlives its authority', async () => {
    const leaf = await issueLeaf(authority, { ...client, days: 36_500 })
    expect(leaf.notAfter).toEqual(new Date('2040-03-01T12:00:00Z'))
    const error = await errorOf(() =>
      issueLeaf(authority, { ...client, now: new Date('2040-03-01T12:00:00Z') }),
    )
    expect(error).toMatchObject({ code: 'pki-invalid', message: 'the authority ended on 2040-03-01' })
  })

  it('has a serial of 128 bits that the certificate carries, and another each time', async () => {
    const leaves = await Promise.all(Array.from({ length: 20 }, () => issueLeaf(authority, client)))
    expect(new Set(leaves.map(({ serial }) => serial)).size).toBe(20)
    for (const { certificate, serial } of leaves) {
      expect(BigInt(`0x${new X509Certificate(certificate).serialNumber}`)).toBe(BigInt(`0x${serial}`))
    }
    expect(Math.max(...leaves.map(({ serial }) => serial.length))).toBe(32)
  })

  it('puts DNS names and addresses where clients look for them', async () => {
    const hosts = ['VPN.example.org', '*.example.org', '192.0.2.7', '2001:db8::1']
    const leaf = await issueLeaf(authority, { ...client, kind: 'server', hosts })
    const certificate = new X509Certificate(leaf.certificate)
    expect(certificate.checkHost('vpn.example.org')).toBe('vpn.example.org')
    expect(certificate.checkIP('192.0.2.7')).toBe('192.0.2.7')
    expect(certificate.checkIP('2001:db8::1')).toBe('2001:db8::1')
    expect(certificate.checkHost('a.example.net')).toBeUndefined()
  })

  it('carries no alternative name for a client', async () => {
    const { certificate } = await issueLeaf(authority, client)
    expect(new X509Certificate(certificate).subjectAltName).toBeUndefined()
  })

  it.each([
    ['a port', 'localhost:8443'],
    ['brackets', '[::1]'],
    ['a zone', 'fe80::1%eth0'],
    ['an address that is none', '192.0.2.300'],
    ['another script', 'bücher.example'],
    ['nothing', ''],
    ['a line break', 'a\nb'],
  ])('refuses a host with %s', async (_what, host) => {
    const error = await errorOf(() => issueLeaf(authority, { ...client, kind: 'server', hosts: [host] }))
    expect(error).toMatchObject({ code: 'pki-invalid', message: `${JSON.stringify(host)} is not a host` })
  })

  it('refuses a server without hosts and a client with them', async () => {
    const noHosts = await errorOf(() => issueLeaf(authority, { ...client, kind: 'server' }))
    expect(noHosts.message).toBe('a server needs at least one host')
    const hosts = await errorOf(() => issueLeaf(authority, { ...client, hosts: ['localhost'] }))
    expect(hosts.message).toBe('a client has no hosts')
  })
})

describe('openssl agrees', () => {
  it.skipIf(!hasOpenssl)('on each kind and its purpose (needs openssl)', async () => {
    const pki = await makeTestPki()
    const files = {
      'ca.crt': pki.authority.certificate,
      'ca.crl': pki.revocationList,
      'client.crt': pki.client.certificate,
      'server.crt': pki.server.certificate,
      'revoked.crt': pki.revoked.certificate,
      'foreign.crt': pki.foreign.certificate,
    }
    const verify = (...args: string[]) =>
      openssl(
        ['verify', '-x509_strict', '-CAfile', 'ca.crt', '-crl_check', '-CRLfile', 'ca.crl', ...args],
        files,
      )
    expect((await verify('-purpose', 'sslclient', 'client.crt')).output).toBe('client.crt: OK\n')
    expect((await verify('-purpose', 'sslserver', 'server.crt')).output).toBe('server.crt: OK\n')
    expect((await verify('-purpose', 'sslclient', 'server.crt')).status).toBe(2)
    expect((await verify('-purpose', 'sslserver', 'client.crt')).status).toBe(2)
    expect((await verify('revoked.crt')).output).toContain('certificate revoked')
    expect((await verify('foreign.crt')).output).toContain('unable to get local issuer certificate')
  })

  it.skipIf(!hasOpenssl)('on the extensions (needs openssl)', async () => {
    const leaf = await issueLeaf(authority, { ...client, kind: 'server', hosts: ['localhost', '::1'] })
    const files = { 'ca.crt': authority.pem.certificate, 'leaf.crt': leaf.certificate }
    const ca = (await openssl(['x509', '-in', 'ca.crt', '-noout', '-text'], files)).output
    const text = (await openssl(['x509', '-in', 'leaf.crt', '-noout', '-text'], files)).output
    expect(ca).toMatch(/Basic Constraints: critical\s+CA:TRUE, pathlen:0\n/)
    expect(ca).toMatch(/Key Usage: critical\s+Certificate Sign, CRL Sign\n/)
    expect(text).toMatch(/Key Usage: critical\s+Digital Signature\n/)
    expect(text).toMatch(/Extended Key Usage: \s+TLS Web Server Authentication\n/)
    expect(text).toMatch(/DNS:localhost, IP Address:0:0:0:0:0:0:0:1\n/)
    const keyId = /Subject Key Identifier: \s+([0-9A-F:]+)/.exec(ca)?.[1]
    expect(keyId).toMatch(/^([0-9A-F]{2}:){19}[0-9A-F]{2}$/)
    expect(/Authority Key Identifier: \s+([0-9A-F:]+)/.exec(text)?.[1]).toBe(keyId)
    expect(text).toContain('Signature Algorithm: ecdsa-with-SHA256')
  })

  it.skipIf(!hasOpenssl)('on dates past 2049, which are written another way (needs openssl)', async () => {
    const late = await createAuthority({ now: new Date('2045-06-01T00:00:00Z') })
    const { output } = await openssl(['x509', '-in', 'ca.crt', '-noout', '-enddate'], {
      'ca.crt': late.pem.certificate,
    })
    expect(output).toBe('notAfter=Jun  2 00:00:00 2055 GMT\n')
  })
})
