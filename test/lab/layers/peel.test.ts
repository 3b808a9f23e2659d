// Peeling: which layers a capture has for whoever holds which keys, and that each layer's bytes lead back to the place
// where they, or the ciphertext of exactly them, were captured.
import { beforeAll, describe, expect, it } from 'vitest'
import type { Layer } from '../../../src/lab/layer.ts'
import { peel, type Peeled } from '../../../src/lab/layers.ts'
import {
  makeCredentials,
  recordConnection,
  type Credentials,
  type Recording,
} from '../decrypt/tls-capture.ts'
import { inConnect, inSocks, inTunnel, muxStream, UPGRADE_HEAD, type Streams } from './wrapping.ts'

const REQUEST = Buffer.from(
  'POST /page?q=word HTTP/1.1\r\nHost: site.example\r\nCookie: a=b\r\nContent-Length: 4\r\n\r\nbody',
)
const RESPONSE = Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nworld')
/** close_notify, the last record of a client that ended in order. */
const ALERT_BYTES = 2
const PLAIN: Streams = { up: REQUEST, down: RESPONSE }

function layer({ layers }: Peeled, path: string, direction: Layer['direction'] = 'up'): Layer {
  const found = layers.filter((one) => one.path === path && one.direction === direction)
  expect(found.map((one) => one.path)).toEqual([path])
  return found[0] as Layer
}

function paths({ layers }: Peeled): string[] {
  return layers.map(({ path, direction }) => `${path} ${direction}`)
}

function fieldsOf({ fields }: Layer): Record<string, string> {
  return Object.fromEntries(fields.map(({ name, value }) => [name, value]))
}

/** Every byte of a layer that has not been encrypted is the captured byte at its place. */
function expectSameBytes({ bytes, place }: Layer, captured: Buffer): void {
  for (let at = 0; at < bytes.length; at += 1) {
    const found = place(at, 1)
    expect(found?.length).toBe(1)
    expect(captured[found?.offset ?? -1]).toBe(bytes[at])
  }
}

function streamsOf({ clientBytes, serverBytes }: Recording): Streams {
  return { up: clientBytes, down: serverBytes }
}

/** Payload bytes of TLS application data records after the client's Finished, each with its place: RFC 8446 section 5.2. */
function ciphertextPlaces(captured: Buffer, start: number): number[] {
  const places: number[] = []
  let encrypted = 0
  for (let at = start; at < captured.length;) {
    const length = captured.readUInt16BE(at + 3)
    if (captured[at] === 23) {
      encrypted += 1
      // The first is Finished; the rest lose the tag and the inner content type.
      if (encrypted > 1) for (let index = 0; index < length - 17; index += 1) places.push(at + 5 + index)
    }
    at += 5 + length
  }
  return places
}

