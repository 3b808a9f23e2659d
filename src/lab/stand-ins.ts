// Where this machine has only 127.0.0.1 (macOS without aliases), ports stand for parties: every socket is on that one
// address, and what is recorded is written with the address that its port stands for. Pure. Rule: the bytes are never
// changed, so an address that a message holds is known by the port behind it.
import type { CapturedConnection, Endpoint } from './capture.ts'
import type { Parties } from './parties.ts'
import type { Link, Recorded } from './wires.ts'

export const ONLY_ADDRESS = '127.0.0.1'

/** Ports that are known to be somebody's. */
export interface Ports {
  /** From which the user's machine sent. */
  readonly client: ReadonlySet<number>
  /** At which the client finds the name server; the gateway finds it at another. */
  readonly clientResolver: number
  /** At which the site is found. */
  readonly site: ReadonlySet<number>
}

/** What was recorded, with each party's address in the place of the one that all share. */
export function withStandIns(recorded: Recorded, parties: Parties, ports: Ports): Recorded {
  const near: Record<Link, (connection: CapturedConnection) => string> = {
    access: () => parties.client,
    exit: ({ from }) => (ports.client.has(from.port) ? parties.client : parties.gateway),
    resolver: ({ to }) => (to.port === ports.clientResolver ? parties.client : parties.gateway),
  }
  const far: Record<Link, string> = {
    access: parties.gateway,
    exit: parties.destination,
    resolver: parties.resolver,
  }
  const renamed = (link: Link): CapturedConnection[] =>
    recorded[link].map((connection) => {
      const address = near[link](connection)
      const { from, to, seenAs } = connection
      return {
        ...connection,
        from: { ...from, address },
        to: { ...to, address: far[link] },
        seenAs: seenAs && { ...seenAs, address },
      }
    })
  return { access: renamed('access'), exit: renamed('exit'), resolver: renamed('resolver') }
}

/** Who connected to the site, by the ports that its taps dialled from. */
export function clientsWithStandIns(clients: readonly Endpoint[], { exit }: Recorded): Endpoint[] {
  return clients.map((client) => exit.find(({ seenAs }) => seenAs?.port === client.port)?.seenAs ?? client)
}

/** What a reader has to know of such a measurement. */
export function standInNotes(parties: Parties): string[] {
  return [
    `this machine has only ${ONLY_ADDRESS}: ports tell the parties apart, and the addresses shown stand for them`,
    ...Object.entries(parties).map(
      ([party, address]: [string, string]) => `${address} stands for the ${party}`,
    ),
    `an address that a message holds is known by the port behind it; one that stands in a text cannot be told apart`,
  ]
}
