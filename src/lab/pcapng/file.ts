// A capture file that Wireshark and tshark open: what taps recorded of some connections, with what makes it readable. Pure.
// Rule: it says of itself what in it was recorded and what is reconstructed.
import { streamBytes, type CapturedConnection } from '../capture.ts'
import { attempt } from '../layer.ts'
import { dissectDns } from '../dissect/dns.ts'
import { interfaceBlock, namesBlock, packetBlock, sectionBlock, tlsKeysBlock } from './blocks.ts'
import { packetsOf } from './packets.ts'

export interface CaptureFile {
  /** Where it was recorded: `access-network`. */
  readonly vantage: string
  /** What was recorded: `http-proxy, https`. */
  readonly subject: string
  readonly connections: readonly CapturedConnection[]
  /** Addresses and who they are. */
  readonly names: ReadonlyMap<string, string>
  /** The clock's zero (`Frame.atMs`) in milliseconds since 1970, UTC. */
  readonly originMs: number
  /** NSS key log lines that are put into the file, so that whoever opens it reads what TLS sealed. */
  readonly keylog?: string
}

const APPLICATION = 'sightline lab'
const RECONSTRUCTED =
  'Payloads are the bytes that passed a tap, in their order and at their times. Ethernet, IP, TCP and UDP headers, ' +
  'handshakes, acknowledgements and endings are reconstructed, and prove nothing.'
const WITH_KEYS =
  'The TLS keys of this run are in this file: a reader decrypts what the vantage itself could not read.'
const TLS_HANDSHAKE = 22
const SOCKS_VERSIONS: ReadonlySet<number> = new Set([4, 5])

/** The whole file. */
export function encodeCapture(file: CaptureFile): Buffer {
  const { vantage, subject, connections, names, originMs, keylog } = file
  const hints = decodeAs(connections, keylog !== undefined)
  const comment = [
    `${vantage}: ${subject}`,
    RECONSTRUCTED,
    ...(keylog === undefined ? [] : [WITH_KEYS]),
    ...(hints.length === 0
      ? []
      : [
          `Ports are not the usual ones; tshark reads all of it with ${hints.map((hint) => `-d ${hint}`).join(' ')}`,
        ]),
  ]
  const packets = packetsOf(connections).map(({ atMs, bytes, isFirst, connection }) =>
    packetBlock({
      nanoseconds: nanosecondsOf(originMs, atMs),
      bytes,
      comment: isFirst ? titleOf(connection, names) : undefined,
    }),
  )
  return Buffer.concat([
    sectionBlock({ application: APPLICATION, comment: comment.join('\n') }),
    interfaceBlock(vantage, 'a tap on loopback, with reconstructed headers'),
    namesBlock(names),
    ...(keylog === undefined ? [] : [tlsKeysBlock(keylog)]),
    ...packets,
  ])
}

/**
 * What to tell tshark of ports that have no usual protocol: `tcp.port==40123,socks`, each once. Where it shall decrypt,
 * nothing of SOCKS: its dissector takes both directions of the TLS inside for one (Wireshark 4.0), and left alone tshark
 * finds that TLS by itself.
 */
export function decodeAs(connections: readonly CapturedConnection[], decrypt: boolean): string[] {
  const hints = connections.flatMap((connection) => {
    const protocol = protocolOf(connection)
    if (protocol === undefined || (decrypt && protocol === 'socks')) return []
    return [`${connection.transport}.port==${connection.to.port},${protocol}`]
  })
  return [...new Set(hints)]
}

function protocolOf(connection: CapturedConnection): 'socks' | 'tls' | 'http' | 'dns' | undefined {
  if (connection.transport === 'udp') {
    const first = connection.frames[0]?.bytes
    return first !== undefined && attempt(() => dissectDns(first)) !== undefined ? 'dns' : undefined
  }
  const up = streamBytes(connection, 'up')
  const first = up[0]
  if (first === undefined) return undefined
  if (SOCKS_VERSIONS.has(first)) return 'socks'
  if (first === TLS_HANDSHAKE) return 'tls'
  return /^[A-Z]+ \S+ HTTP\/1/.test(up.toString('latin1', 0, 2_048)) ? 'http' : undefined
}

function titleOf({ from, to, transport }: CapturedConnection, names: CaptureFile['names']): string {
  const nameOf = (address: string): string => names.get(address) ?? address
  return `${nameOf(from.address)} to ${nameOf(to.address)} (${transport}, headers reconstructed)`
}

/** In two steps: as one number it would be more than a double holds exactly. */
function nanosecondsOf(originMs: number, atMs: number): bigint {
  return BigInt(Math.round(originMs * 1_000)) * 1_000n + BigInt(Math.round(atMs * 1_000_000))
}