describe('peel, without keys', () => {
  it('reads HTTP on bare TCP', () => {
    const peeled = peel(PLAIN, [])
    expect(paths(peeled)).toEqual(['tcp up', 'tcp down'])
    expect(fieldsOf(layer(peeled, 'tcp'))).toMatchObject({
      'http.uri': '/page?q=word',
      'http.host': 'site.example',
      'http.cookie': 'a=b',
    })
    expect(fieldsOf(layer(peeled, 'tcp', 'down'))).toMatchObject({ 'http.status_code': '200' })
    expect(peeled.failures).toEqual([])
  })

  it('reads a SOCKS handshake and the HTTP inside', () => {
    const streams = inSocks(PLAIN)
    const peeled = peel(streams, [])
    expect(paths(peeled)).toEqual(['tcp up', 'tcp down', 'tcp > socks up', 'tcp > socks down'])
    expect(fieldsOf(layer(peeled, 'tcp'))).toMatchObject({
      'socks.user': 'user',
      'socks.password': 'pass',
      'socks.request.name': 'site.example',
    })
    const inner = layer(peeled, 'tcp > socks')
    expect(Buffer.from(inner.bytes)).toEqual(REQUEST)
    expect(fieldsOf(inner)).toMatchObject({ 'http.uri': '/page?q=word' })
    expectSameBytes(inner, streams.up)
    expectSameBytes(layer(peeled, 'tcp > socks', 'down'), streams.down)
  })

  it('reads a CONNECT with its credentials, and what was tunnelled', () => {
    const streams = inConnect(PLAIN)
    const peeled = peel(streams, [])
    expect(fieldsOf(layer(peeled, 'tcp'))).toMatchObject({
      'connect.host': 'site.example',
      'http.proxy_username': 'user',
      'http.proxy_password': 'pass',
    })
    expectSameBytes(layer(peeled, 'tcp > connect'), streams.up)
  })

  it('reads a refused CONNECT and a refused SOCKS request, with nothing inside', () => {
    const refused = {
      ...inConnect(PLAIN),
      down: Buffer.from('HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n'),
    }
    expect(
      paths(peel({ ...refused, up: refused.up.subarray(0, refused.up.length - REQUEST.length) }, [])),
    ).toEqual(['tcp up', 'tcp down'])
    const down = Buffer.from([5, 2, 1, 0, 5, 2, 0, 1, 0, 0, 0, 0, 0, 0])
    expect(paths(peel({ ...inSocks(PLAIN), down }, []))).toEqual(['tcp up', 'tcp down'])
  })

  it('reads a tunnel without TLS: WebSocket, the mux, and each stream by itself', () => {
    const one = muxStream(1, 'site.example', { request: REQUEST, response: RESPONSE, size: 30 })
    const other = muxStream(3, '127.1.2.3', { request: RESPONSE, response: REQUEST, size: 7 })
    // The streams' frames take turns.
    const turns = <T>(a: T[], b: T[]): T[] =>
      a.flatMap((frame, index) => [frame, ...b.slice(index, index + 1)]).concat(b.slice(a.length))
    const streams = inTunnel({ up: turns(one.up, other.up), down: turns(one.down, other.down) })
    const peeled = peel(streams, [])
    expect(new Set(paths(peeled))).toEqual(
      new Set(
        ['tcp', 'tcp > mux', 'tcp > mux stream 1', 'tcp > mux stream 3'].flatMap((path) => [
          `${path} up`,
          `${path} down`,
        ]),
      ),
    )
    expect(Buffer.from(layer(peeled, 'tcp > mux stream 1').bytes)).toEqual(REQUEST)
    expect(Buffer.from(layer(peeled, 'tcp > mux stream 3', 'down').bytes)).toEqual(REQUEST)
    // Down is not masked: the bytes themselves. Up is: the place is where the masked byte stands.
    expectSameBytes(layer(peeled, 'tcp > mux stream 1', 'down'), streams.down)
    const up = layer(peeled, 'tcp > mux stream 1')
    const unmasked = [...up.bytes].map((byte, at) => byte ^ (streams.up[up.place(at, 1)?.offset ?? -1] ?? 0))
    expect(new Set(unmasked.slice(0, 30)).size).toBeLessThanOrEqual(4)
  })

  it('names the addresses of OPEN and OPENED, each at its own bytes', () => {
    const named = muxStream(1, 'site.example', { request: REQUEST, response: RESPONSE, size: 500 })
    const numbered = muxStream(3, '127.1.2.3', { request: REQUEST, response: RESPONSE, size: 500 })
    const peeled = peel(inTunnel({ up: [...named.up, ...numbered.up], down: named.down }), [])
    const up = layer(peeled, 'tcp > mux')
    const read = up.fields.map(({ name, value, offset, length }) => [
      name,
      value,
      Buffer.from(up.bytes.subarray(offset, offset + length)),
    ])
    expect(read).toEqual([
      ['mux.open.host', 'site.example', Buffer.from('site.example')],
      ['mux.open.host', '127.1.2.3', Buffer.from([127, 1, 2, 3])],
    ])
    const down = layer(peeled, 'tcp > mux', 'down')
    const [opened] = down.fields
    expect(opened).toMatchObject({ name: 'mux.opened.host', value: '127.0.0.9', length: 4 })
    expect([...down.bytes.subarray(opened?.offset, (opened?.offset ?? 0) + 4)]).toEqual([127, 0, 0, 9])
  })

  it('gives an empty capture no layers', () => {
    expect(peel({ up: Buffer.alloc(0), down: Buffer.alloc(0) }, [])).toMatchObject({
      layers: [],
      failures: [],
    })
  })

  it('ends where layers are nested without end', () => {
    let streams = PLAIN
    for (let depth = 0; depth < 40; depth += 1) streams = inSocks(streams)
    expect(peel(streams, []).layers.length).toBeLessThan(40)
  })
})

