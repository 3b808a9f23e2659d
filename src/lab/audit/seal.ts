// What lets an audit and its probe know each other through a proxy that neither trusts: a token that never travels, from
// which identities of audits are made and with which reports are sealed. Pure but for chance. Rule: whoever has not the
// token can neither be served by the probe nor speak for it.
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'

const TOKEN_BYTES = 20
const ID_BYTES = 10
/** Of the authenticator in an identity, in hex: with the random part one DNS label. */
const ID_SEAL_CHARACTERS = 20
const ID = /^[0-9a-f]{40}$/

/** 160 random bits in hex. */
export function newToken(): string {
  return randomBytes(TOKEN_BYTES).toString('hex')
}

/** A new identity of an audit: 20 random hex digits, and 20 that only a holder of the token can make of them. */
export function newId(token: string): string {
  const random = randomBytes(ID_BYTES).toString('hex')
  return random + idSeal(token, random)
}

export function isIdOf(token: string, id: string): boolean {
  if (!ID.test(id)) return false
  const random = id.slice(0, ID_BYTES * 2)
  return isSame(id.slice(random.length), idSeal(token, random))
}

/** A text with the HMAC-SHA256 (RFC 2104) over it and over the nonce that was asked with: an old one is none. */
export function seal(token: string, nonce: string, text: string): string {
  return JSON.stringify({ seal: mac(token, `report ${nonce}\n${text}`), text })
}

/** The text, or undefined where it was not sealed with this token for this nonce. */
export function unseal(token: string, nonce: string, sealed: string): string | undefined {
  let parts: unknown
  try {
    parts = JSON.parse(sealed)
  } catch {
    return undefined
  }
  if (typeof parts !== 'object' || parts === null || !('text' in parts) || !('seal' in parts))
    return undefined
  const { text, seal: given } = parts
  if (typeof text !== 'string' || typeof given !== 'string') return undefined
  return isSame(given, mac(token, `report ${nonce}\n${text}`)) ? text : undefined
}

function idSeal(token: string, random: string): string {
  return mac(token, `audit ${random}`).slice(0, ID_SEAL_CHARACTERS)
}

function mac(token: string, text: string): string {
  return createHmac('sha256', token).update(text).digest('hex')
}

function isSame(one: string, two: string): boolean {
  return one.length === two.length && timingSafeEqual(Buffer.from(one), Buffer.from(two))
}
