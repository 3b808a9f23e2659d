// A worker's way to the head count of all. Rule: what is asked in one turn of the event loop is one message, and an answer is
// waited for by whoever asked alone.
import type { ErrorCode } from '../errors.ts'
import type { ByteCounter, ByteShare, Places } from '../gateway/places.ts'
import type { SharedDelays } from '../gateway/users-sign-in.ts'
import type { Notice, Question, ToPrimary, ToWorker } from './messages.ts'

export class Asks implements Places {
  #send: (message: ToPrimary) => void
  #batch: Array<readonly [id: number, ask: Question | Notice]> = []
  #waiting = new Map<number, (value: unknown) => void>()
  #lastId = 0
  #counter: ByteCounter | undefined

  constructor(send: (message: ToPrimary) => void) {
    this.#send = send
  }

  async enter(source: string | undefined): Promise<ErrorCode | undefined> {
    return ((await this.#ask(['enter', source ?? null])) as ErrorCode | null) ?? undefined
  }

  async enterFrom(source: string): Promise<ErrorCode | undefined> {
    return ((await this.#ask(['enter-from', source])) as ErrorCode | null) ?? undefined
  }

  leave(source: string | undefined): void {
    this.#tell(['leave', source ?? null])
  }

  leaveFrom(source: string): void {
    this.#tell(['leave-from', source])
  }

  async enterSession(key: string): Promise<boolean> {
    return (await this.#ask(['enter-session', key])) === true
  }

  leaveSession(key: string): void {
    this.#tell(['leave-session', key])
  }

  async enterIdentity(key: string): Promise<ByteShare | undefined> {
    return ((await this.#ask(['enter-identity', key])) as ByteShare | null) ?? undefined
  }

  leaveIdentity(key: string): void {
    this.#tell(['leave-identity', key])
  }

  async enterAssociation(): Promise<boolean> {
    return (await this.#ask(['enter-association'])) === true
  }

  leaveAssociation(): void {
    this.#tell(['leave-association'])
  }

  readonly signIns: SharedDelays = {
    reserve: async (source, name, steps) => (await this.#ask(['reserve', source, name, steps])) as number,
    failed: async (source, name, steps) => this.#tell(['failed', source, name, steps]),
    succeeded: async (source, name) => this.#tell(['succeeded', source, name]),
  }

  countedBy(counter: ByteCounter): void {
    this.#counter = counter
  }

  /** Tells what moved since the last time. */
  tellBytes(): void {
    const uses = this.#counter?.fresh() ?? []
    if (uses.length > 0) this.#tell(['bytes', uses])
  }

  /** The head count's word. */
  take(message: Extract<ToWorker, { type: 'answers' | 'shares' }>): void {
    if (message.type === 'shares') {
      for (const share of message.shares) this.#counter?.learn(share)
      return
    }
    for (const [id, value] of message.answers) {
      this.#waiting.get(id)?.(value)
      this.#waiting.delete(id)
    }
  }

  #ask(question: Question): Promise<unknown> {
    this.#lastId += 1
    const id = this.#lastId
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve)
      this.#put(id, question)
    })
  }

  #tell(notice: Notice): void {
    this.#put(0, notice)
  }

  #put(id: number, ask: Question | Notice): void {
    this.#batch.push([id, ask])
    if (this.#batch.length === 1) setImmediate(() => this.#flush())
  }

  #flush(): void {
    const asks = this.#batch
    this.#batch = []
    this.#send({ type: 'asks', asks })
  }
}