describe('peel, with TLS', () => {
  let identity: Credentials
  let site: Recording
  let tunnel: Recording
  const mux = muxStream(1, 'site.example', { request: REQUEST, response: RESPONSE, size: 40 })
  const session = inTunnel(mux)

  beforeAll(async () => {
    identity = await makeCredentials('site.example')
    site = await recordConnection(identity, { request: REQUEST, response: RESPONSE })
    // The smallest records that OpenSSL takes: heads and mux frames are split over them.
    const maxFragmentBytes = 512
    const long = inTunnel(
      muxStream(1, 'site.example', {
        request: Buffer.concat([REQUEST, Buffer.alloc(3000, 'up')]),
        response: RESPONSE,
        size: 900,
      }),
    )
    tunnel = await recordConnection(identity, { request: long.up, response: session.down, maxFragmentBytes })
  })

  it('without its keys shows the ClientHello and nothing inside', () => {
    const peeled = peel(streamsOf(site), [])
    expect(paths(peeled)).toEqual(['tcp up', 'tcp down'])
    expect(fieldsOf(layer(peeled, 'tcp'))).toMatchObject({ 'ssl.server_name': 'site.example' })
    expect(peel(streamsOf(site), [tunnel.keylog])).toMatchObject({ failures: [] })
  })

  it('with its keys inside CONNECT shows the request and the handshake messages', () => {
    const streams = inConnect(streamsOf(site))
    const peeled = peel(streams, ['', site.keylog])
    expect(peeled.failures).toEqual([])
    expect(new Set(paths(peeled).map((path) => path.replace(/ (up|down)$/, '')))).toEqual(
      new Set(['tcp', 'tcp > connect', 'tcp > connect > tls handshake', 'tcp > connect > tls']),
    )
    expect(Buffer.from(layer(peeled, 'tcp > connect > tls').bytes)).toEqual(REQUEST)
    expect(Buffer.from(layer(peeled, 'tcp > connect > tls', 'down').bytes)).toEqual(RESPONSE)
    const certificate = layer(peeled, 'tcp > connect > tls handshake', 'down')
    expect(Buffer.from(certificate.bytes).includes(identity.der)).toBe(true)
    expect(certificate.place(0, 1)).toBeUndefined()
  })

  it('leads decrypted bytes back to their ciphertext behind the CONNECT', () => {
    const streams = inConnect(streamsOf(site))
    const { place } = layer(peel(streams, [site.keylog]), 'tcp > connect > tls')
    const expected = ciphertextPlaces(streams.up, streams.up.length - site.clientBytes.length)
    expect(expected).toHaveLength(REQUEST.length + ALERT_BYTES)
    expect([...REQUEST].map((_, at) => place(at, 1)?.offset)).toEqual(expected.slice(0, REQUEST.length))
  })

  it('reads WebSocket and mux frames that are split over TLS records, and leads each byte back', () => {
    const peeled = peel(streamsOf(tunnel), [tunnel.keylog])
    expect(peeled.failures).toEqual([])
    const stream = layer(peeled, 'tcp > tls > mux stream 1')
    expect(Buffer.from(stream.bytes).subarray(0, REQUEST.length)).toEqual(REQUEST)
    expect(stream.bytes).toHaveLength(REQUEST.length + 3000)
    expect(fieldsOf(layer(peeled, 'tcp > tls'))).toMatchObject({ 'http.uri': '/tunnel' })

    // Where each byte of the stream has to be: the TLS plaintext's places, behind the upgrade, OPEN, and each frame's headers.
    const places = ciphertextPlaces(tunnel.clientBytes, 0)
    const open = 6 + (5 + 1 + 2 + 'site.example'.length + 2)
    let at = UPGRADE_HEAD.length + open
    for (let from = 0; from < stream.bytes.length; from += 900) {
      const bytes = Math.min(900, stream.bytes.length - from)
      // WebSocket header with a two-byte length where it is needed, mask, mux header.
      at += (bytes + 5 < 126 ? 2 : 4) + 4 + 5
      for (let index = 0; index < bytes; index += 1) {
        expect(stream.place(from + index, 1)).toEqual({ offset: places[at + index], length: 1 })
      }
      at += bytes
    }
    // A range over records takes what stands between them with it.
    const whole = stream.place(0, 900)
    expect(whole?.length).toBeGreaterThan(900)
    expect(whole?.offset).toBe(stream.place(0, 1)?.offset)
    expect(stream.place(stream.bytes.length, 1)).toBeUndefined()
  })

  it('peels TLS inside the tunnel inside TLS, with the keys of both and not with one', async () => {
    const inner = muxStream(1, 'site.example', {
      request: site.clientBytes,
      response: site.serverBytes,
      size: 600,
    })
    const { up, down } = inTunnel(inner)
    const outer = await recordConnection(identity, { request: up, response: down })
    const both = peel(streamsOf(outer), [outer.keylog, site.keylog])
    const path = 'tcp > tls > mux stream 1 > tls'
    expect(Buffer.from(layer(both, path).bytes)).toEqual(REQUEST)
    expect(layer(both, path).place(0, 1)?.length).toBe(1)
    expect(paths(peel(streamsOf(outer), [outer.keylog])).filter((one) => one.startsWith(path))).toEqual([])
    expect(paths(peel(streamsOf(outer), [site.keylog]))).toEqual(['tcp up', 'tcp down'])
  })

  it('says where keys were at hand that do not fit: a key log with another secret is a failure, not a silence', () => {
    const wrong = site.keylog.replace(/[0-9a-f]{8}$/gm, '00000000')
    const peeled = peel(streamsOf(site), [wrong])
    expect(peeled.failures).toEqual([expect.stringMatching(/^tcp: /)])
    expect(paths(peeled)).toEqual(['tcp up', 'tcp down'])
  })
})
