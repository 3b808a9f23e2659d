// Which observer could read which information of one stream: the truth table of the design (§5), worked out
// cell by cell, for the live counter sightline_exposed_streams_total. Rule: what is listed is what the table
// calls `clear`, never what is sealed or inferable, and nothing here knows a value. An association of datagrams is
// one stream, for which its first datagram stands. A resolver is counted where the gateway asked one for this very
// stream; what a client asks by itself, or an association's datagrams lead to, a gateway does not count there.
import type { FirstBytes } from '../protocol/first-bytes.ts'
import type { FirstDatagram } from '../protocol/first-datagram.ts'
import type { Mode } from '../protocol/request.ts'

export const OBSERVERS = [
  'access-network',
  'gateway-operator',
  'resolver',
  'exit-network',
  'destination',
] as const
export type Observer = (typeof OBSERVERS)[number]

export const INFORMATION = [
  'client-address',
  'client-identity',
  'destination-name',
  'destination-address',
  'url-and-headers',
  'content',
  'traffic-shape',
  'client-fingerprint',
] as const
export type Information = (typeof INFORMATION)[number]

export interface StreamFacts {
  readonly mode: Mode
  /** The link from the client to this gateway is TLS. */
  readonly linkEncrypted: boolean
  /** The client asked for a name, not for an address. */
  readonly namedByClient: boolean
  /** A user and password or a client certificate said who the client is. */
  readonly credential: boolean
  /** The gateway asked a name server for this stream; what it remembers asks nobody. */
  readonly lookedUp?: boolean
  readonly firstBytes: FirstBytes | FirstDatagram
}

interface Exposure {
  readonly observer: Observer
  readonly information: Information
}

/**
 * The clear cells of one stream, observers and information in the order of their tuples. A tunnel client is
 * the client's own local end and exposes nothing itself: its gateway counts. For streams that are neither
 * HTTP nor TLS, URL and content are counted nowhere: unknown is not clear.
 */
export function exposedBy(stream: StreamFacts): readonly Exposure[] {
  if (stream.mode === 'tunnel-client') return []
  const clear = {
    'access-network': accessNetwork(stream),
    'gateway-operator': gatewayOperator(stream),
    resolver: resolver(stream),
    'exit-network': exitNetwork(stream),
    destination: destination(stream),
  } satisfies Record<Observer, Set<Information>>
  return OBSERVERS.flatMap((observer) =>
    INFORMATION.filter((information) => clear[observer].has(information)).map((information) => ({
      observer,
      information,
    })),
  )
}

/**
 * An encrypted link leaves the two addresses and the shape, and from a proxy client (which is the user's
 * application) the fingerprint of its own outer ClientHello; a tunnel's outer hello is the tunnel client's.
 */
function accessNetwork(stream: StreamFacts): Set<Information> {
  const clear = new Set<Information>(['client-address', 'traffic-shape'])
  if (stream.linkEncrypted) {
    if (stream.mode !== 'tunnel') clear.add('client-fingerprint')
    return clear
  }
  addRequest(clear, stream)
  if (!stream.namedByClient) clear.add('destination-address')
  addPayload(clear, stream.firstBytes)
  return clear
}

/** Reads what the client's link carried, after its decryption, and dials the address itself. */
function gatewayOperator(stream: StreamFacts): Set<Information> {
  const clear = new Set<Information>(['client-address', 'destination-address', 'traffic-shape'])
  addRequest(clear, stream)
  if (stream.linkEncrypted && stream.mode !== 'tunnel') clear.add('client-fingerprint')
  addPayload(clear, stream.firstBytes)
  return clear
}

/** Is asked the name, and answers with the address; who wants it, it is not told. */
function resolver({ lookedUp = false }: StreamFacts): Set<Information> {
  return new Set(lookedUp ? ['destination-name', 'destination-address'] : [])
}

/** Sees the gateway in the client's place. */
function exitNetwork(stream: StreamFacts): Set<Information> {
  const clear = new Set<Information>(['destination-address', 'traffic-shape'])
  addPayload(clear, stream.firstBytes)
  return clear
}

/** As the exit network, and is the other end of the site's own TLS. */
function destination(stream: StreamFacts): Set<Information> {
  const clear = exitNetwork(stream)
  if (stream.firstBytes === 'tls' || stream.firstBytes === 'quic') clear.add('url-and-headers').add('content')
  return clear
}

/** What the request to the gateway says: CONNECT or SOCKS target, proxy credentials. */
function addRequest(clear: Set<Information>, stream: StreamFacts): void {
  if (stream.credential) clear.add('client-identity')
  if (stream.namedByClient) clear.add('destination-name')
}

/**
 * What the bytes of the site's own protocol say to whoever carries them: Host and all of HTTP; SNI and hello
 * of TLS, and of QUIC, whose first packets are encrypted with keys that stand in them (RFC 9001 section 5.2); the name that
 * a DNS query asks for.
 */
function addPayload(clear: Set<Information>, firstBytes: StreamFacts['firstBytes']): void {
  if (firstBytes === 'http') clear.add('destination-name').add('url-and-headers').add('content')
  if (firstBytes === 'tls' || firstBytes === 'quic') clear.add('destination-name').add('client-fingerprint')
  if (firstBytes === 'dns') clear.add('destination-name').add('content')
}
