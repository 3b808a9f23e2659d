// The wires between the parties: every link with its tap, and what passed on each. Rule: a link is named for where it
// leads (access: to the gateway; exit: to the site; resolver: to the name server), whoever is on its near end.
import type { CapturedConnection, Endpoint } from './capture.ts'
import { Recorder } from './capture.ts'
import { Tap } from './tap.ts'
import { UdpTap } from './udp-tap.ts'

export const LINKS = ['access', 'exit', 'resolver'] as const
export type Link = (typeof LINKS)[number]
export type Recorded = Readonly<Record<Link, readonly CapturedConnection[]>>

export const NOTHING_RECORDED: Recorded = { access: [], exit: [], resolver: [] }

const SETTLE_MS = 5_000

export class Wires {
  #recorders: Readonly<Record<Link, Recorder>> = {
    access: new Recorder(),
    exit: new Recorder(),
    resolver: new Recorder(),
  }
  #taps: Tap[] = []
  #udpTaps: UdpTap[] = []

  /** A wire that carries connections to `onward`; gives where its near end is. Errors: `listen-failed`. */
  async tcp(link: Link, onward: Endpoint, listen = { address: onward.address, port: 0 }): Promise<Endpoint> {
    const tap = await Tap.start({ listen, onward, recorder: () => this.#recorders[link] })
    this.#taps.push(tap)
    return tap.address
  }

  /** As `tcp`, for datagrams. `carries` is where the record says that they go, if not to the near end. */
  async udp(
    link: Link,
    onward: Endpoint,
    {
      listen = { address: onward.address, port: 0 },
      carries,
    }: { listen?: Endpoint; carries?: Endpoint } = {},
  ): Promise<Endpoint> {
    const tap = await UdpTap.start({ listen, onward, carries, recorder: () => this.#recorders[link] })
    this.#udpTaps.push(tap)
    return tap.address
  }

  /** A wire for both, on one port number: a name server has one. Errors: `address-in-use`, `listen-failed`. */
  async both(link: Link, onward: Endpoint): Promise<Endpoint> {
    const tries = 20
    for (let left = tries; ; left -= 1) {
      const listen = await this.tcp(link, onward)
      try {
        return await this.udp(link, onward, { listen })
      } catch (thrown) {
        this.#taps.pop()?.close()
        if (left === 0) throw thrown
      }
    }
  }

  /** Waits until everything under way has passed; false where something never ended, and was reset. */
  async settled(): Promise<boolean> {
    const deadline = AbortSignal.timeout(SETTLE_MS)
    const ended = await Promise.all(this.#taps.map((tap) => tap.settled(deadline)))
    for (const tap of this.#udpTaps) tap.endFlows()
    return ended.every(Boolean)
  }

  /** Calls `told` after each frame, from now on. */
  watch(told: (() => void) | undefined): void {
    for (const link of LINKS) this.#recorders[link].passed = told
  }

  /** What is recorded so far; it goes on growing. */
  peek(): Recorded {
    return this.#each((recorder) => recorder.peek())
  }

  /** Gives what was recorded, and begins anew. */
  take(): Recorded {
    return this.#each((recorder) => recorder.take())
  }

  close(): void {
    for (const tap of [...this.#taps, ...this.#udpTaps]) tap.close()
  }

  #each(give: (recorder: Recorder) => readonly CapturedConnection[]): Recorded {
    return {
      access: give(this.#recorders.access),
      exit: give(this.#recorders.exit),
      resolver: give(this.#recorders.resolver),
    }
  }
}
