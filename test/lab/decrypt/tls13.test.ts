// The positive control against real connections of Node's own TLS: what was sent comes out, and nothing that
// was not. Nothing here knows how OpenSSL split its records.
import { beforeAll, describe, expect, it } from 'vitest'
import { locate } from '../../../src/lab/dissect/field.ts'
import { CONTENT_TYPE, tlsRecords } from '../../../src/lab/dissect/tls-records.ts'
import { clientCertificateSubjects } from '../../../src/lab/decrypt/certificates.ts'
import { decryptTls13 } from '../../../src/lab/decrypt/tls13.ts'
import { makeCredentials, recordConnection, type Credentials } from './tls-capture.ts'

const CANARY = 'c4n4rysubjectq7x2'
const MIB = 1024 * 1024
/** Repeats only after 251 bytes, so that a lost or doubled record shows. */
const pattern = (length: number): Buffer => Buffer.from(Array.from({ length }, (_, at) => at % 251))
const request = Buffer.from('GET /secret-path HTTP/1.1\r\nHost: site.example\r\n\r\n')
const response = Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')

let gateway: Credentials
let user: Credentials
beforeAll(async () => {
  gateway = await makeCredentials('site.example')
  user = await makeCredentials(CANARY)
})

const types = (messages: readonly Uint8Array[]): (number | undefined)[] =>
  messages.map((message) => message[0])

