// The lab's authoritative DNS server (RFC 1035), on UDP and TCP of one port: who answers the look-ups of this world.
// Rules: it knows the names that it is told of and no others; a TTL of 0 keeps every look-up a look-up; what it cannot
// read it answers as the RFC says, or not at all.
import type { Socket } from 'node:net'
import type dgram from 'node:dgram'
import { GatewayError } from '../errors.ts'
import { listenTcp, type Listener } from '../transport/listener.ts'
import type { Endpoint } from './capture.ts'
import { dissectDns, type DnsMessage, type DnsQuestion } from './dissect/dns.ts'
import { Strangers } from './strangers.ts'
import { bindUdp } from './udp-tap.ts'

export interface NameServer {
  readonly address: Endpoint
  close(): void
}

const TYPE_A = 1
const TYPE_ANY = 255
const CLASS_IN = 1
const RCODE = { ok: 0, formatError: 1, noSuchName: 3, notImplemented: 4 } as const
const HEADER_BYTES = 12
const LENGTH_BYTES = 2
/** RFC 1035 section 4.2.1: without EDNS no answer over UDP is longer. */
const MAX_UDP_BYTES = 512
const PORT_TRIES = 20
/** RFC 7766 section 6.2.3: seconds are enough of a connection on which nothing is asked. */
const LIMITS = { connections: 64, idleMs: 10_000, lifeMs: 30_000 } as const

/** Gives the IPv4 addresses of a lower-case name, undefined where there is no such name. `from`: who asked. */
export type Zone = (name: string, from: Endpoint) => readonly string[] | undefined

/** `port` 0 takes any. */
export async function startNameServer(address: string, zone: Zone, port = 0): Promise<NameServer> {
  const strangers = new Strangers(LIMITS)
  const { udp, tcp } = await bindBoth({ address, port }, (socket) => {
    if (strangers.admit(socket)) answerStream(socket, zone)
  })
  udp.on('message', (bytes, from) => {
    const reply = answerTo(bytes, from, zone)
    if (reply !== undefined) udp.send(fitForUdp(reply), from.port, from.address)
  })
  return {
    address: tcp.address,
    close: () => {
      udp.close()
      void tcp.close()
      strangers.close()
    },
  }
}

/** One port number for both: a name server has one. Errors: `listen-failed`, `address-in-use`. */
async function bindBoth(
  where: Endpoint,
  accept: (socket: Socket) => void,
): Promise<{ readonly udp: dgram.Socket; readonly tcp: Listener }> {
  for (let tries = 1; ; tries += 1) {
    const udp = await bindUdp(where)
    try {
      return { udp, tcp: await listenTcp({ host: where.address, port: udp.address().port }, accept) }
    } catch (thrown) {
      udp.close()
      if (where.port !== 0 || tries === PORT_TRIES) throw thrown
    }
  }
}

/** RFC 1035 section 4.2.2: each message behind its length. */
function answerStream(socket: Socket, zone: Zone): void {
  const from = { address: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 }
  let held: Buffer = Buffer.alloc(0)
  socket.on('data', (chunk: Buffer) => {
    held = Buffer.concat([held, chunk])
    while (held.length >= LENGTH_BYTES && held.length >= LENGTH_BYTES + held.readUInt16BE(0)) {
      const end = LENGTH_BYTES + held.readUInt16BE(0)
      const reply = answerTo(held.subarray(LENGTH_BYTES, end), from, zone)
      held = held.subarray(end)
      if (reply === undefined) return void socket.destroy()
      const length = Buffer.alloc(LENGTH_BYTES)
      length.writeUInt16BE(reply.length)
      socket.write(Buffer.concat([length, reply]))
    }
  })
  socket.on('end', () => socket.end())
}

function answerTo(bytes: Buffer, { address, port }: Endpoint, zone: Zone): Buffer | undefined {
  let query: DnsMessage
  try {
    query = dissectDns(bytes)
  } catch (thrown) {
    if (!(thrown instanceof GatewayError)) throw thrown
    return bytes.length < HEADER_BYTES ? undefined : encodeAnswer(bytes, RCODE.formatError, undefined, [])
  }
  const [question] = query.questions
  if (query.isResponse) return undefined
  if (query.opcode !== 0) return encodeAnswer(bytes, RCODE.notImplemented, undefined, [])
  if (question === undefined || query.questions.length > 1)
    return encodeAnswer(bytes, RCODE.formatError, undefined, [])
  const addresses = zone(question.name.toLowerCase().replace(/\.$/, ''), { address, port })
  if (addresses === undefined) return encodeAnswer(bytes, RCODE.noSuchName, question, [])
  const isAsked = question.class === CLASS_IN && (question.type === TYPE_A || question.type === TYPE_ANY)
  return encodeAnswer(bytes, RCODE.ok, question, isAsked ? addresses : [])
}

/** RFC 1035 section 4.1: the question again, and an A record for each address, its name a pointer to the question's. */
function encodeAnswer(
  query: Buffer,
  rcode: number,
  question: DnsQuestion | undefined,
  addresses: readonly string[],
): Buffer {
  const header = Buffer.alloc(HEADER_BYTES)
  query.copy(header, 0, 0, 2)
  // Response, authoritative; opcode and "recursion desired" as they came.
  header.writeUInt8(0x84 | (query.readUInt8(2) & 0x79), 2)
  header.writeUInt8(rcode, 3)
  header.writeUInt16BE(question === undefined ? 0 : 1, 4)
  header.writeUInt16BE(addresses.length, 6)
  const asked = question === undefined ? Buffer.alloc(0) : query.subarray(question.offset, question.end)
  const records = addresses.map((address) =>
    Buffer.from([
      0xc0,
      HEADER_BYTES,
      0,
      TYPE_A,
      0,
      CLASS_IN,
      0,
      0,
      0,
      0,
      0,
      4,
      ...address.split('.').map(Number),
    ]),
  )
  return Buffer.concat([header, asked, ...records])
}

/** RFC 1035 section 4.2.1: what does not fit says so (TC), and the client asks again over TCP. */
function fitForUdp(reply: Buffer): Buffer {
  if (reply.length <= MAX_UDP_BYTES) return reply
  const { questions } = dissectDns(reply)
  const cut = Buffer.from(reply.subarray(0, questions[0]?.end ?? HEADER_BYTES))
  cut.writeUInt8(cut.readUInt8(2) | 0x02, 2)
  cut.writeUInt16BE(0, 6)
  return cut
}
