// The files that the settings of the shared store name. Rule: an error names the file and the setting, never what it holds.
import { readText } from '../config/load.ts'
import type { StateConfig } from '../config/state.ts'
import { GatewayError } from '../errors.ts'
import { certificatesFromPem } from '../pki/pem.ts'

const SECRET_CHARS_MIN = 32

/** What names and addresses are hashed with. Errors: `file-unusable`. */
export function readSecret({ secretFile }: StateConfig): string {
  const secret = readText(secretFile, 'state.secretFile').trim()
  if (secret.length >= SECRET_CHARS_MIN) return secret
  throw new GatewayError('file-unusable', {
    detail: `state.secretFile ${secretFile}: it has fewer than ${SECRET_CHARS_MIN} characters`,
    hint: 'make it once, and give every replica the same: openssl rand -base64 32',
  })
}

/** Undefined where the settings name none. Errors: `file-unusable`. */
export function readStatePassword({ passwordFile }: StateConfig): string | undefined {
  if (passwordFile === undefined) return undefined
  const password = readText(passwordFile, 'state.passwordFile').replace(/\r?\n$/, '')
  if (password !== '') return password
  throw new GatewayError('file-unusable', {
    detail: `state.passwordFile ${passwordFile}: it is empty`,
    hint: 'write the password alone, on one line',
  })
}

/** PEM; undefined where the settings name none. Errors: `file-unusable`, `pki-invalid`. */
export function readStateAuthority({ authority }: StateConfig): string | undefined {
  if (authority === undefined) return undefined
  const pem = readText(authority, 'state.authority')
  try {
    certificatesFromPem(pem)
  } catch (cause) {
    const detail = `state.authority ${authority}: it holds no certificate that can be read`
    throw new GatewayError('pki-invalid', { cause, detail, hint: 'give the PEM file of the authority' })
  }
  return pem
}

/** Reads them all, as a start would. Errors as above. */
export function checkStateFiles(config: StateConfig): void {
  readSecret(config)
  readStatePassword(config)
  readStateAuthority(config)
}
