// A TCP socket that reads into buffers of ours (read-buffer.ts), through `onread`: larger than Node's, and used again
// where that is sound. It emits `data` like any other. Rule: while it is paused it reads nothing, so that what a
// stuck receiver costs is one chunk.
import { Socket, type SocketConstructorOpts, type TcpNetConnectOpts } from 'node:net'
import type { DuplexOptions } from 'node:stream'
import { BUFFERS, LEAST_BYTES } from './buffer-budget.ts'
import { ReadBuffer } from './read-buffer.ts'
import type { Recycler } from './read-in-place.ts'

export class TcpSocket extends Socket implements Recycler {
  #buffer: ReadBuffer

  constructor(options: SocketConstructorOpts) {
    const buffer = new ReadBuffer(BUFFERS)
    const own: SocketConstructorOpts & DuplexOptions = {
      ...options,
      // Above 0 a stream reads ahead while it is paused.
      readableHighWaterMark: 0,
      writableHighWaterMark: LEAST_BYTES,
      onread: { buffer: () => buffer.next(), callback: (bytes) => this.push(buffer.took(bytes)) },
    }
    super(own)
    this.#buffer = buffer
    this.once('close', () => buffer.close())
  }

  recycle(): void {
    this.#buffer.free()
  }

  recycleKept(): void {
    if (this.readableLength === 0) this.#buffer.freeKept()
  }
}

/** As `net.connect`. */
export function connectTcp(options: TcpNetConnectOpts): TcpSocket {
  return new TcpSocket(options).connect(options)
}
