// What a SOCKS client sends, read from the start of a buffer: SOCKS5 (RFC 1928), its user name and password
// (RFC 1929), SOCKS4 and 4a. Rule: a decoder gives the message and its length, or undefined for "need more",
// or throws a GatewayError; no message can be longer than about 520 bytes.
import ipaddr from 'ipaddr.js'
import { GatewayError } from '../../errors.ts'
import type { Destination } from '../request.ts'

type SocksCommand = 'connect' | 'bind' | 'udp-associate'

export interface SocksRequest {
  readonly version: 4 | 5
  readonly form: 'socks4' | 'socks4a' | 'socks5'
  readonly command: SocksCommand
  readonly destination: Destination
  /** SOCKS4's claim of a user, which nothing proves; left out where it is empty. */
  readonly userId?: string
}

interface Decoded<Message> {
  readonly message: Message
  readonly length: number
}

const SOCKS4_FIELD_MAX_BYTES = 255
const SOCKS4_COMMANDS: Readonly<Record<number, SocksCommand>> = { 1: 'connect', 2: 'bind' }
const SOCKS5_COMMANDS: Readonly<Record<number, SocksCommand>> = { ...SOCKS4_COMMANDS, 3: 'udp-associate' }

/**
 * The methods that a SOCKS5 client offers (RFC 1928 §3); byte 0 is the version, which the caller has read.
 */
export function decodeGreeting(bytes: Uint8Array): Decoded<readonly number[]> | undefined {
  const count = bytes[1]
  if (count === undefined || bytes.length < 2 + count) return undefined
  return { message: [...bytes.subarray(2, 2 + count)], length: 2 + count }
}

/**
 * User name and password (RFC 1929 §2), read as UTF-8. Empty ones pass: whoever checks them says no. Errors:
 * `auth-failed` for bytes that are no UTF-8, which no stored user can have.
 */
export function decodePassword(bytes: Uint8Array): Decoded<{ user: string; password: string }> | undefined {
  const userLength = bytes[1]
  const passwordLength = userLength === undefined ? undefined : bytes[2 + userLength]
  if (userLength === undefined || passwordLength === undefined) return undefined
  const passwordAt = 3 + userLength
  const length = passwordAt + passwordLength
  if (bytes.length < length) return undefined
  try {
    const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
    const user = utf8.decode(bytes.subarray(2, 2 + userLength))
    return { message: { user, password: utf8.decode(bytes.subarray(passwordAt, length)) }, length }
  } catch (cause) {
    throw new GatewayError('auth-failed', { side: 'client', cause })
  }
}

/**
 * A SOCKS5 request (RFC 1928 §4). Errors: `address-type-unsupported` at once, since its length is unknown;
 * then, when the request is whole, `command-unsupported`, and `bad-request` for an empty or unprintable name
 * or, with connect, port 0 (zeros are lawful in the others, RFC 1928 §7).
 */
export function decodeSocks5Request(bytes: Uint8Array): Decoded<SocksRequest> | undefined {
  const addressType = bytes[3]
  if (addressType === undefined) return undefined
  const hostLength = socks5HostLength(addressType, bytes[4])
  if (hostLength === undefined) return undefined
  const hostAt = addressType === 3 ? 5 : 4
  const length = hostAt + hostLength + 2
  if (bytes.length < length) return undefined
  const hostBytes = bytes.subarray(hostAt, hostAt + hostLength)
  const command = SOCKS5_COMMANDS[bytes[1]!]
  if (command === undefined) throw new GatewayError('command-unsupported', { side: 'client' })
  const host = addressType === 3 ? readName(hostBytes) : formatAddress(hostBytes)
  const destination = { host, port: readPort(bytes, length - 2, command) }
  return { message: { version: 5, form: 'socks5', command, destination }, length }
}

/**
 * A SOCKS4 request, or a SOCKS4a one where the address is 0.0.0.x with x not 0 and a name follows the user
 * id. Errors: `bad-request` for a field of more than 255 bytes, an empty or unprintable name, port 0;
 * `command-unsupported`.
 */
export function decodeSocks4Request(bytes: Uint8Array): Decoded<SocksRequest> | undefined {
  if (bytes.length < 8) return undefined
  const userIdEnd = findNul(bytes, 8)
  if (userIdEnd === undefined) return undefined
  const userId = latin1(bytes.subarray(8, userIdEnd))
  const address = bytes.subarray(4, 8)
  const isNamed = address[0] === 0 && address[1] === 0 && address[2] === 0 && address[3] !== 0
  const nameEnd = isNamed ? findNul(bytes, userIdEnd + 1) : userIdEnd
  if (nameEnd === undefined) return undefined
  const command = SOCKS4_COMMANDS[bytes[1]!]
  if (command === undefined) throw new GatewayError('command-unsupported', { side: 'client' })
  const host = isNamed ? readName(bytes.subarray(userIdEnd + 1, nameEnd)) : formatAddress(address)
  const destination = { host, port: readPort(bytes, 2, command) }
  const form = isNamed ? 'socks4a' : 'socks4'
  const claim = userId === '' ? {} : { userId }
  return { message: { version: 4, form, command, destination, ...claim }, length: nameEnd + 1 }
}

/** Bytes of the address field, after its length byte; undefined where a name's length has not arrived. */
export function socks5HostLength(addressType: number, nameLength: number | undefined): number | undefined {
  if (addressType === 1) return 4
  if (addressType === 4) return 16
  if (addressType === 3) return nameLength
  throw new GatewayError('address-type-unsupported', { side: 'client' })
}

function readPort(bytes: Uint8Array, at: number, command: SocksCommand): number {
  const port = bytes[at]! * 256 + bytes[at + 1]!
  if (port === 0 && command === 'connect') throw malformed('the destination port is 0')
  return port
}

/** Which names are good is the policy's to say; here only what could not be one anywhere is refused. */
export function readName(bytes: Uint8Array): string {
  if (bytes.length === 0) throw malformed('the destination name is empty')
  if (!bytes.every((byte) => byte > 0x20 && byte < 0x7f)) {
    throw malformed('the destination name holds bytes that are not printable ASCII')
  }
  return latin1(bytes)
}

export function formatAddress(bytes: Uint8Array): string {
  return ipaddr.fromByteArray([...bytes]).toString()
}

/** Where the NUL that ends a SOCKS4 field stands; undefined while it has not arrived. */
function findNul(bytes: Uint8Array, from: number): number | undefined {
  const end = bytes.subarray(from, from + SOCKS4_FIELD_MAX_BYTES + 1).indexOf(0)
  if (end >= 0) return from + end
  if (bytes.length - from > SOCKS4_FIELD_MAX_BYTES) throw malformed('a SOCKS4 field is longer than 255 bytes')
  return undefined
}

function latin1(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes)
}

function malformed(detail: string): GatewayError {
  return new GatewayError('bad-request', { side: 'client', detail })
}
