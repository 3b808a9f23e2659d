// The handshake as a playbook: client bytes in, server events out, for every vector and in every division of
// the bytes.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { GatewayError } from '../../../src/errors.ts'
import { type SocksEvent, SocksHandshake } from '../../../src/protocol/socks/handshake.ts'
import { type HandshakeVector, VECTORS } from './vectors.ts'

const bytesOf = (hex: string) => Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'))
const hexOf = (bytes: Uint8Array) =>
  Buffer.from(bytes)
    .toString('hex')
    .replaceAll(/(..)(?=.)/g, '$1 ')

function lineOf(event: SocksEvent): string {
  switch (event.type) {
    case 'reply':
      return `reply ${hexOf(event.bytes)}`
    case 'authenticate':
      return `authenticate ${event.user} ${event.password}`
    case 'fail':
      return `fail ${event.error.code} ${hexOf(event.bytes)}`.trimEnd()
    case 'request': {
      const { version, form, command, destination, userId } = event
      return ['request', version, form, command, destination.host, destination.port, userId ?? '']
        .join(' ')
        .trimEnd()
    }
  }
}

/** Takes all events, answering `authenticate` on the spot. */
function drain(handshake: SocksHandshake, accepts = true): string[] {
  const lines: string[] = []
  for (let event = handshake.next(); event !== undefined; event = handshake.next()) {
    lines.push(lineOf(event))
    if (event.type === 'authenticate') handshake.authenticated(accepts)
  }
  return lines
}

function play(vector: HandshakeVector, chunks: readonly Uint8Array[]): { lines: string[]; rest: string } {
  const handshake = new SocksHandshake({ auth: vector.auth })
  const lines = chunks.flatMap((chunk) => {
    handshake.push(chunk)
    return drain(handshake, vector.accepts)
  })
  return { lines, rest: hexOf(handshake.rest()) }
}

const split = (bytes: Uint8Array, length: number) =>
  Array.from({ length: Math.ceil(bytes.length / length) }, (_, index) =>
    bytes.slice(index * length, (index + 1) * length),
  )

describe.each(VECTORS)('$name', (vector) => {
  const all = bytesOf(vector.client.join(''))
  const succeeds = vector.server.at(-1)?.startsWith('request') === true

  it('message by message', () => {
    expect(play(vector, vector.client.map(bytesOf))).toEqual({ lines: vector.server, rest: '' })
  })

  it('whole', () => {
    expect(play(vector, [all])).toEqual({ lines: vector.server, rest: '' })
  })

  it('byte by byte, with nothing said before its time', () => {
    expect(play(vector, split(all, 1))).toEqual({ lines: vector.server, rest: '' })
    const { lines } = play(vector, split(all.slice(0, -1), 1))
    expect(lines).toEqual(vector.server.slice(0, lines.length))
    expect(lines.length).toBeLessThan(vector.server.length)
  })

  it('with trailing bytes', () => {
    const trailing = bytesOf('16 03 01 00 ff 05')
    const { lines, rest } = play(vector, [Uint8Array.of(...all, ...trailing)])
    expect(lines).toEqual(vector.server)
    expect(rest).toBe(succeeds ? hexOf(trailing) : '')
  })
})

