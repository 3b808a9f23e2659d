// What a command sees of the process: two streams, the environment, and whether a person is watching.
// Rule: a command touches nothing else of the process, so that a test can be its terminal.

export interface CliIo {
  out(line: string): void
  err(line: string): void
  env: Record<string, string | undefined>
  isTty: boolean
  readStdin(): Promise<string>
  /** Asks a person at the terminal, without showing what is typed; left out where there is none. Undefined: given up. */
  readonly askSecret?: (prompt: string) => Promise<string | undefined>
}

/** A terminal that can move its cursor. */
export interface Terminal {
  columns(): number
  write(text: string): void
}

/** What a command needs that runs until it is told to stop. */
export interface ServiceIo extends CliIo {
  /** Standard output, where it is a terminal that can draw a line again in place. */
  readonly terminal?: Terminal
  /** Where log lines go; each ends with a newline. `lost`: how many could not be written. */
  readonly log: { write(text: string): void; readonly lost?: number | undefined }
  onSignal(signal: 'SIGINT' | 'SIGTERM' | 'SIGHUP', handler: () => void): void
}
