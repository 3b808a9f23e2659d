// What a layer of a captured connection is: bytes of one direction, and the way back from each of them to the capture.
import { GatewayError } from '../errors.ts'
import type { Direction } from './capture.ts'
import { locate, type Field, type Span } from './dissect/field.ts'

/** Leads bytes of a layer back to the captured stream of its direction; undefined where they have no place of their own. */
export type Place = (
  at: number,
  length: number,
) => { readonly offset: number; readonly length: number } | undefined

export interface Layer {
  /** From the outside in: `tcp`, `tcp > tls > websocket > stream 1`. */
  readonly path: string
  readonly direction: Direction
  readonly bytes: Uint8Array
  readonly place: Place
  readonly fields: readonly Field[]
  /** The content coding that was undone to get these bytes. */
  readonly coding?: string
}

export interface Side {
  readonly bytes: Uint8Array
  readonly place: Place
}

/** Both directions of what runs in one layer. */
export interface Pair {
  readonly path: string
  readonly up: Side
  readonly down: Side
}

/** Leads bytes that were put together from `spans` back to where `outer` leads. */
export function through(spans: readonly Span[], outer: Place): Place {
  return (at, length) => {
    const found = locate(spans, at, length)
    return found && outer(found.offset, found.length)
  }
}

/** What a dissector says of bytes that are not its protocol is "no". */
export function attempt<T>(read: () => T | undefined): T | undefined {
  try {
    return read()
  } catch (thrown) {
    if (thrown instanceof GatewayError) return undefined
    throw thrown
  }
}
