// Log lines to a file descriptor of the process. Rules: a full disk or a reader that went away costs lines, which are
// counted, and never the process; and once there is room again lines are written again, which a stream that has failed
// once would not do.
import { writeSync } from 'node:fs'

export class LogDescriptor {
  /** Lines that could not be written, or not whole. */
  lost = 0
  #fd: number
  /** The last line was cut off: the next one begins anew. */
  #torn = false

  constructor(fd: number) {
    this.#fd = fd
  }

  /** Takes one line with its end. */
  write(line: string): void {
    const bytes = Buffer.from(this.#torn ? `\n${line}` : line)
    let written = 0
    try {
      while (written < bytes.length) written += writeSync(this.#fd, bytes, written)
      this.#torn = false
    } catch {
      this.lost += 1
      this.#torn ||= written > 0
    }
  }
}
