// A line that is kept at the bottom of a terminal and drawn again in place, while other lines go on above it. Rules: only
// on a terminal that can; never wider than it; gone when the command ends; and colour never with NO_COLOR.
import type { ServiceIo, Terminal } from './io.ts'

const CLEAR_LINE = '\r\u001B[2K'
const COLOURS = { green: 32, yellow: 33, red: 31 } as const
export type Colour = keyof typeof COLOURS

export class BottomLine {
  #terminal: Terminal
  #hasColour: boolean
  #shown: { readonly text: string; readonly colour: Colour } | undefined

  constructor(terminal: Terminal, env: ServiceIo['env']) {
    this.#terminal = terminal
    this.#hasColour = (env['NO_COLOR'] ?? '') === ''
  }

  /** The colour is that of the first word. */
  show(text: string, colour: Colour): void {
    this.#shown = { text: text.slice(0, Math.max(0, this.#terminal.columns() - 1)), colour }
    this.#draw()
  }

  /** `io`, with this line always below what is written. */
  under(io: ServiceIo): ServiceIo {
    const above = (write: () => void): void => {
      if (this.#shown !== undefined) this.#terminal.write(CLEAR_LINE)
      write()
      this.#draw()
    }
    return {
      ...io,
      out: (line) => above(() => io.out(line)),
      err: (line) => above(() => io.err(line)),
      log: {
        write: (text) => above(() => io.log.write(text)),
        get lost() {
          return io.log.lost
        },
      },
    }
  }

  end(): void {
    if (this.#shown !== undefined) this.#terminal.write(CLEAR_LINE)
    this.#shown = undefined
  }

  #draw(): void {
    if (this.#shown === undefined) return
    const { text, colour } = this.#shown
    const [word = ''] = text.split(' ', 1)
    const first = this.#hasColour ? `\u001B[${COLOURS[colour]}m${word}\u001B[0m` : word
    this.#terminal.write(`${CLEAR_LINE}${first}${text.slice(word.length)}`)
  }
}
