// Checks the Finished messages of a decrypted TLS 1.3 handshake against everything said before them (RFC
// 8446 sections 4.4.1 and 4.4.4). Rule: the hellos are cleartext that no record tag covers; only this ties
// them, and what they say of names, groups and ciphers, to the connection that was decrypted.
import { createHash, createHmac } from 'node:crypto'
import { hkdfExpandLabel, type CipherSuite, type SecretSource } from './key-schedule.ts'
import { failed } from './record-protection.ts'

const MESSAGE = { clientHello: 1, finished: 20, messageHash: 254 } as const
const MESSAGE_HEADER_BYTES = 4

/**
 * `client` and `server` are each side's handshake messages with their headers, hellos first. True where the
 * server's Finished was there and fits, the client's too where it is there; false where it was not captured
 * and nothing could be checked. Throws `tls-failed` where one does not fit what stands before it.
 */
export function verifyFinished(
  suite: CipherSuite,
  secrets: SecretSource,
  client: readonly Uint8Array[],
  server: readonly Uint8Array[],
): boolean {
  const serverFinished = server.findIndex((message) => message[0] === MESSAGE.finished)
  if (serverFinished === -1) return false
  const retried = client[1]?.[0] === MESSAGE.clientHello
  const hellos = retried ? retriedHellos(suite, client, server) : [client[0], server[0]]
  const transcript = [...hellos, ...server.slice(retried ? 2 : 1, serverFinished)].filter(
    (message) => message !== undefined,
  )
  check(suite, secrets('SERVER_HANDSHAKE_TRAFFIC_SECRET'), transcript, server[serverFinished], 'server')

  const clientFinished = client.findIndex((message) => message[0] === MESSAGE.finished)
  if (clientFinished === -1) return true
  const rest = [
    ...server.slice(serverFinished, serverFinished + 1),
    ...client.slice(retried ? 2 : 1, clientFinished),
  ]
  const secret = secrets('CLIENT_HANDSHAKE_TRAFFIC_SECRET')
  check(suite, secret, [...transcript, ...rest], client[clientFinished], 'client')
  return true
}

/** After a HelloRetryRequest the first ClientHello counts as its hash alone (RFC 8446 section 4.4.1). */
function retriedHellos(
  suite: CipherSuite,
  client: readonly Uint8Array[],
  server: readonly Uint8Array[],
): (Uint8Array | undefined)[] {
  const digest = createHash(suite.hash)
    .update(client[0] ?? new Uint8Array())
    .digest()
  const first = Buffer.concat([Buffer.from([MESSAGE.messageHash, 0, 0, digest.length]), digest])
  return [first, server[0], client[1], server[1]]
}

function check(
  suite: CipherSuite,
  secret: Uint8Array,
  transcript: readonly Uint8Array[],
  finished: Uint8Array | undefined,
  side: 'client' | 'server',
): void {
  const key = hkdfExpandLabel(suite.hash, secret, 'finished', suite.hashBytes)
  const digest = createHash(suite.hash).update(Buffer.concat(transcript)).digest()
  const expected = createHmac(suite.hash, key).update(digest).digest()
  if (finished === undefined || !expected.equals(finished.subarray(MESSAGE_HEADER_BYTES))) {
    throw failed(`the ${side}'s Finished does not fit the captured handshake`)
  }
}
