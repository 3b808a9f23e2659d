// The client's end of an association that came through a tunnel: one stream of the session, each datagram with its
// address. Rule: what comes before the association stands is dropped, and it ends with its stream, and the stream with it.
import type { GatewayError } from '../errors.ts'
import type { AssociationClient, AssociationEvents, AssociationRequest } from '../protocol/association.ts'
import type { MuxSession } from '../protocol/mux/session.ts'
import type { MuxStream } from '../protocol/mux/stream.ts'
import type { BoundAddress, Identity } from '../protocol/request.ts'
import { StreamDatagrams } from '../transport/stream-datagrams.ts'

/** An association has no address of its own: each destination is sent to from wherever it is reached. */
const NOWHERE: BoundAddress = { address: '0.0.0.0', port: 0 }

/** The request that an OPEN of kind udp makes. */
export function tunnelAssociation(
  session: MuxSession,
  stream: MuxStream,
  identity: Identity | undefined,
): AssociationRequest {
  const gone = new AbortController()
  let events: AssociationEvents | undefined
  const datagrams = new StreamDatagrams(stream, {
    message: (destination, payload) => events?.message(destination, payload),
    closed: (failure) => {
      gone.abort()
      events?.closed(failure?.code ?? 'ok')
    },
  })
  return {
    mode: 'tunnel',
    identity,
    sentCredential: identity !== undefined,
    signal: gone.signal,
    confirm: async (told) => {
      events = told
      session.accept(stream, NOWHERE)
      return new TunnelAssociation(datagrams, told)
    },
    refuse: (error, reference) => session.refuse(stream, error.code, reference),
  }
}

class TunnelAssociation implements AssociationClient {
  readonly relay = undefined
  #datagrams: StreamDatagrams
  #events: AssociationEvents

  constructor(datagrams: StreamDatagrams, events: AssociationEvents) {
    this.#datagrams = datagrams
    this.#events = events
  }

  send(from: BoundAddress, payload: Uint8Array): void {
    const drop = this.#datagrams.send({ host: from.address, port: from.port }, payload)
    if (drop !== undefined) this.#events.dropped(drop)
  }

  close(error: GatewayError | undefined): void {
    this.#datagrams.close(error?.code)
  }
}
