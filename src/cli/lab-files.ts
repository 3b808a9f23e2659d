// What `sightline lab run` leaves in files. Rule: what cannot be written is said with the file's name and a way to mend it.
import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { GatewayError } from '../errors.ts'
import type { Recording } from '../lab/recording.ts'
import { captureFiles, captureFolder } from '../lab/captures.ts'
import type { CliIo } from './io.ts'

/** Writes `text` and says where it is; to `-` it is standard output, and nothing is said. Errors: `file-unusable`. */
export function writeOut(io: CliIo, what: string, file: string, text: string): void {
  if (file === '-') return io.out(text)
  write(file, `${text}\n`)
  io.err(`${what}: ${file}`)
}

/** Writes the capture files of a run into a folder of its own. Errors: `file-unusable`. */
export function writeCaptures(directory: string, recording: Recording): void {
  const folder = path.join(directory, captureFolder(recording.scenario))
  makeFolder(folder)
  for (const [name, bytes] of captureFiles(recording, performance.timeOrigin))
    write(path.join(folder, name), bytes)
}

/** Errors: `file-unusable`. */
export function makeFolder(directory: string): void {
  try {
    mkdirSync(directory, { recursive: true })
  } catch (cause) {
    throw new GatewayError('file-unusable', {
      cause,
      detail: `${directory} cannot be made`,
      hint: 'name a folder that this user may write to',
    })
  }
}

function write(file: string, content: string | Uint8Array): void {
  try {
    writeFileSync(file, content)
  } catch (cause) {
    throw new GatewayError('file-unusable', {
      cause,
      detail: `${file} cannot be written`,
      hint: 'check that its folder exists',
    })
  }
}