describe('SocksHandshake', () => {
  it('gives each byte of early data once', () => {
    const handshake = new SocksHandshake({ auth: 'none' })
    handshake.push(bytesOf('04 01 00 50 01 02 03 04 00 aa bb'))
    expect(hexOf(handshake.rest())).toBe('aa bb')
    expect(hexOf(handshake.rest())).toBe('')
    handshake.push(bytesOf('cc'))
    handshake.push(bytesOf('dd'))
    expect(hexOf(handshake.rest())).toBe('cc dd')
    expect(drain(handshake)).toEqual(['request 4 socks4 connect 1.2.3.4 80'])
  })

  it('gives no early data before the request', () => {
    const handshake = new SocksHandshake({ auth: 'none' })
    handshake.push(bytesOf('05 01 00 05 01'))
    expect(handshake.rest()).toHaveLength(0)
    handshake.push(bytesOf('00 01 01 02 03 04 00 50'))
    expect(drain(handshake)).toEqual(['reply 05 00', 'request 5 socks5 connect 1.2.3.4 80'])
  })

  it('does not hold on to a chunk that its owner uses again', () => {
    const handshake = new SocksHandshake({ auth: 'none' })
    const chunk = bytesOf('05 01 00 05 01 00 01 01')
    handshake.push(chunk)
    chunk.fill(0)
    handshake.push(bytesOf('02 03 04 00 50'))
    expect(drain(handshake).at(-1)).toBe('request 5 socks5 connect 1.2.3.4 80')
  })

  it('takes early data of any size with the request', () => {
    const handshake = new SocksHandshake({ auth: 'none' })
    handshake.push(
      Uint8Array.of(...bytesOf('05 01 00 05 01 00 01 01 02 03 04 00 50'), ...new Uint8Array(60_000)),
    )
    expect(drain(handshake).at(-1)).toBe('request 5 socks5 connect 1.2.3.4 80')
    expect(handshake.rest()).toHaveLength(60_000)
  })

  const waiting = '05 01 02 01 01 75 01 70'

  it('holds what comes while the password is checked, up to 16 KiB', () => {
    const handshake = new SocksHandshake({ auth: 'password' })
    handshake.push(bytesOf(waiting))
    handshake.push(
      Uint8Array.of(...bytesOf('05 01 00 01 01 02 03 04 00 50'), ...new Uint8Array(16 * 1024 - 10)),
    )
    expect(drain(handshake).at(-1)).toBe('request 5 socks5 connect 1.2.3.4 80')
    expect(handshake.rest()).toHaveLength(16 * 1024 - 10)
  })

  it('fails past 16 KiB, whatever the verdict then is', () => {
    const handshake = new SocksHandshake({ auth: 'password' })
    handshake.push(bytesOf(waiting))
    handshake.push(new Uint8Array(16 * 1024 + 1))
    expect(handshake.next()?.type).toBe('reply')
    expect(handshake.next()?.type).toBe('authenticate')
    handshake.authenticated(true)
    expect(drain(handshake)).toEqual(['fail bad-request'])
    expect(handshake.rest()).toHaveLength(0)
  })

  it('does nothing more after a failure', () => {
    const handshake = new SocksHandshake({ auth: 'none' })
    handshake.push(bytesOf('06'))
    handshake.push(bytesOf('04 01 00 50 01 02 03 04 00 aa'))
    expect(drain(handshake)).toEqual(['fail bad-request'])
    expect(handshake.rest()).toHaveLength(0)
  })

  it('refuses a verdict that nobody asked for', () => {
    const open = new SocksHandshake({ auth: 'none' })
    expect(() => open.authenticated(true)).toThrow(expect.objectContaining({ code: 'internal-error' }))
  })

  it('blames the client, and keeps its bytes out of the error', () => {
    const handshake = new SocksHandshake({ auth: 'none' })
    handshake.push(bytesOf('05 01 00 05 01 00 03 06 73 65 63 72 65 ff 00 50'))
    handshake.next()
    const event = handshake.next()
    expect(event).toMatchObject({ type: 'fail', error: { side: 'client' } })
    expect(event?.type === 'fail' ? event.error.message : '').not.toContain('secre')
  })

  it('answers garbage with events alone, the same in any division, at most one of them final', () => {
    const prefix = fc.constantFrom(
      '',
      '05',
      '04',
      '05 01 00',
      '05 01 02',
      waiting,
      '05 01 00 05 01 00 03',
      '04 01 00 50 00 00 00 01',
    )
    const auth = fc.constantFrom<'none' | 'password'>('none', 'password')
    fc.assert(
      fc.property(
        auth,
        prefix,
        fc.uint8Array({ maxLength: 700 }),
        fc.integer({ min: 1, max: 40 }),
        (...input) => {
          const [kind, start, garbage, length] = input
          const bytes = Uint8Array.of(...bytesOf(start), ...garbage)
          const vector = { name: '', auth: kind, client: [], server: [] }
          const whole = play(vector, [bytes])
          expect(play(vector, split(bytes, length))).toEqual(whole)
          const finals = whole.lines.filter((line) => /^(?:fail|request) /.test(line))
          expect(finals).toEqual(whole.lines.slice(whole.lines.length - finals.length))
          expect(finals.length).toBeLessThanOrEqual(1)
        },
      ),
      { numRuns: 400 },
    )
  })

  it('fails with a GatewayError of the protocol, and nothing else', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 2, maxLength: 80 }), (garbage) => {
        const handshake = new SocksHandshake({ auth: 'none' })
        handshake.push(Uint8Array.of(...bytesOf('05 01 00 05'), ...garbage))
        for (let event = handshake.next(); event !== undefined; event = handshake.next()) {
          if (event.type !== 'fail') continue
          expect(event.error).toBeInstanceOf(GatewayError)
          expect(['bad-request', 'command-unsupported', 'address-type-unsupported']).toContain(
            event.error.code,
          )
        }
      }),
    )
  })

  it('reads back any request that a client can write', () => {
    const name = fc.stringMatching(/^[a-z0-9.-]{1,255}$/)
    const userId = fc.stringMatching(/^[a-z]{0,255}$/)
    const port = fc.integer({ min: 1, max: 65_535 })
    const ascii = (text: string) => [...Buffer.from(text, 'latin1')]
    fc.assert(
      fc.property(name, userId, port, fc.uint8Array({ maxLength: 20 }), (host, user, number, early) => {
        const wirePort = [number >> 8, number & 255]
        const five = [5, 1, 0, 5, 1, 0, 3, host.length, ...ascii(host), ...wirePort]
        const four = [4, 1, ...wirePort, 0, 0, 0, 9, ...ascii(user), 0, ...ascii(host), 0]
        for (const [wire, form] of [
          [five, 'socks5'],
          [four, 'socks4a'],
        ] as const) {
          const handshake = new SocksHandshake({ auth: 'none' })
          handshake.push(Uint8Array.of(...wire, ...early))
          if (form === 'socks5') handshake.next()
          const claim = form === 'socks4a' && user !== '' ? { userId: user } : {}
          const destination = { host, port: number }
          const version = form === 'socks5' ? 5 : 4
          expect(handshake.next()).toEqual({
            type: 'request',
            version,
            form,
            command: 'connect',
            destination,
            ...claim,
          })
          expect(handshake.rest()).toEqual(early)
        }
      }),
    )
  })
})
