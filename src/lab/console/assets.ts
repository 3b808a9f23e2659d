// The page's built files, held in memory and compressed once. Rule: only what the build made is served, by exact name,
// so that no path of a request ever reaches the file system.
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import zlib from 'node:zlib'
import { GatewayError } from '../../errors.ts'

export interface Asset {
  readonly type: string
  readonly body: Buffer
  readonly brotli: Buffer
  /** The name holds a hash of the content: it may be kept for ever. */
  readonly immutable: boolean
  readonly etag: string
}

/** Beside the compiled program, and found from the sources too: both stand three folders below the project. */
export const BUILT_PAGE = path.join(import.meta.dirname, '../../../dist/console')

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
}

/** Every file by its path in the address. Errors: `file-unusable` where nothing has been built. */
export function loadAssets(directory: string): ReadonlyMap<string, Asset> {
  const assets = new Map<string, Asset>()
  try {
    for (const name of readdirSync(directory, { recursive: true, encoding: 'utf8' })) {
      const type = TYPES[path.extname(name)]
      if (type === undefined) continue
      const body = readFileSync(path.join(directory, name))
      const place = name === 'index.html' ? '/' : `/${name.split(path.sep).join('/')}`
      assets.set(place, {
        type,
        body,
        brotli: zlib.brotliCompressSync(body),
        immutable: place.startsWith('/assets/'),
        etag: `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`,
      })
    }
  } catch (cause) {
    throw unbuilt(directory, cause)
  }
  if (!assets.has('/')) throw unbuilt(directory)
  return assets
}

function unbuilt(directory: string, cause?: unknown): GatewayError {
  return new GatewayError('file-unusable', {
    cause,
    detail: `the console's page is not in ${directory}`,
    hint: 'npm run build makes it (npm ci does so too)',
  })
}
