// What has to stand beside a config before a gateway can start with it. Rules: everything that is missing is said at once,
// with the commands that make it; certificates for development are made only where SIGHTLINE_DEV_PKI=1 asks for them, and
// nothing that is there is ever replaced.
import { existsSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import type { Config } from '../config/schema.ts'
import { GatewayError } from '../errors.ts'
import { ensureDevelopmentPki } from '../pki/store.ts'
import type { CliIo } from './io.ts'

/** Errors: `file-unusable`. */
export async function provideFiles(config: Config, io: Pick<CliIo, 'env' | 'err'>): Promise<void> {
  const missing = (): string[] => namedFiles(config).filter((file) => !existsSync(file))
  const directories = new Set(missing().map((file) => path.dirname(file)))
  if (io.env['SIGHTLINE_DEV_PKI'] === '1') {
    for (const directory of directories) {
      const { made } = await ensureDevelopmentPki(directory, { hosts: [os.hostname().toLowerCase()] })
      if (made.length > 0) io.err(`made certificates for development in ${directory}: ${made.join(', ')}`)
    }
  }
  const still = missing()
  const [first] = still
  if (first === undefined) return
  const directory = path.dirname(first)
  throw new GatewayError('file-unusable', {
    detail: `missing: ${still.join(', ')}`,
    hint:
      `make them where the authority is, and copy them here: sightline pki init --dir DIR; ` +
      `sightline pki issue gateway --server --host NAME --dir DIR. To try it out, SIGHTLINE_DEV_PKI=1 makes ` +
      `certificates for development in ${directory}, which must be writable`,
  })
}

/** Certificates, keys and lists of the listeners. */
function namedFiles({ inbounds }: Config): string[] {
  const files = inbounds.flatMap(({ tls }) =>
    tls === undefined ? [] : [tls.certificate, tls.key, tls.clientAuthority, tls.revocationList],
  )
  return [...new Set(files)].filter((file) => file !== undefined)
}