describe('decryptTls13', () => {
  it.each(['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256'])(
    'decrypts %s',
    async (ciphers) => {
      const recorded = await recordConnection(gateway, { client: { ciphers }, request, response })
      const found = decryptTls13(recorded)
      expect(found.cipher).toBe(ciphers)
      expect(recorded.cipher).toBe(ciphers)
      expect(Buffer.from(found.client).toString()).toBe(request.toString())
      expect(Buffer.from(found.server).toString()).toBe(response.toString())
      expect(recorded.clientBytes.includes('secret-path')).toBe(false)
      expect(types(found.handshake.client)).toEqual([1, 20])
      // ServerHello, EncryptedExtensions, Certificate, CertificateVerify, Finished, and the tickets.
      expect(types(found.handshake.server)).toEqual([2, 8, 11, 15, 20, 4, 4])
      expect(found.alerts.client).toEqual([{ description: 0, encrypted: true }])
      expect(clientCertificateSubjects(found.handshake.client)).toEqual([])
      expect(clientCertificateSubjects(found.handshake.server)).toEqual([gateway.der])
    },
  )

  it.each(['X25519MLKEM768', 'x25519', 'secp256r1'])('names the group %s', async (name) => {
    const group = { x25519: 'X25519', secp256r1: 'P-256' }[name] ?? name
    const recorded = await recordConnection(gateway, { client: { ecdhCurve: group }, request, response })
    expect(decryptTls13(recorded).group).toBe(name)
  })

  it('decrypts 1 MiB in both directions', async () => {
    const large = pattern(MIB)
    const found = decryptTls13(await recordConnection(gateway, { request: large, response: large }))
    expect(large.equals(found.client)).toBe(true)
    expect(large.equals(found.server)).toBe(true)
  })

  it('gives the client certificate, which the captured bytes hide', async () => {
    const server = { requestCert: true, rejectUnauthorized: false }
    const client = { key: user.key, cert: user.cert }
    const recorded = await recordConnection(gateway, { server, client, request, response })
    const found = decryptTls13(recorded)
    expect(clientCertificateSubjects(found.handshake.client)).toEqual([user.der])
    expect(user.der.includes(CANARY)).toBe(true)
    expect(recorded.clientBytes.includes(CANARY)).toBe(false)
    expect(types(found.handshake.client)).toEqual([1, 11, 15, 20])
  })

  it('finds no certificate where the client was asked and had none', async () => {
    const server = { requestCert: true, rejectUnauthorized: false }
    const found = decryptTls13(await recordConnection(gateway, { server, request, response }))
    expect(types(found.handshake.client)).toEqual([1, 11, 20])
    expect(clientCertificateSubjects(found.handshake.client)).toEqual([])
  })

  it('joins hellos and certificates over records of 512 bytes, after a HelloRetryRequest', async () => {
    const server = { requestCert: true, rejectUnauthorized: false, ecdhCurve: 'P-384' }
    const client = { key: user.key, cert: user.cert, ecdhCurve: 'X25519MLKEM768:P-384' }
    const large = pattern(20_000)
    const plan = { server, client, request: large, response: large, maxFragmentBytes: 512 }
    const recorded = await recordConnection(gateway, plan)
    const found = decryptTls13(recorded)
    expect(found.group).toBe('secp384r1')
    expect(types(found.handshake.client)).toEqual([1, 1, 11, 15, 20])
    expect(types(found.handshake.server).slice(0, 2)).toEqual([2, 2])
    expect(clientCertificateSubjects(found.handshake.client)).toEqual([user.der])
    expect(large.equals(found.client) && large.equals(found.server)).toBe(true)
    const hellos = [...tlsRecords(recorded.clientBytes)].filter(
      (record) => record.type === CONTENT_TYPE.handshake,
    )
    expect(hellos.length).toBeGreaterThan(2)
    expect(Math.max(...hellos.map((record) => record.fragment.length))).toBeLessThanOrEqual(512)
  })

  it('says which captured bytes carried each byte', async () => {
    const large = pattern(50_000)
    const recorded = await recordConnection(gateway, { request: large, response })
    const { spans } = decryptTls13(recorded)
    const ranges = [...tlsRecords(recorded.clientBytes)].filter(
      (record) => record.type === CONTENT_TYPE.applicationData,
    )
    for (const at of [0, 1, 20_000, 49_999]) {
      const place = locate(spans.client, at, 1)
      const inside = ranges.filter(
        ({ offset, end }) => place && place.offset >= offset + 5 && place.offset < end - 17,
      )
      expect(inside).toHaveLength(1)
    }
    expect(spans.client.reduce((sum, span) => sum + span.length, 0)).toBe(large.length)
  })

  it('leaves out a last record that was cut short, at any place', async () => {
    const plan = { request: pattern(3000), response: pattern(3000), maxFragmentBytes: 512 }
    const recorded = await recordConnection(gateway, plan)
    const found = decryptTls13(recorded)
    const serverFlight = recorded.serverBytes.length - 3000
    for (let cut = serverFlight; cut < recorded.serverBytes.length; cut += 97) {
      const partial = decryptTls13({ ...recorded, serverBytes: recorded.serverBytes.subarray(0, cut) })
      expect(partial.server.length).toBeLessThan(found.server.length)
      expect(Buffer.from(found.server).subarray(0, partial.server.length).equals(partial.server)).toBe(true)
      expect(Buffer.from(partial.client).equals(found.client)).toBe(true)
    }
  })

  it('takes bytes whose beginning the caller cut off, and a view of a larger buffer', async () => {
    const recorded = await recordConnection(gateway, { request, response })
    const prefix = Buffer.from('CONNECT site.example:443 HTTP/1.1\r\n\r\n')
    const clientBytes = new Uint8Array(Buffer.concat([prefix, recorded.clientBytes])).subarray(prefix.length)
    expect(Buffer.from(decryptTls13({ ...recorded, clientBytes }).client).toString()).toBe(request.toString())
  })

  it('finds its connection in the key log of many', async () => {
    const one = await recordConnection(gateway, { request, response })
    const two = await recordConnection(gateway, { request: pattern(10), response })
    const keylog = `# comment\r\n${one.keylog.replaceAll('\n', '\r\n')}${two.keylog}`
    expect(decryptTls13({ ...one, keylog }).client.length).toBe(request.length)
    expect(decryptTls13({ ...two, keylog }).client.length).toBe(10)
  })

  it('says that TLS 1.2 is another version', async () => {
    const recorded = await recordConnection(gateway, { client: { maxVersion: 'TLSv1.2' }, request, response })
    expect(() => decryptTls13(recorded)).toThrow(expect.objectContaining({ code: 'tls-version' }))
  })
})
