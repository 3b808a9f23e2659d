// The events of a console as a page gets them, over a connection of the test's own. Rule: waits for an event, never for
// a time.
import { once } from 'node:events'
import http from 'node:http'
import type { ConsoleEvent } from '../../src/lab/console/wire.ts'

export class EventReader implements Disposable {
  readonly events: ConsoleEvent[] = []
  #request: http.ClientRequest
  #rest = ''
  #waiting = new Set<() => void>()
  #ended = false

  private constructor(request: http.ClientRequest) {
    this.#request = request
  }

  static async open(port: number): Promise<EventReader> {
    const request = http.get({ host: '127.0.0.1', port, path: '/api/events', agent: false })
    const reader = new EventReader(request)
    const [response] = (await once(request, 'response')) as [http.IncomingMessage]
    if (response.statusCode !== 200) throw new Error(`the console answered ${response.statusCode}`)
    response.setEncoding('utf8').on('data', (text: string) => reader.#read(text))
    response.on('error', () => {})
    response.on('close', () => {
      reader.#ended = true
      reader.#wake()
    })
    return reader
  }

  /** The first event of this type, or the first from now on where it has to satisfy `wanted`. */
  async event<T extends ConsoleEvent['type']>(
    type: T,
    wanted: (event: Extract<ConsoleEvent, { type: T }>) => boolean = () => true,
  ): Promise<Extract<ConsoleEvent, { type: T }>> {
    for (;;) {
      const found = this.events.find(
        (event): event is Extract<ConsoleEvent, { type: T }> =>
          event.type === type && wanted(event as Extract<ConsoleEvent, { type: T }>),
      )
      if (found !== undefined) return found
      if (this.#ended) throw new Error(`the events ended before ${type} came`)
      await new Promise<void>((resolve) => this.#waiting.add(resolve))
    }
  }

  [Symbol.dispose](): void {
    this.#request.destroy()
  }

  #read(text: string): void {
    const blocks = (this.#rest + text).split('\n\n')
    this.#rest = blocks.pop() ?? ''
    for (const block of blocks) {
      if (block.startsWith('data: '))
        this.events.push(JSON.parse(block.slice('data: '.length)) as ConsoleEvent)
    }
    this.#wake()
  }

  #wake(): void {
    for (const resolve of this.#waiting) resolve()
    this.#waiting.clear()
  }
}
