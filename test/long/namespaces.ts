// Real programs in network namespaces, and tcpdump beside them. Rule: what is started is ended by whoever holds it.
import type { ChildProcess } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { eventually } from '../support/eventually.ts'
import { Lines } from '../support/gateway-process.ts'
import { start, succeed } from '../support/programs.ts'

/** A program in a namespace, ended with whoever holds it. */
export class Program implements AsyncDisposable {
  readonly child: ChildProcess
  readonly out: Lines
  readonly err: Lines
  readonly ended: Promise<unknown>

  constructor(within: readonly string[], program: string, args: readonly string[]) {
    const [first = '', ...words] = [...within, program, ...args]
    this.child = start(first, words)
    this.child.stdin?.end()
    this.out = new Lines(this.child.stdout)
    this.err = new Lines(this.child.stderr)
    this.ended = new Promise((resolve) => this.child.once('close', resolve))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill('SIGKILL')
    await this.ended
  }
}

interface CaptureOptions {
  /** Words that lead into the namespace. */
  readonly within: readonly string[]
  readonly device: string
  readonly file: string
  /** An address behind that link: the last packet of the capture is sent there. */
  readonly beyond: string
  /** A filter of tcpdump's; what is sent to `beyond` has to pass it. */
  readonly filter?: string
}

/** tcpdump on a link. */
export class Capture implements AsyncDisposable {
  readonly #program: Program
  readonly #options: CaptureOptions

  private constructor(program: Program, options: CaptureOptions) {
    this.#program = program
    this.#options = options
  }

  static async start(options: CaptureOptions): Promise<Capture> {
    const { within, device, file, filter } = options
    const program = new Program(within, 'tcpdump', [
      ...['-i', device, '-n', '-U', '--immediate-mode', '-s', '0', '-Z', 'root', '-w', file],
      ...(filter === undefined ? [] : [filter]),
    ])
    await program.err.line(/listening on/)
    return new Capture(program, options)
  }

  /** What it wrote, once the last packet is in it: a datagram of our own says so. */
  async end(): Promise<Buffer> {
    const { within, file, beyond } = this.#options
    const mark = 'the-end-of-this-capture'
    const say = `echo -n ${mark} > /dev/udp/${beyond}/9`
    await succeed(within[0] ?? '', [...within.slice(1), 'bash', '-c', say])
    await eventually(async () => {
      if (!(await readFile(file)).includes(mark)) throw new Error('tcpdump has not written the end')
    })
    this.#program.child.kill('SIGINT')
    await this.#program.ended
    return readFile(file)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#program[Symbol.asyncDispose]()
  }
}
