// Plays one script against one program, with an origin of the run's own, and gives what was looked at. Rules: a
// program is told apart by its bytes and endings alone; what does not come within a bound is `silent`, and ends the
// run, as does a connection that ends before what was waited for.
import { setTimeout as wait } from 'node:timers/promises'
import ipaddr from 'ipaddr.js'
import type { Wire } from '../support/wire.ts'
import { readMessage, toBytes, unfill, type HttpMessage, type Places } from './message.ts'
import type { Case, Message, Outcome, Step } from './script.ts'
import { TwinOrigin } from './twin-origin.ts'

/** A program under test, or one listener of it. */
export interface Subject {
  readonly name: string
  connect(): Promise<Wire>
}

/** Longer than any answer takes on a busy machine; a program that has none costs this once a run. */
const PATIENCE_MS = 4_500
/** From a reply at the client to the connection at the origin, which was there before. */
const ACCEPT_MS = 1_000
/** Between two bytes of a slow peer: longer than it takes to read one. */
const DRIP_MS = 10

export async function play({ script }: Case, subject: Subject): Promise<Outcome> {
  await using origin = await TwinOrigin.start()
  using client = await subject.connect()
  const run = new Run(origin, client)
  for (const step of script) if (!(await run.take(step))) break
  return run.outcome
}

class Run {
  readonly outcome: Record<string, string> = {}
  #origin: TwinOrigin
  #client: Wire
  #places: Places
  /** The origin's side of the connection that was last looked at. */
  #wire: Wire | undefined
  /** The last request never came: what the origin would have done with it is left out. */
  #absent = false

  constructor(origin: TwinOrigin, client: Wire) {
    this.#origin = origin
    this.#client = client
    this.#places = origin
  }

  /** False where the run is over. */
  async take(step: Step): Promise<boolean> {
    if (this.#absent && step.kind.startsWith('origin-')) return true
    switch (step.kind) {
      case 'send':
        this.#client.send(toBytes(step.what, this.#places))
        return true
      case 'drip':
        return this.#drip(this.#client, step.what)
      case 'fin':
        this.#client.socket.end()
        return true
      case 'reset':
        this.#client.reset()
        return true
      case 'origin-send':
        this.#originWire().send(toBytes(step.what, this.#places))
        return true
      case 'origin-drip':
        return this.#drip(this.#originWire(), step.what)
      case 'origin-fin':
        this.#originWire().socket.end()
        return true
      case 'origin-reset':
        this.#originWire().reset()
        return true
      case 'origin-accept':
        return this.#accept()
      case 'read':
        return this.#seen(step.field, step.count, hex)
      case 'reply4':
        return this.#reply4(step.bound)
      case 'reply5':
        return this.#reply5(step.bound)
      case 'echo':
        return this.#echo()
      case 'ending':
        this.#note('ending', await this.#ended(this.#client))
        return true
      case 'origin-ending':
        if (!(await this.#accept())) return false
        this.#note('origin-ending', await this.#ended(this.#originWire()))
        return true
      case 'dialled':
        // Where the client was told so, the origin will be, too.
        if (/^(?:200|0[05] (?:00 00|5a))$/.test(this.outcome['status'] ?? this.outcome['reply'] ?? ''))
          await this.#origin.changed(() => this.#origin.wires.length > 0, [], ACCEPT_MS)
        this.#note('dialled', String(this.#origin.wires.length))
        return true
      case 'await':
        return this.#awaits(this.#client, step.field, step.text)
      case 'origin-await':
        return (await this.#accept()) && this.#awaits(this.#originWire(), step.field, step.text)
      case 'answer':
        return this.#answer(step.to, step.shows)
      case 'request':
        return this.#request(step.shows)
    }
  }

  /** A field looked at twice has its number the second time. */
  #note(field: string, value: string): void {
    let name = field
    for (let count = 2; name in this.outcome; count += 1) name = `${field} ${count}`
    this.outcome[name] = unfill(value, this.#places)
  }

  #originWire(): Wire {
    const wire = this.#wire ?? this.#origin.wires.at(-1)
    if (wire === undefined) throw new Error('the script lets an origin act that was never reached')
    return wire
  }

  async #drip(wire: Wire, what: Message): Promise<true> {
    for (const byte of toBytes(what, this.#places)) {
      wire.send(Buffer.of(byte))
      await wait(DRIP_MS)
    }
    return true
  }

  /** Waits until `done`, and says how: `yes`, or why not. */
  async #until(done: () => boolean, watched: readonly Wire[]): Promise<'yes' | 'end' | 'reset' | 'silent'> {
    const over = (): boolean => done() || watched.some(({ ending }) => ending !== undefined)
    await this.#origin.changed(over, watched, PATIENCE_MS)
    if (done()) return 'yes'
    const ended = watched.find(({ ending }) => ending !== undefined)
    if (ended === undefined) return 'silent'
    return ended.ending === 'end' ? 'end' : 'reset'
  }

  /** A close with bytes unread is a reset or an end as chance has it: before an answer both are `gone`. */
  async #seen(field: string, count: number, show: (taken: Buffer) => string): Promise<boolean> {
    const wire = this.#client
    const how = await this.#until(() => wire.received.length >= count, [wire])
    const why = how === 'silent' ? how : 'gone'
    const left = wire.received.length === 0 ? why : `${hex(wire.received)} ${why}`
    this.#note(field, how === 'yes' ? show(wire.take(count)) : left)
    return how === 'yes'
  }

  async #awaits(wire: Wire, field: string, text: string): Promise<boolean> {
    const how = await this.#until(() => wire.received.includes(text, 0, 'latin1'), [wire])
    if (how === 'yes') wire.take(wire.received.indexOf(text, 0, 'latin1') + text.length)
    this.#note(field, how)
    return how === 'yes'
  }

