// A DNS server on loopback (UDP) whose answers a test decides, question by question. Rule: it keeps every question, so
// that a test can say what was asked and how often; whatever it holds back it gives when the test says so.
import dgram from 'node:dgram'
import net from 'node:net'

export interface DnsQuestionAsked {
  readonly name: string
  readonly type: 'A' | 'AAAA'
  /** Address that the question came from. */
  readonly from: string
}

/** `silent`: no answer at all. Without addresses and rcode: the name exists, this type does not. */
export interface DnsReply {
  readonly addresses?: readonly string[]
  readonly ttlSeconds?: number
  /** Names on the way to the addresses. */
  readonly cname?: string
  readonly rcode?: 'SERVFAIL' | 'NXDOMAIN' | 'REFUSED'
  readonly silent?: boolean
  /** Answers when this resolves. */
  readonly after?: Promise<void>
}

export interface DnsServer extends AsyncDisposable {
  /** For `dns.servers`. */
  readonly address: string
  readonly asked: DnsQuestionAsked[]
  /** Decides every question from now on. */
  reply: (question: DnsQuestionAsked) => DnsReply
}

const RCODE = { SERVFAIL: 2, NXDOMAIN: 3, REFUSED: 5 } as const
const TYPES: Readonly<Record<number, 'A' | 'AAAA'>> = { 1: 'A', 28: 'AAAA' }

export async function startDnsServer(reply: DnsServer['reply'] = () => ({})): Promise<DnsServer> {
  const socket = dgram.createSocket('udp4')
  const asked: DnsQuestionAsked[] = []
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve))
  const server: DnsServer = {
    address: `127.0.0.1:${socket.address().port}`,
    asked,
    reply,
    [Symbol.asyncDispose]: () => new Promise((resolve) => socket.close(() => resolve())),
  }
  socket.on('message', (query, from) => {
    const { name, type, end } = readQuestion(query)
    const question = { name, type, from: from.address }
    asked.push(question)
    const answer = server.reply(question)
    const send = (): void => {
      if (answer.silent !== true)
        socket.send(encodeReply(query, end, type, answer), from.port, from.address, () => {})
    }
    if (answer.after === undefined) send()
    else void answer.after.then(send)
  })
  return server
}

function readQuestion(query: Buffer): Omit<DnsQuestionAsked, 'from'> & { readonly end: number } {
  const labels: string[] = []
  let at = 12
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length))
    at += 1 + length
  }
  return { name: labels.join('.').toLowerCase(), type: TYPES[query.readUInt16BE(at + 1)] ?? 'A', end: at + 5 }
}

function encodeReply(query: Buffer, end: number, type: 'A' | 'AAAA', answer: DnsReply): Buffer {
  const { addresses = [], ttlSeconds = 60, cname, rcode } = answer
  const owner = cname === undefined ? Buffer.from([0xc0, 12]) : encodeName(cname)
  const records = addresses.map((address) =>
    record(owner, type === 'A' ? 1 : 28, ttlSeconds, addressBytes(address)),
  )
  if (cname !== undefined) records.unshift(record(Buffer.from([0xc0, 12]), 5, ttlSeconds, encodeName(cname)))
  const head = Buffer.alloc(12)
  query.copy(head, 0, 0, 2)
  head.writeUInt16BE(0x8180 | (rcode === undefined ? 0 : RCODE[rcode]), 2)
  head.writeUInt16BE(1, 4)
  head.writeUInt16BE(records.length, 6)
  return Buffer.concat([head, query.subarray(12, end), ...records])
}

function record(owner: Buffer, type: number, ttlSeconds: number, content: Buffer): Buffer {
  const fixed = Buffer.alloc(10)
  fixed.writeUInt16BE(type, 0)
  fixed.writeUInt16BE(1, 2)
  fixed.writeUInt32BE(ttlSeconds, 4)
  fixed.writeUInt16BE(content.length, 8)
  return Buffer.concat([owner, fixed, content])
}

function encodeName(name: string): Buffer {
  const labels = name.split('.').map((label) => Buffer.from([label.length, ...Buffer.from(label)]))
  return Buffer.concat([...labels, Buffer.from([0])])
}

function addressBytes(address: string): Buffer {
  if (net.isIPv4(address)) return Buffer.from(address.split('.').map(Number))
  // By hand: full and shortened groups, no dotted tail.
  const [before = '', after] = address.split('::')
  const groups = (text: string): string[] => (text === '' ? [] : text.split(':'))
  const [left, right] = [groups(before), groups(after ?? '')]
  const all = [
    ...left,
    ...Array<string>(after === undefined ? 0 : 8 - left.length - right.length).fill('0'),
    ...right,
  ]
  const bytes = Buffer.alloc(16)
  for (const [index, group] of all.entries()) bytes.writeUInt16BE(Number.parseInt(group, 16), index * 2)
  return bytes
}
