// Reads of sockets that Node made itself (accepted ones, TLS on a socket that stands) into memory of ours. Node makes a buffer
// for each read and each TLS record otherwise, and what those cost is to collect them with the whole heap, ten times a second
// under load. Node has this for sockets that one makes oneself (`onread`), so this sets what that would set. Rule: where
// Node is not as it was when this was written, sockets go on reading as they did.
import { Socket } from 'node:net'
import { BUFFERS } from './buffer-budget.ts'
import { ReadBuffer } from './read-buffer.ts'

/** What gives chunks whose memory it reads into again, once it is told that nobody can see them. */
export interface Recycler {
  /**
   * Says that the chunk of the `data` event under way is not used any more, by nobody: the next read may overwrite it.
   * Without effect after that event.
   */
  recycle(): void
  /** The same of every chunk there was: what waited has been written. For the end of `drain`, not of `data`. */
  recycleKept(): void
}

interface Reads {
  /** Where the next read goes, if not where the last one went. */
  readonly buffer: Buffer | (() => Buffer)
  /** Takes what was read; false: reads no more for now. */
  readonly took: (bytes: number) => boolean
}

/** TLS gives a record at a time. */
const RECORD_BYTES = 16 * 1024

interface Handle {
  useUserBuffer(buffer: Uint8Array): void
}

/** What `onread` sets (Node's lib/net.js): the buffer, what takes it, and where the next one comes from. */
const FIELDS = ['kBuffer', 'kBufferCb', 'kBufferGen'] as const
const symbols = new Map(
  Object.getOwnPropertySymbols(new Socket()).map((symbol) => [symbol.description, symbol]),
)
const [BUFFER, CALLBACK, NEXT] = FIELDS.map((name) => symbols.get(name))

const shared = Buffer.allocUnsafeSlow(RECORD_BYTES)

/**
 * Gives `take` what `socket` reads from now on, in memory that all such sockets share and that is good for that call only;
 * where `take` gives false, the socket stops reading. Listeners of `data` get none of it. False where it cannot be.
 */
export function readInPlace(socket: Socket, take: (bytes: Buffer) => boolean): boolean {
  return setReads(socket, { buffer: shared, took: (bytes) => take(shared.subarray(0, bytes)) })
}

/** Makes `socket` read into buffers that it uses again. Undefined where it cannot be. */
export function recycleReads(socket: Socket): Recycler | undefined {
  const buffer = new ReadBuffer(BUFFERS)
  const isSet = setReads(socket, {
    buffer: () => buffer.next(),
    took: (bytes) => socket.push(buffer.took(bytes)),
  })
  if (!isSet) {
    buffer.close()
    return undefined
  }
  // Above 0 a stream reads ahead while it is paused.
  Reflect.set(Reflect.get(socket, '_readableState') as object, 'highWaterMark', 0)
  socket.once('close', () => buffer.close())
  return {
    recycle: () => buffer.free(),
    recycleKept: () => {
      if (socket.readableLength === 0) buffer.freeKept()
    },
  }
}

function setReads(socket: Socket, { buffer, took }: Reads): boolean {
  const handle: unknown = Reflect.get(socket, '_handle')
  if (BUFFER === undefined || CALLBACK === undefined || NEXT === undefined || !isHandle(handle)) return false
  if (Reflect.get(socket, BUFFER) !== null) return false
  const first = typeof buffer === 'function' ? buffer() : buffer
  Reflect.set(socket, BUFFER, first)
  Reflect.set(socket, CALLBACK, took)
  Reflect.set(socket, NEXT, typeof buffer === 'function' ? buffer : null)
  handle.useUserBuffer(first)
  return true
}

function isHandle(handle: unknown): handle is Handle {
  return typeof handle === 'object' && handle !== null && 'useUserBuffer' in handle
}
