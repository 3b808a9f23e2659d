// A tunnel client by hand, up to the point that a scenario is about: TLS with any certificate and version, and
// what the gateway says before it was asked anything.
import type tls from 'node:tls'
import type { Stack } from './stacks.ts'
import { Wire } from './wire.ts'

export interface PeerOptions {
  readonly certificate?: string
  readonly key?: string
  readonly maxVersion?: tls.SecureVersion
  readonly session?: Buffer
}

/** Finishes the TLS handshake with the tunnel listener and sends nothing. Rejects where the handshake fails. */
export function reachTunnel(
  stack: Stack,
  { certificate, key, maxVersion, session }: PeerOptions,
): Promise<Wire> {
  return Wire.connectTls(stack.ports.tunnel, {
    ca: stack.authority,
    ...(certificate !== undefined && { cert: certificate, key }),
    ...(maxVersion !== undefined && { maxVersion }),
    ...(session !== undefined && { session }),
  })
}

/** The upgrade request that opens a tunnel. */
export const UPGRADE =
  'GET /tunnel HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n' +
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: sightline.v1\r\n\r\n'