  async #accept(): Promise<boolean> {
    const how = await this.#until(() => this.#origin.wires.length > 0, [])
    if (how !== 'yes') this.#note('dialled', 'silent')
    return how === 'yes'
  }

  async #ended(wire: Wire): Promise<string> {
    const how = await this.#until(() => wire.ending !== undefined, [wire])
    if (how === 'silent') return 'open'
    return wire.ending === 'end' ? 'end' : 'reset'
  }

  async #reply4(shows: boolean): Promise<boolean> {
    let reply: Buffer = Buffer.alloc(8)
    const isRead = await this.#seen('reply', 8, (taken) => {
      reply = taken
      return hex(taken.subarray(0, 2))
    })
    if (shows && reply[1] === 90) await this.#bound(reply.subarray(4, 8), reply.readUInt16BE(2))
    return isRead
  }

  async #reply5(shows: boolean): Promise<boolean> {
    const wire = this.#client
    const addressLength = (): number => {
      const [type, nameLength = 0] = wire.received.subarray(3)
      return type === 4 ? 16 : type === 3 ? 1 + nameLength : 4
    }
    await this.#until(() => wire.received.length >= 6 + addressLength(), [wire])
    const length = 6 + addressLength()
    const reply = wire.received
    const isRead = await this.#seen('reply', length, (taken) => hex(taken.subarray(0, 3)))
    if (shows && isRead && reply[1] === 0)
      await this.#bound(reply.subarray(4, length - 2), reply.readUInt16BE(length - 2))
    return isRead
  }

  /** `dialled from`: what the origin sees as its peer; else as it stands, but for a port of the system's choice. */
  async #bound(address: Buffer, port: number): Promise<void> {
    const isOurs = (): boolean => this.#origin.wires.some(({ socket }) => socket.remotePort === port)
    if (port !== 0) await this.#origin.changed(isOurs, [], ACCEPT_MS)
    const shown = address.length === 4 ? address.join('.') : ipaddr.fromByteArray([...address]).toString()
    this.#note('bound', isOurs() ? 'dialled from' : `${shown}:${port === 0 ? 0 : 'other'}`)
  }

  async #echo(): Promise<boolean> {
    this.#client.send('ping')
    const wires = (): Wire | undefined => this.#origin.wires.find(({ received }) => received.includes('ping'))
    const how = await this.#until(() => wires() !== undefined, [this.#client])
    const wire = wires()
    if (wire === undefined) {
      this.#note('echo', how === 'silent' ? how : 'gone')
      return false
    }
    this.#wire = wire
    wire.take(wire.received.indexOf('ping') + 4)
    wire.send('pong')
    return this.#awaits(this.#client, 'echo', 'pong')
  }

  async #answer(method: string, shows: readonly string[]): Promise<boolean> {
    const wire = this.#client
    const interim: string[] = []
    const next = (): HttpMessage | undefined => {
      for (;;) {
        const message = readMessage(wire.received, { method, ended: wire.ending === 'end' })
        if (message === undefined || !/^HTTP\/1\.\d 1\d\d/.test(message.start)) return message
        interim.push(message.start.split(' ')[1] ?? '')
        wire.take(message.size)
      }
    }
    let message: HttpMessage | undefined
    const how = await this.#until(() => (message ??= next()) !== undefined, [wire])
    if (message === undefined) {
      const status = /^HTTP\/1\.\d (\d+)/.exec(wire.text)?.[1]
      this.#note(
        'status',
        status !== undefined ? `${status} cut off: ${how}` : how === 'silent' ? how : 'gone',
      )
      return false
    }
    wire.take(message.size)
    this.#note('status', message.start.split(' ')[1] ?? '')
    if (shows.includes('interim')) this.#note('interim', interim.join(' ') || 'none')
    this.#show('answer', message, shows)
    return true
  }

  async #request(shows: readonly string[]): Promise<boolean> {
    let found: { message: HttpMessage; wire: Wire } | undefined
    const look = (): boolean => {
      for (const wire of this.#origin.wires) {
        const message = readMessage(wire.received, { ended: wire.ending !== undefined })
        if (message !== undefined) found ??= { message, wire }
      }
      return found !== undefined
    }
    const isAnswered = (): boolean => /(?:^|\r\n)HTTP\/1\.\d [2-5]\d\d /.test(this.#client.text)
    const how = await this.#until(() => look() || isAnswered(), [this.#client])
    this.#absent = found === undefined
    if (found === undefined) {
      this.#note('request', how === 'silent' ? 'silent' : 'none')
      return how !== 'silent'
    }
    this.#wire = found.wire
    found.wire.take(found.message.size)
    this.#note('request', found.message.start)
    this.#show('request', found.message, shows)
    return true
  }

  #show(prefix: 'answer' | 'request', message: HttpMessage, shows: readonly string[]): void {
    const values = (name: string): string[] =>
      message.fields.filter(([field]) => field === name).map(([, value]) => value)
    for (const show of shows) {
      if (show === 'interim') continue
      const field = `${prefix}.${show.replace('?', '')}`
      if (show === 'body' || show === 'framing' || show === 'trailers') this.#note(field, message[show])
      else if (show === 'version') this.#note(field, /HTTP\/(1\.\d)/.exec(message.start)?.[1] ?? '')
      else if (show.endsWith('?'))
        this.#note(field, values(show.slice(0, -1)).length > 0 ? 'there' : 'absent')
      else this.#note(field, values(show).join(' | ') || 'absent')
    }
  }
}

function hex(received: Buffer): string {
  return [...received].map((byte) => byte.toString(16).padStart(2, '0')).join(' ')
}
