// A mux stream of kind udp as a way for datagrams, the counterpart of stream-socket.ts. Rules: credit is granted as
// soon as a datagram has been handed on, since nothing is kept here; an end that one side wants in order is a FIN that the
// other answers with a FIN, and everything else is a RESET with its code.
import { GatewayError, type ErrorCode } from '../errors.ts'
import type { DatagramDrop } from '../protocol/association.ts'
import { encodeDatagram } from '../protocol/mux/datagram.ts'
import type { MuxStream, StreamEvents } from '../protocol/mux/stream.ts'
import type { Destination } from '../protocol/request.ts'

export interface StreamDatagramsEvents {
  /** The gateway has taken the association (client's side). */
  opened?(): void
  /** `payload` is the callee's to keep. */
  message(peer: Destination, payload: Uint8Array): void
  /** The stream is over; undefined after an orderly end. Called once, and not after `close`. */
  closed(failure: GatewayError | undefined): void
}

export class StreamDatagrams implements StreamEvents {
  #stream: MuxStream
  #events: StreamDatagramsEvents
  #closed = false

  constructor(stream: MuxStream, events: StreamDatagramsEvents) {
    this.#stream = stream
    this.#events = events
    stream.events = this
  }

  /** Gives why the datagram is dropped, or undefined where it is on its way. */
  send(peer: Destination, payload: Uint8Array): DatagramDrop | undefined {
    return this.#closed ? undefined : this.#stream.send(encodeDatagram(peer, payload))
  }

  /** Ends in order, or with a code. Without effect when repeated. */
  close(code?: ErrorCode): void {
    this.#closed = true
    if (code === undefined) this.#stream.fin(() => {})
    else this.#stream.reset(code)
  }

  #over(failure: GatewayError | undefined): void {
    if (this.#closed) return
    this.#closed = true
    this.#events.closed(failure)
  }

  // StreamEvents

  opened(): void {
    this.#events.opened?.()
  }

  refused(code: ErrorCode, reference: string): void {
    this.#over(new GatewayError(code, { side: 'upstream', reference }))
  }

  /** Never called on a stream of this kind. */
  data(): void {}

  datagram(peer: Destination, payload: Uint8Array): void {
    this.#stream.consumed(this.#stream.receivedOffset, performance.now())
    if (!this.#closed) this.#events.message(peer, payload)
  }

  fin(): void {
    this.#stream.fin(() => {})
    this.#over(undefined)
  }

  reset(code: ErrorCode): void {
    this.#over(new GatewayError(code, { side: 'upstream' }))
  }
}
