// Frames of the tunnel and the addresses in them. Promises: what is read goes back to the same bytes, a view is never
// longer than what came, and every frame that can be said can be read.
import { isDeepStrictEqual } from 'node:util'
import type { ErrorCode } from '../../../src/errors.ts'
import { decodeAddress, encodeAddress } from '../../../src/protocol/mux/address.ts'
import { decodeDatagram, encodeDatagram } from '../../../src/protocol/mux/datagram.ts'
import { decodeFrame, encodeFrame, MAX_FRAME_BYTES, type Frame } from '../../../src/protocol/mux/frame.ts'
import { Draw } from '../draw.ts'
import { mixed } from '../mutate.ts'
import { attempt, promise, type Target } from '../target.ts'

const FRAME_CODES: readonly ErrorCode[] = [
  'address-type-unsupported',
  'frame-malformed',
  'frame-too-large',
  'frame-unknown',
]
const HOST_CHARACTERS = 'abcdefghijklmnopqrstuvwxyz0123456789-._%:[]~!'
const REFERENCE_CHARACTERS = '0123456789abcdefghijklmnopqrstuvwxyz-'
const NAME = 3
const FRAME_TYPES = ['open', 'opened', 'refused', 'data', 'credit', 'fin', 'reset', 'goaway'] as const

export const muxAddress: Target = {
  name: 'mux-address',
  generate: (draw) => mixed(draw, (own) => Buffer.from(encodeAddress(host(own), own.below(65_536)))),
  check(input) {
    const outcome = attempt(['frame-malformed', 'address-type-unsupported'], () => decodeAddress(input))
    if (outcome.code !== undefined) return 'refused'
    const { host: read, port } = outcome.value
    const again = encodeAddress(read, port)
    if (input[0] !== NAME) {
      promise(Buffer.from(again).equals(input), 'an address does not go back to its bytes')
      return 'address'
    }
    // A name that is an address in text goes on as that address.
    promise(again[0] !== NAME || Buffer.from(again).equals(input), 'a name does not go back to its bytes')
    return 'name'
  },
  deep: { words: ['address', 'name'], share: 0.3 },
}

export const muxDatagram: Target = {
  name: 'mux-datagram',
  generate: (draw) =>
    mixed(draw, (own) =>
      Buffer.from(encodeDatagram({ host: host(own), port: own.below(65_536) }, own.bytes(own.below(40)))),
    ),
  check(input) {
    const outcome = attempt(['frame-malformed', 'address-type-unsupported'], () => decodeDatagram(input))
    if (outcome.code !== undefined) return 'refused'
    const { peer, payload } = outcome.value
    promise(payload.length < input.length, 'the payload is longer than what came')
    promise(
      Buffer.from(payload).equals(input.subarray(input.length - payload.length)),
      'the payload is another',
    )
    const again = decodeDatagram(encodeDatagram(peer, payload))
    promise(isDeepStrictEqual(again.peer, decodeAddress(encodeAddress(peer.host, peer.port))), 'another peer')
    promise(Buffer.from(again.payload).equals(payload), 'the payload comes back as another')
    return input[0] === NAME ? 'name' : 'address'
  },
  deep: { words: ['address', 'name'], share: 0.3 },
}

export const muxFrame: Target = {
  name: 'mux-frame',
  generate(draw) {
    if (draw.below(2_000) === 0)
      return Buffer.alloc(MAX_FRAME_BYTES - 1 + draw.below(3), draw.pick([4, 1, 3]))
    return mixed(draw, (own) => encodeFrame(frame(own)))
  },
  check(input) {
    const outcome = attempt(FRAME_CODES, () => decodeFrame(input))
    if (outcome.code !== undefined) return 'no frame'
    const read = outcome.value
    const again = encodeFrame(read)
    if (!again.equals(input)) {
      promise(read.type === 'open' || read.type === 'opened', 'a frame does not go back to its bytes')
      promise(input.includes(NAME), 'an address does not go back to its bytes')
      promise(again.length <= input.length + 16, 'a frame grows on its way back')
    }
    return read.type
  },
  deep: { words: FRAME_TYPES, share: 0.3 },
}

/** Its input stands for numbers from which a frame is made, so every input is a frame that must come back. */
export const muxFrameValid: Target = {
  name: 'mux-frame-valid',
  generate: (draw) => draw.bytes(12 + draw.below(40)),
  check(input) {
    const said = frame(Draw.from(input))
    const read = decodeFrame(encodeFrame(said))
    if (said.type === 'data' && read.type === 'data') {
      promise(
        Buffer.from(said.payload).equals(read.payload) && said.stream === read.stream,
        'DATA comes back as other',
      )
    } else promise(isDeepStrictEqual(read, said), `${said.type} comes back as ${JSON.stringify(read)}`)
    return said.type
  },
  deep: { words: FRAME_TYPES, share: 1 },
}

/** A frame that has one spelling only: addresses as they are written back. */
export function frame(draw: Draw, stream: number = draw.below(0x7fffffff)): Frame {
  const error = draw.below(65_536)
  switch (draw.below(8)) {
    case 0:
      return {
        type: 'open',
        stream,
        kind: draw.pick(['tcp', 'udp'] as const),
        destination: { host: host(draw), port: draw.below(65_536) },
      }
    case 1:
      return { type: 'opened', stream, bound: { address: address(draw), port: draw.below(65_536) } }
    case 2:
      return { type: 'refused', stream, error, reference: draw.text(REFERENCE_CHARACTERS, 0, 32) }
    case 3:
      return { type: 'data', stream, payload: draw.bytes(1 + draw.below(40)) }
    case 4:
      return { type: 'credit', stream, offset: draw.below(0x10000) * 0x8000_0000 + draw.below(0x10000) }
    case 5:
      return { type: 'fin', stream }
    case 6:
      return { type: 'reset', stream, error }
    default:
      return { type: 'goaway', stream, error }
  }
}

function host(draw: Draw): string {
  if (draw.chance(40)) return address(draw)
  const length = draw.chance(5) ? 255 : 1 + draw.below(20)
  // A letter first and none that makes an IPv6 address of it.
  return `x${draw.text(HOST_CHARACTERS, length - 1, length - 1)}`
}

function address(draw: Draw): string {
  if (draw.chance(50)) return [...draw.bytes(4)].join('.')
  return draw.pick(['::1', '::', '2001:db8::7', 'fe80::1:2', '1:2:3:4:5:6:7:8', '2001:db8:0:1:0:1:0:1'])
}
