// Connections of whoever finds a listener of the lab's: so many at once, none silent for long, none for ever. Rule: who is
// too many is turned away at once, and nothing of anybody is kept beyond the connection.
import type { Socket } from 'node:net'

export interface StrangerLimits {
  readonly connections: number
  /** Without a byte. */
  readonly idleMs: number
  /** From the first byte to the last: a byte now and then holds nothing up. */
  readonly lifeMs: number
}

export class Strangers {
  #limits: StrangerLimits
  #open = new Set<Socket>()

  constructor(limits: StrangerLimits) {
    this.#limits = limits
  }

  /** False where there are too many: the connection is ended then. */
  admit(socket: Socket): boolean {
    const { connections, idleMs, lifeMs } = this.#limits
    if (this.#open.size >= connections) {
      socket.destroy()
      return false
    }
    this.#open.add(socket)
    const life = setTimeout(() => socket.destroy(), lifeMs)
    socket.setTimeout(idleMs, () => socket.destroy())
    socket.on('close', () => {
      clearTimeout(life)
      this.#open.delete(socket)
    })
    return true
  }

  /** Ends every connection. */
  close(): void {
    for (const socket of this.#open) socket.destroy()
  }
}
