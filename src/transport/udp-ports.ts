// Takes a free UDP port out of a range, for relays behind a firewall that lets only these through. Rule: every
// port of the range is tried before the range is called exhausted; where to begin is chance, so that a port is not
// easily guessed.
import type { PortRange } from '../config/address.ts'
import { GatewayError } from '../errors.ts'
import { UdpSocket, type UdpSocketEvents } from './udp-socket.ts'

/**
 * Binds `address` to a port of `range`, or to any free one where there is none. `random`: 0 to 1. Errors:
 * `udp-ports-exhausted`; those of UdpSocket.bind but `address-in-use`.
 */
export async function bindUdpInRange(
  address: string,
  range: PortRange | undefined,
  random: () => number,
  events: UdpSocketEvents,
): Promise<UdpSocket> {
  if (range === undefined) return UdpSocket.bind({ address, port: 0 }, events)
  const count = range.last - range.first + 1
  const start = Math.floor(random() * count)
  for (let tried = 0; tried < count; tried += 1) {
    const port = range.first + ((start + tried) % count)
    try {
      return await UdpSocket.bind({ address, port }, events)
    } catch (thrown) {
      if (!(thrown instanceof GatewayError) || thrown.code !== 'address-in-use') throw thrown
    }
  }
  throw new GatewayError('udp-ports-exhausted', {
    hint: 'widen udp.ports of the inbound, or lower limits.udpAssociations',
  })
}
