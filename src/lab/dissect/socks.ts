// Reads both directions of a captured SOCKS handshake: SOCKS4, 4a (its protocol memos) and 5 (RFC 1928, user
// and password RFC 1929). Rule: reads as far as the bytes go and says how far that was; bytes that are no
// SOCKS at all are `bad-request`.
import { formatAddress } from '../../policy/ip-address.ts'
import { malformed } from './byte-reader.ts'
import type { Field } from './field.ts'
import { SocksCursor } from './socks-cursor.ts'

export interface SocksDissection {
  readonly variant: 'socks4' | 'socks4a' | 'socks5'
  /**
   * socks.version, socks.user, socks.password, socks.command, socks.request.host or .name, socks.request_p.
   */
  readonly client: readonly Field[]
  /** socks.method, socks.status, socks.bound.host or .name, socks.bound_p. */
  readonly server: readonly Field[]
  /** `unfinished`: the bytes end first, or an authentication method stands here that this does not read. */
  readonly outcome: 'granted' | 'refused' | 'unfinished'
  /** Offsets of the first byte after the handshake on each side; only where it was granted. */
  readonly payload: { readonly client: number; readonly server: number } | undefined
}

type Outcome = SocksDissection['outcome']

const SOCKS4_GRANTED = 90
const METHOD = { none: 0, password: 2, refused: 0xff } as const
const ADDRESS_TYPE = { ipv4: 1, name: 3, ipv6: 4 } as const
const COMMANDS: Readonly<Record<number, string>> = { 1: 'connect', 2: 'bind', 3: 'udp-associate' }

/** Undefined before the client's first byte. Throws `bad-request` at bytes that are not SOCKS. */
export function dissectSocks(streams: {
  client: Uint8Array
  server: Uint8Array
}): SocksDissection | undefined {
  const version = streams.client[0]
  if (version === undefined) return undefined
  const client = new SocksCursor(streams.client)
  const server = new SocksCursor(streams.server)
  client.number('socks.version', 1)
  if (version === 4) return dissectSocks4(client, server)
  if (version === 5) return dissection('socks5', client, server, dissectSocks5(client, server))
  throw malformed('the first byte is not a SOCKS version')
}

function dissectSocks4(client: SocksCursor, server: SocksCursor): SocksDissection {
  readCommand(client)
  const port = client.number(undefined, 2)
  const address = client.bytes(4)
  const named =
    address !== undefined && address[0] === 0 && address[1] === 0 && address[2] === 0 && address[3] !== 0
  const variant = named ? 'socks4a' : 'socks4'
  if (port !== undefined) client.noteAt('socks.request_p', String(port), 2, 2)
  if (address !== undefined && !named) client.noteAt('socks.request.host', address.join('.'), 4, 4)
  const user = client.text0('socks.user')
  const whole = user !== undefined && (!named || client.text0('socks.request.name') !== undefined)
  return dissection(variant, client, server, whole ? readSocks4Reply(server) : 'unfinished')
}

function readSocks4Reply(server: SocksCursor): Outcome {
  const version = server.number(undefined, 1)
  if (version !== undefined && version !== 0) throw malformed('the answer is not a SOCKS4 reply')
  const status = server.number('socks.status', 1)
  const port = server.number('socks.bound_p', 2)
  const address = server.bytes(4)
  if (status === undefined || port === undefined || address === undefined) return 'unfinished'
  server.noteAt('socks.bound.host', address.join('.'), server.at - 4, 4)
  return status === SOCKS4_GRANTED ? 'granted' : 'refused'
}

function dissectSocks5(client: SocksCursor, server: SocksCursor): Outcome {
  const offered = client.bytes(client.number(undefined, 1))
  if (offered === undefined) return 'unfinished'
  requireVersion(server, 5)
  const method = server.number('socks.method', 1)
  if (method === undefined) return 'unfinished'
  if (method === METHOD.refused) return 'refused'
  if (!offered.includes(method)) throw malformed('the server chose a method that was not offered')
  if (method === METHOD.password) {
    const outcome = readPassword(client, server)
    if (outcome !== 'granted') return outcome
  } else if (method !== METHOD.none) {
    return 'unfinished'
  }
  requireVersion(client, 5)
  readCommand(client)
  if (client.bytes(1) === undefined || !readAddress(client, 'socks.request')) return 'unfinished'
  requireVersion(server, 5)
  const status = server.number('socks.status', 1)
  if (server.bytes(1) === undefined || !readAddress(server, 'socks.bound')) return 'unfinished'
  return status === 0 ? 'granted' : 'refused'
}

/** RFC 1929 section 2. */
function readPassword(client: SocksCursor, server: SocksCursor): Outcome {
  requireVersion(client, 1)
  const user = client.text8('socks.user')
  const password = client.text8('socks.password')
  if (user === undefined || password === undefined) return 'unfinished'
  requireVersion(server, 1)
  const status = server.number('socks.auth_status', 1)
  if (status === undefined) return 'unfinished'
  return status === 0 ? 'granted' : 'refused'
}

function readCommand(client: SocksCursor): void {
  const command = client.number(undefined, 1)
  if (command === undefined) return
  const name = COMMANDS[command]
  if (name === undefined) throw malformed(`${command} is not a SOCKS command`)
  client.noteAt('socks.command', name, client.at - 1, 1)
}

/** Address and port as `prefix.host` or `prefix.name`, and `prefix_p`; false when the bytes end first. */
function readAddress(cursor: SocksCursor, prefix: string): boolean {
  const type = cursor.number(undefined, 1)
  if (type === undefined) return false
  if (type === ADDRESS_TYPE.name) {
    if (cursor.text8(`${prefix}.name`) === undefined) return false
  } else if (type === ADDRESS_TYPE.ipv4 || type === ADDRESS_TYPE.ipv6) {
    const address = cursor.bytes(type === ADDRESS_TYPE.ipv4 ? 4 : 16)
    if (address === undefined) return false
    cursor.noteAt(`${prefix}.host`, formatAddress([...address]), cursor.at - address.length, address.length)
  } else {
    throw malformed(`${type} is not a SOCKS address type`)
  }
  return cursor.number(`${prefix}_p`, 2) !== undefined
}

function requireVersion(cursor: SocksCursor, wanted: number): void {
  const version = cursor.number(undefined, 1)
  if (version !== undefined && version !== wanted)
    throw malformed(`version ${version} stands where ${wanted} must`)
}

function dissection(
  variant: SocksDissection['variant'],
  client: SocksCursor,
  server: SocksCursor,
  outcome: Outcome,
): SocksDissection {
  const payload = outcome === 'granted' ? { client: client.at, server: server.at } : undefined
  return { variant, client: client.fields, server: server.fields, outcome, payload }
}
