// The SOCKS handshake and the header of its datagrams. Promises: how the bytes are divided changes nothing, what was
// not read is given back as it came, and a failure is one event with a reply of a known length.
import { isDeepStrictEqual } from 'node:util'
import type { ErrorCode } from '../../../src/errors.ts'
import { SocksHandshake, type SocksEvent } from '../../../src/protocol/socks/handshake.ts'
import { decodeUdpMessage, encodeUdpHeader } from '../../../src/protocol/socks/udp.ts'
import { Draw } from '../draw.ts'
import { mixed } from '../mutate.ts'
import { attempt, chunksOf, expectCode, promise, type Target } from '../target.ts'

const NAME_CHARACTERS = 'abcdefghijklmnopqrstuvwxyz0123456789-.'
const MAX_UNREAD_BYTES = 16 * 1024
const REPLY_LENGTHS = new Set([0, 2, 8, 10])
const HANDSHAKE_CODES: readonly ErrorCode[] = [
  'address-type-unsupported',
  'auth-failed',
  'auth-required',
  'bad-request',
  'command-unsupported',
]

/** Bits of the first byte of an input: how the server is set up and answers. */
const PASSWORD = 1
const WRONG = 2
const LATE = 4

/** First two bytes: flags, and the seed of the division into chunks; then what the client sends. */
export const socksHandshake: Target = {
  name: 'socks-handshake',
  generate(draw) {
    const flags = draw.chance(85) ? draw.below(2) : draw.below(8)
    const client = mixed(draw, (own) => handshake(own, (flags & PASSWORD) !== 0))
    const tail = draw.chance(1) ? Buffer.alloc(15_000 + draw.below(6_000), 0x61) : draw.bytes(draw.below(8))
    return Buffer.concat([Buffer.from([flags, draw.byte()]), client, tail])
  },
  check(input) {
    const [flags = 0, division = 0] = input
    const client = input.subarray(2)
    const divided = play(chunksOf(client, Draw.seeded(division)), flags)
    // More than that in one piece is refused even where the handshake could have gone on before it.
    if (client.length > MAX_UNREAD_BYTES) return divided.last
    const whole = play([client], flags)
    promise(isDeepStrictEqual(whole.seen, divided.seen), 'another division into chunks gives other events')
    promise(whole.rest.equals(divided.rest), 'another division into chunks gives other early data')
    promise(
      whole.rest.equals(client.subarray(client.length - whole.rest.length)),
      'early data is not what was sent',
    )
    return whole.last
  },
  deep: { words: ['request'], share: 0.2 },
}

interface Played {
  readonly seen: readonly unknown[]
  readonly rest: Buffer
  readonly last: string
}

function play(chunks: readonly Uint8Array[], flags: number): Played {
  const server = new SocksHandshake({ auth: (flags & PASSWORD) === 0 ? 'none' : 'password' })
  const seen: unknown[] = []
  const rests: Uint8Array[] = []
  let last = 'nothing'
  let unanswered = false
  const listen = (): void => {
    for (let event = server.next(); event !== undefined; event = server.next()) {
      promise(last !== 'fail' && last !== 'request', `there is an event after ${last}`)
      last = event.type
      seen.push(event.type === 'fail' ? summary(event) : event)
      if (event.type === 'request') checkRequest(event)
      if (event.type !== 'authenticate') continue
      if ((flags & LATE) === 0) server.authenticated((flags & WRONG) === 0)
      else unanswered = true
    }
    rests.push(server.rest())
  }
  for (const chunk of chunks) {
    server.push(chunk)
    listen()
  }
  if (unanswered) {
    server.authenticated((flags & WRONG) === 0)
    listen()
  }
  return { seen, rest: Buffer.concat(rests), last }
}

function summary({ error, bytes }: Extract<SocksEvent, { type: 'fail' }>): unknown {
  promise(REPLY_LENGTHS.has(bytes.length), `the last reply has ${bytes.length} bytes`)
  return [expectCode(error, HANDSHAKE_CODES), bytes]
}

function checkRequest({ destination, command }: Extract<SocksEvent, { type: 'request' }>): void {
  const { host, port } = destination
  promise(host.length > 0 && host.length <= 255 && /^[\x21-\x7e]+$/.test(host), 'the host is no host')
  promise(port >= (command === 'connect' ? 1 : 0) && port <= 65_535, 'the port is no port')
}

function handshake(draw: Draw, hasPassword: boolean): Buffer {
  const port = draw.bytes(2)
  const name = draw.text(NAME_CHARACTERS, 1, draw.chance(5) ? 255 : 20)
  const command = draw.chance(90) ? 1 : draw.below(5)
  if (!hasPassword && draw.chance(40)) {
    const named = draw.chance(50)
    const address = named ? Buffer.from([0, 0, 0, 1 + draw.below(255)]) : draw.bytes(4)
    const fields = `${draw.text(NAME_CHARACTERS, 0, 8)}\0${named ? `${name}\0` : ''}`
    return Buffer.concat([Buffer.from([4, command]), port, address, Buffer.from(fields)])
  }
  const greeting = hasPassword ? Buffer.from([5, 2, 0, 2]) : Buffer.from([5, 1, 0])
  const credentials = hasPassword
    ? Buffer.concat([Buffer.from([1]), counted(draw.text(NAME_CHARACTERS, 0, 12)), counted('påss')])
    : Buffer.alloc(0)
  return Buffer.concat([greeting, credentials, Buffer.from([5, command, 0]), address5(draw, name), port])
}

function address5(draw: Draw, name: string): Buffer {
  const type = draw.pick([1, 3, 4])
  const body = type === 3 ? counted(name) : draw.bytes(type === 1 ? 4 : 16)
  return Buffer.concat([Buffer.from([type]), body])
}

function counted(text: string): Buffer {
  const bytes = Buffer.from(text)
  return Buffer.concat([Buffer.from([bytes.length]), bytes])
}

export const socksUdp: Target = {
  name: 'socks-udp',
  generate: (draw) =>
    mixed(draw, (own) => {
      const header = [0, 0, own.chance(90) ? 0 : own.byte()]
      const address = address5(own, own.text(NAME_CHARACTERS, 1, 30))
      return Buffer.concat([Buffer.from(header), address, own.bytes(2), own.bytes(own.below(40))])
    }),
  check(input) {
    const { value } = attempt(['bad-request', 'address-type-unsupported'], () => decodeUdpMessage(input)) as {
      value?: ReturnType<typeof decodeUdpMessage>
    }
    if (value === undefined) return 'refused'
    const { destination, payload } = value
    const { host, port } = destination
    promise(port >= 1 && port <= 65_535, 'the port is no port')
    promise(
      Buffer.from(payload).equals(input.subarray(input.length - payload.length)),
      'the payload is another',
    )
    if (input[3] === 3) {
      promise(
        host === Buffer.from(input.subarray(5, 5 + input[4]!)).toString('latin1'),
        'the name is another',
      )
      return 'name'
    }
    const header = Buffer.from(encodeUdpHeader({ address: host, port })).subarray(3)
    // A mapped address goes back as the IPv4 address that it is.
    const own = input.subarray(3, input.length - payload.length)
    promise(header.equals(own) || header.equals(unmapped(own)), 'the address does not go back to its bytes')
    return 'address'
  },
  deep: { words: ['name', 'address'], share: 0.3 },
}

function unmapped(address: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([1]), address.subarray(13)])
}
