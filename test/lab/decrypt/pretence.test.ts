// The positive control must not be able to pretend: with a wrong key, a missing key or a changed byte it
// fails, or it gives no more than a beginning of the truth.
import * as fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { GatewayError } from '../../../src/errors.ts'
import { clientCertificateSubjects } from '../../../src/lab/decrypt/certificates.ts'
import { decryptTls13, type Tls13Capture, type Tls13Plaintext } from '../../../src/lab/decrypt/tls13.ts'
import { makeCredentials, recordConnection, type Recording } from './tls-capture.ts'

const request = Buffer.from('GET /secret HTTP/1.1\r\n\r\n')
const response = Buffer.from('HTTP/1.1 204 No Content\r\n\r\n')
let recorded: Recording
let other: Recording
let truth: Tls13Plaintext

beforeAll(async () => {
  const gateway = await makeCredentials('site.example')
  recorded = await recordConnection(gateway, { request, response })
  other = await recordConnection(gateway, { request, response })
  truth = decryptTls13(recorded)
})

const isBeginning = (part: Uint8Array, whole: Uint8Array): boolean =>
  Buffer.from(whole).subarray(0, part.length).equals(part)

const hexOf = (messages: readonly Uint8Array[]): string[] =>
  messages.map((message) => Buffer.from(message).toString('hex'))
const randomOf = (keylog: string): string => keylog.split(' ')[1] ?? ''

/**
 * What a capture came to: `refused` with a GatewayError, or a `beginning` of what was really sent. Where the
 * result says that the hellos are verified they must be the true ones, and where it does not, only they may
 * differ.
 */
function outcome(capture: Tls13Capture): string {
  try {
    const found = decryptTls13(capture)
    for (const side of ['client', 'server'] as const) {
      if (!isBeginning(found[side], truth[side])) return `the ${side}'s data is not what was sent`
      const messages = hexOf(found.handshake[side])
      const sent = hexOf(truth.handshake[side])
      const differs = messages.some((message, at) => message !== sent[at] && (at > 0 || found.hellosVerified))
      if (differs) return `the ${side}'s handshake is not what was sent`
    }
    return 'beginning'
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error
    return ['tls-failed', 'tls-version', 'bad-request'].includes(error.code) ? 'refused' : error.code
  }
}

