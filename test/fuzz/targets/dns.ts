// DNS messages from anybody. Promises: `bad-request` at the worst, every field lies in the message, all names together
// stay within what the dissector allows, and a name that is read is a name: at most 255 octets, no label over 63.
import { dissectDns } from '../../../src/lab/dissect/dns.ts'
import * as build from '../../lab/dissect/dns-builder.ts'
import type { Draw } from '../draw.ts'
import { mixed } from '../mutate.ts'
import { attempt, promise, type Target } from '../target.ts'

const HEADER_BYTES = 12
/** 64 KiB of octets, each at most four characters, and twice: as the field and as the record. */
const MAX_NAME_CHARS = 8 * 64 * 1024
const LABELS = /(?<!\\)(?:\\\\)*\./

export const dnsMessage: Target = {
  name: 'dissect-dns',
  generate: (draw) => mixed(draw, wellFormed),
  check(input) {
    const outcome = attempt(['bad-request'], () => dissectDns(input))
    if (outcome.code !== undefined) return 'refused'
    const { fields, questions, records, end } = outcome.value
    promise(end >= HEADER_BYTES && end <= input.length, 'it ends outside the message')
    let chars = 0
    for (const { offset, length, value } of fields) {
      promise(offset >= 0 && length >= 0 && offset + length <= end, 'a field lies outside the message')
      chars += value.length
    }
    promise(chars <= MAX_NAME_CHARS + 4 * input.length, 'the fields are much longer than the message')
    for (const { name } of [...questions, ...records]) {
      const labels = name === '.' ? [] : name.split(LABELS)
      const octets = labels.map((label) => label.replaceAll(/\\(?:\d{3}|.)/gs, 'x').length)
      promise(octets.reduce((sum, length) => sum + 1 + length, 1) <= 255, 'a name is too long')
    }
    return records.length > 0 ? 'records' : questions.length > 0 ? 'question' : 'empty'
  },
  deep: { words: ['records', 'question'], share: 0.3 },
}

function wellFormed(draw: Draw): Buffer {
  const first = Array.from({ length: 1 + draw.below(3) }, () => draw.text('abc.\\', 1, 9)).join('.')
  const owner = (): Buffer =>
    draw.chance(50) ? build.pointer(HEADER_BYTES) : build.labelsThen(draw.text('xyz', 1, 5), HEADER_BYTES)
  const data = (): readonly [type: number, data: Uint8Array] =>
    draw.pick([
      [1, draw.bytes(4)],
      [28, draw.bytes(16)],
      [5, owner()],
      [16, Buffer.from(`\u0003${draw.text('ab', 3, 3)}`)],
      [draw.below(300), draw.bytes(draw.below(9))],
    ])
  const records = (): Buffer[] =>
    Array.from({ length: draw.below(3) }, () => build.record(owner(), ...data()))
  return build.message({
    flags: draw.pick([0x0100, 0x8180, 0x8183]),
    questions: [build.question(build.name(first.replaceAll(/\.+/g, '.').replaceAll(/^\.|\.$/g, '')))],
    answers: records(),
    authority: records(),
    additional: draw.chance(50) ? [build.opt([8, Buffer.from([0, 1, 24, 0, ...draw.bytes(3)])])] : [],
  })
}
