// Reads files again by themselves when they change: users, certificates, revocation lists. Rules: a part is read once
// nothing of it has changed between two looks (a file may be half written, a key comes before its certificate), and what
// is not good once more before that is said; what cannot be read leaves what was read before; no request ever waits for a look at the disk. Looks, not events of the
// file system: those miss network file systems, bind mounts and the swapped links of Kubernetes.
import { statSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { toGatewayError, type GatewayError } from '../errors.ts'
import type { CertificateEnd } from './certificate-ends.ts'

/** What is read again together. A closed set: it stands in the log. */
export type WatchedPart = 'users' | 'certificate' | 'client-authority' | 'outbounds'

export interface Watched {
  readonly part: WatchedPart
  readonly files: readonly string[]
  /** Throws where it is not good, and has changed nothing then. */
  read(): void
  /** It was not good. */
  failed?(): void
  /** What of it ends, as it is in force. */
  ends?(): readonly CertificateEnd[]
  /** Nobody looks at it any more. */
  close?(): void
}

/** How files looked, by path: compared, never read. */
export type Looks = ReadonlyMap<string, string>

const LOOK_EVERY_MS = 300
/** What changes with every look is read all the same. */
const UNSETTLED_LOOKS_MAX = 3

export class FileWatch {
  #reported: (part: WatchedPart, error: GatewayError | undefined) => void
  #everyMs: number
  #parts: readonly Watched[] = []
  #seen = new Map<string, string>()
  #unsettled = new Map<Watched, number>()
  /** Not good when they were read, and to be read once more. */
  #suspect = new Set<Watched>()
  #timer: NodeJS.Timeout | undefined

  /** `reported` is told of each part that was read again, with what was wrong with it. */
  constructor(
    reported: (part: WatchedPart, error: GatewayError | undefined) => void,
    everyMs: number = LOOK_EVERY_MS,
  ) {
    this.#reported = reported
    this.#everyMs = everyMs
  }

  get parts(): readonly Watched[] {
    return this.#parts
  }

  /**
   * Takes the place of what was watched before. `looks` is from before the parts were read, so that nothing is missed;
   * without it nobody looks.
   */
  watch(parts: readonly Watched[], looks: Looks | undefined): void {
    this.close()
    this.#parts = parts
    this.#seen = new Map(looks)
    if (looks !== undefined && parts.length > 0) this.#lookAgain()
  }

  close(): void {
    clearTimeout(this.#timer)
    for (const part of this.#parts) part.close?.()
    this.#parts = []
    this.#unsettled.clear()
    this.#suspect.clear()
  }

  #lookAgain(): void {
    this.#timer = setTimeout(() => void this.#look(), this.#everyMs).unref()
  }

  async #look(): Promise<void> {
    const parts = this.#parts
    const files = [...new Set(parts.flatMap((part) => part.files))]
    const looks = await Promise.all(files.map(lookAt))
    if (parts !== this.#parts) return
    const changed = new Set(files.filter((file, index) => this.#seen.get(file) !== looks[index]))
    files.forEach((file, index) => this.#seen.set(file, looks[index] ?? ''))
    for (const part of parts) {
      const count = this.#unsettled.get(part) ?? 0
      const isChanged = part.files.some((file) => changed.has(file))
      if (isChanged && count < UNSETTLED_LOOKS_MAX) this.#unsettled.set(part, count + 1)
      else if (isChanged || count > 0) this.#read(part)
    }
    this.#lookAgain()
  }

  #read(part: Watched): void {
    this.#unsettled.delete(part)
    const wasSuspect = this.#suspect.delete(part)
    try {
      part.read()
      this.#reported(part.part, undefined)
    } catch (thrown) {
      // Perhaps the other half is still on its way: once more before anybody is told.
      if (!wasSuspect) {
        this.#suspect.add(part)
        this.#unsettled.set(part, 1)
        return
      }
      part.failed?.()
      this.#reported(part.part, toGatewayError(thrown, 'self', 'file-unusable'))
    }
  }
}

/** How they look now; taken before they are read. */
export function lookAtAll(files: readonly string[]): Looks {
  return new Map(
    files.map((file) => {
      const found = statSync(file, { throwIfNoEntry: false, bigint: true })
      return [file, found === undefined ? '' : describe(found)]
    }),
  )
}

function lookAt(file: string): Promise<string> {
  return stat(file, { bigint: true }).then(describe, () => '')
}

function describe(found: {
  dev: bigint
  ino: bigint
  size: bigint
  mtimeNs: bigint
  ctimeNs: bigint
}): string {
  return `${found.dev} ${found.ino} ${found.size} ${found.mtimeNs} ${found.ctimeNs}`
}
