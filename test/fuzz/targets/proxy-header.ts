// The header of a balancer. Promises: the beginning of a header is never refused, what follows it changes nothing, more
// than the longest header is never asked for, and the source is an address.
import net from 'node:net'
import { decodeProxyHeader, MAX_HEADER_BYTES } from '../../../src/protocol/proxy-header.ts'
import { Draw } from '../draw.ts'
import { mixed } from '../mutate.ts'
import { attempt, promise, type Target } from '../target.ts'

const SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex')

export const proxyHeader: Target = {
  name: 'proxy-header',
  generate: (draw) => mixed(draw, (own) => (own.chance(50) ? text(own) : binary(own))),
  check(input) {
    const read = (bytes: Uint8Array) => attempt(['proxy-header-invalid'], () => decodeProxyHeader(bytes))
    const outcome = read(input)
    const draw = Draw.seeded(input.length * 31 + (input.at(-1) ?? 0))
    if (outcome.code !== undefined) return 'refused'
    const header = outcome.value
    const own = header === undefined ? input : input.subarray(0, header.length)
    for (let left = 4; left > 0; left -= 1) {
      const beginning = read(own.subarray(0, draw.below(Math.max(1, own.length))))
      promise(
        beginning.code === undefined && beginning.value === undefined,
        'the beginning of a header is refused',
      )
    }
    if (header === undefined) {
      promise(input.length < MAX_HEADER_BYTES, 'more is asked for than a header can have')
      return 'more'
    }
    promise(header.length <= Math.min(input.length, MAX_HEADER_BYTES), 'the header is longer than what came')
    const alone = read(own)
    promise(
      alone.code === undefined && alone.value?.length === header.length,
      'what follows changes the header',
    )
    if (header.source === undefined) return 'nobody'
    promise(net.isIP(header.source.address) !== 0, 'the source is no address')
    promise(header.source.port >= 0 && header.source.port <= 65_535, 'the port is no port')
    return 'source'
  },
  deep: { words: ['source', 'nobody'], share: 0.2 },
}

function text(draw: Draw): Buffer {
  if (draw.chance(10)) return Buffer.from(`PROXY UNKNOWN${draw.pick(['', ' ', ' a b c'])}\r\n`)
  const six = draw.chance(50)
  const address = (): string =>
    six ? draw.pick(['::1', '2001:db8::7', '::ffff:192.0.2.1']) : [...draw.bytes(4)].join('.')
  const line = `PROXY TCP${six ? 6 : 4} ${address()} ${address()} ${draw.below(70_000)} ${draw.below(65_536)}\r\n`
  return Buffer.concat([Buffer.from(line), draw.bytes(draw.below(8))])
}

function binary(draw: Draw): Buffer {
  const family = draw.pick([0x00, 0x11, 0x12, 0x21, 0x22, 0x31, 0x32])
  const needed = [0, 12, 36, 216][family >> 4] ?? 0
  const extra = draw.chance(3) ? draw.below(5_000) : draw.below(12)
  const head = Buffer.from([0x20 | draw.below(2), family, (needed + extra) >> 8, (needed + extra) & 0xff])
  return Buffer.concat([SIGNATURE, head, draw.bytes(needed), Buffer.alloc(extra), draw.bytes(draw.below(8))])
}
