// What is over only once it has closed: a stream whose last byte was written may still be on its way to its peer.
import type { EventEmitter } from 'node:events'

/** Resolves with the next `close`; never rejects. */
export function closed(emitter: Pick<EventEmitter, 'once'>): Promise<void> {
  return new Promise((resolve) => emitter.once('close', () => resolve()))
}
