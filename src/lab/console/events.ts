// Server-sent events to every page that is open (HTML standard, section 9.2). Rules: a page that does not read is let
// go, never waited for; and a page that comes late is told what happened since the last replay began.
import type { ServerResponse } from 'node:http'
import type { ConsoleEvent } from './wire.ts'

const MAX_PAGES = 8
const MAX_UNREAD_BYTES = 8 * 1024 * 1024
const MAX_LOG_BYTES = 8 * 1024 * 1024
const BEAT_MS = 15_000

export class Events {
  #pages = new Set<ServerResponse>()
  #log: string[] = []
  #logBytes = 0
  #beat = setInterval(() => this.#write(': still here\n\n'), BEAT_MS).unref()

  /** How many pages listen. */
  get listening(): number {
    return this.#pages.size
  }

  /** Joins a page, whose response head is yet to be written. False where there are too many. */
  join(response: ServerResponse, headers: Record<string, string>, first: ConsoleEvent): boolean {
    if (this.#pages.size >= MAX_PAGES) return false
    response.writeHead(200, { ...headers, 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
    response.write(`retry: 1000\n\n${frame(first)}${this.#log.join('')}`)
    this.#pages.add(response)
    response.on('close', () => this.#pages.delete(response))
    return true
  }

  /** Tells every page; `kept`: and those that come later, until `forget`. */
  send(event: ConsoleEvent, kept = false): void {
    const text = frame(event)
    if (kept && this.#logBytes + text.length <= MAX_LOG_BYTES) {
      this.#log.push(text)
      this.#logBytes += text.length
    }
    this.#write(text)
  }

  /** A new replay begins: what was before is no longer told. */
  forget(): void {
    this.#log = []
    this.#logBytes = 0
  }

  close(): void {
    clearInterval(this.#beat)
    for (const page of this.#pages) page.destroy()
    this.#pages.clear()
  }

  #write(text: string): void {
    for (const page of this.#pages) {
      if (page.writableLength > MAX_UNREAD_BYTES) page.destroy()
      else page.write(text)
    }
  }
}

function frame(event: ConsoleEvent): string {
  return `data: ${JSON.stringify(event)}\n\n`
}
