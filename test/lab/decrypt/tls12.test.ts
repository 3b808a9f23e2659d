// TLS 1.2 as Node speaks it, recorded on loopback: every suite that is read here decrypts to what was sent, byte for byte
// at its place; and nothing decrypts under another key, or with a byte changed.
import { beforeAll, describe, expect, it } from 'vitest'
import { decryptTls12 } from '../../../src/lab/decrypt/tls12.ts'
import { CONTENT_TYPE, tlsRecords } from '../../../src/lab/dissect/tls-records.ts'
import { peel } from '../../../src/lab/layers.ts'
import { makeCredentials, recordConnection, type Credentials, type Recording } from './tls-capture.ts'

const REQUEST = Buffer.from('GET /secret HTTP/1.1\r\nhost: a\r\n\r\n')
const RESPONSE = Buffer.alloc(40_000, 'answer ')

let identity: Credentials
beforeAll(async () => void (identity = await makeCredentials('site.example')))

function record(ciphers: string, more: object = {}): Promise<Recording> {
  const version = { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2', ciphers } as const
  return recordConnection(identity, {
    server: { ...version, ...more },
    client: version,
    request: REQUEST,
    response: RESPONSE,
  })
}

/** The bytes of one direction with one bit of the record that `pick` says changed. */
function spoiled(bytes: Buffer, pick: (type: number) => boolean): Buffer {
  const changed = Buffer.from(bytes)
  const last = [...tlsRecords(bytes)].findLast(({ type }) => pick(type))
  if (last === undefined) throw new Error('there is no such record')
  changed.writeUInt8((changed[last.end - 1] ?? 0) ^ 1, last.end - 1)
  return changed
}

describe('decryptTls12', () => {
  it.each([
    ['ECDHE-ECDSA-AES128-GCM-SHA256', 'TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256'],
    ['ECDHE-ECDSA-AES256-GCM-SHA384', 'TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384'],
    ['ECDHE-ECDSA-CHACHA20-POLY1305', 'TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256'],
  ])('opens %s', async (ciphers, name) => {
    const recording = await record(ciphers)
    const plain = decryptTls12(recording)
    expect(plain.cipher).toBe(name)
    expect(Buffer.from(plain.client).equals(REQUEST)).toBe(true)
    expect(Buffer.from(plain.server).equals(RESPONSE)).toBe(true)
    const carried = plain.spans.server.reduce((sum, { length }) => sum + length, 0)
    expect(carried).toBe(RESPONSE.length)
    // The place that a span gives is where the cipher's bytes stand: there is no plaintext there.
    const [first] = plain.spans.server
    const there = recording.serverBytes.subarray(first?.offset, (first?.offset ?? 0) + 32)
    expect(there.equals(RESPONSE.subarray(0, 32))).toBe(false)
  })

  it('gives nothing where an authentication tag fails, in either direction', async () => {
    const recording = await record('ECDHE-ECDSA-AES128-GCM-SHA256')
    const isData = (type: number): boolean => type === CONTENT_TYPE.applicationData
    for (const side of ['clientBytes', 'serverBytes'] as const) {
      const changed = { ...recording, [side]: spoiled(recording[side], isData) }
      expect(() => decryptTls12(changed)).toThrow(expect.objectContaining({ code: 'tls-failed' }))
    }
  })

  it('gives nothing where the cleartext handshake is not the one that was finished', async () => {
    const recording = await record('ECDHE-ECDSA-AES128-GCM-SHA256')
    const { serverBytes } = recording
    const at = serverBytes.indexOf('site.example')
    const changed = Buffer.from(serverBytes)
    changed.write('site.exemple', at, 'latin1')
    expect(() => decryptTls12({ ...recording, serverBytes: changed })).toThrow(
      'the handshake in the capture is not the one that the client finished',
    )
  })

  it('says so where the key log is another connection’s, spoiled, or of another version', async () => {
    const recording = await record('ECDHE-ECDSA-AES128-GCM-SHA256')
    const other = await record('ECDHE-ECDSA-AES128-GCM-SHA256')
    const failing = (keylog: string): unknown => {
      try {
        return decryptTls12({ ...recording, keylog })
      } catch (thrown) {
        return (thrown as Error).message
      }
    }
    expect(failing(other.keylog)).toMatch(/^the key log has no CLIENT_RANDOM/)
    expect(failing(recording.keylog.replace(/[0-9a-f]{8}$/gm, '00000000'))).toMatch(
      /^the authentication tag failed/,
    )
    const tls13 = await recordConnection(identity, { request: REQUEST, response: RESPONSE })
    expect(() => decryptTls12(tls13)).toThrow(expect.objectContaining({ code: 'tls-version' }))
  })

  it('refuses a suite that it does not read', async () => {
    const recording = await record('ECDHE-ECDSA-AES128-SHA256')
    expect(() => decryptTls12(recording)).toThrow('the cipher suite of the captured connection')
  })

  it('is what peel takes for a connection of that version', async () => {
    const recording = await record('ECDHE-ECDSA-AES256-GCM-SHA384')
    const streams = { up: recording.clientBytes, down: recording.serverBytes }
    const { layers, failures } = peel(streams, [recording.keylog])
    expect(failures).toEqual([])
    const request = layers.find(({ path, direction }) => path === 'tcp > tls' && direction === 'up')
    expect(request && Buffer.from(request.bytes).equals(REQUEST)).toBe(true)
    // The certificate passes in clear: no key is needed to read the name in it.
    const open = peel(streams, []).layers
    expect(open.some(({ bytes }) => Buffer.from(bytes).includes('secret'))).toBe(false)
  })
})