describe('decryptTls13 with what it should not have', () => {
  it.each([
    'CLIENT_HANDSHAKE_TRAFFIC_SECRET',
    'SERVER_HANDSHAKE_TRAFFIC_SECRET',
    'CLIENT_TRAFFIC_SECRET_0',
    'SERVER_TRAFFIC_SECRET_0',
  ])('fails on the authentication tag with a wrong %s', (label) => {
    const line = new RegExp(`^${label} .*`, 'm').exec(recorded.keylog)?.[0] ?? ''
    const last = line.endsWith('0') ? '1' : '0'
    const keylog = recorded.keylog.replace(line, line.slice(0, -1) + last)
    expect(keylog).not.toBe(recorded.keylog)
    expect(() => decryptTls13({ ...recorded, keylog })).toThrow(
      expect.objectContaining({
        code: 'tls-failed',
        message: expect.stringContaining('authentication tag failed'),
      }),
    )
    const without = recorded.keylog.replace(line, '')
    expect(() => decryptTls13({ ...recorded, keylog: without })).toThrow(
      expect.objectContaining({ code: 'tls-failed', message: expect.stringContaining(label) }),
    )
  })

  it("fails with another connection's key log, even under this connection's client random", () => {
    expect(() => decryptTls13({ ...recorded, keylog: other.keylog })).toThrow(
      expect.objectContaining({ code: 'tls-failed', message: expect.stringContaining('the key log has no') }),
    )
    const keylog = other.keylog.replaceAll(randomOf(other.keylog), randomOf(recorded.keylog))
    expect(() => decryptTls13({ ...recorded, keylog })).toThrow(
      expect.objectContaining({ message: expect.stringContaining('authentication tag failed') }),
    )
  })

  it('fails where the two directions are of different connections, or swapped', () => {
    const { clientBytes, serverBytes, keylog } = recorded
    const mixed = { clientBytes, serverBytes: other.serverBytes, keylog: keylog + other.keylog }
    expect(() => decryptTls13(mixed)).toThrow(expect.objectContaining({ code: 'tls-failed' }))
    const swapped = { clientBytes: serverBytes, serverBytes: clientBytes, keylog }
    expect(() => decryptTls13(swapped)).toThrow(expect.objectContaining({ code: 'bad-request' }))
  })

  it('fails where nothing encrypted was captured, or not even the hellos', () => {
    const clientHello = recorded.clientBytes.subarray(0, 5 + recorded.clientBytes.readUInt16BE(3))
    const serverHello = recorded.serverBytes.subarray(0, 5 + recorded.serverBytes.readUInt16BE(3))
    const { keylog } = recorded
    for (const [clientBytes, serverBytes] of [
      [clientHello, serverHello],
      [clientHello, serverHello.subarray(0, -1)],
      [clientHello.subarray(0, -1), serverHello],
      [Buffer.alloc(0), Buffer.alloc(0)],
    ] as const) {
      expect(() => decryptTls13({ clientBytes, serverBytes, keylog })).toThrow(
        expect.objectContaining({ code: 'tls-failed' }),
      )
    }
  })

  it('never gives other bytes than were sent, whichever single bit is changed', () => {
    const outcomes = { refused: 0, beginning: 0 }
    for (const side of ['clientBytes', 'serverBytes'] as const) {
      for (let at = 0; at < recorded[side].length; at += 1) {
        const changed = Buffer.from(recorded[side])
        changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8))
        const found = outcome({ ...recorded, [side]: changed })
        expect(found).toMatch(/^(refused|beginning)$/)
        outcomes[found as keyof typeof outcomes] += 1
      }
    }
    // What no tag and no Finished covers: versions in cleartext record headers, the ChangeCipherSpec,
    // lengths.
    expect(outcomes.beginning).toBeLessThan(40)
  })

  it('throws only GatewayError at random bytes, cuts, repetitions and key logs', () => {
    const bytes = fc.uint8Array({ maxLength: 100 })
    fc.assert(
      fc.property(bytes, bytes, fc.string(), fc.nat(), fc.nat(), (left, right, text, from, to) => {
        const { clientBytes, serverBytes, keylog } = recorded
        const start = from % serverBytes.length
        const end = start + (to % (serverBytes.length - start))
        const replaced = Buffer.concat([serverBytes.subarray(0, start), left, serverBytes.subarray(end)])
        const repeated = Buffer.concat([serverBytes, serverBytes.subarray(start)])
        const outcomes = [
          outcome({ clientBytes: left, serverBytes: right, keylog: text }),
          outcome({ clientBytes, serverBytes: right, keylog }),
          outcome({ clientBytes, serverBytes, keylog: keylog.slice(to % keylog.length) + text }),
          outcome({ clientBytes, serverBytes: replaced, keylog }),
          outcome({ clientBytes, serverBytes: repeated, keylog }),
        ]
        expect(outcomes.filter((found) => found !== 'refused' && found !== 'beginning')).toEqual([])
      }),
    )
  })

  it('says that nothing holds the hellos where the server flight is cut before its Finished', () => {
    expect(truth.hellosVerified).toBe(true)
    const flight = recorded.serverBytes.indexOf(Buffer.from([23, 3, 3]))
    const first = flight + 5 + recorded.serverBytes.readUInt16BE(flight + 3)
    const partial = decryptTls13({ ...recorded, serverBytes: recorded.serverBytes.subarray(0, first) })
    expect(partial.hellosVerified).toBe(false)
    const changed = Buffer.from(recorded.clientBytes)
    changed.write('other', changed.indexOf('site.'))
    expect(() => decryptTls13({ ...recorded, clientBytes: changed })).toThrow(
      expect.objectContaining({
        code: 'tls-failed',
        message: expect.stringContaining('Finished does not fit'),
      }),
    )
  })
})

describe('clientCertificateSubjects', () => {
  it('throws only GatewayError at garbage', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 60 })), fc.boolean(), (messages, asCertificate) => {
        for (const message of messages) if (asCertificate && message.length > 0) message[0] = 11
        let code = 'bad-request'
        try {
          clientCertificateSubjects(messages)
        } catch (error) {
          code = error instanceof GatewayError ? error.code : String(error)
        }
        expect(code).toBe('bad-request')
      }),
    )
  })
})
