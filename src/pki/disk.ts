// Files of an authority, as a crash may find them. Rules: a file is whole or absent (written beside, flushed, renamed,
// and the directory flushed too); keys are 0600 from their first byte; one writer at a time holds the lock, and the lock
// of a process that is dead holds nobody up.
import { randomBytes } from 'node:crypto'
import { access, link, mkdir, open, readdir, readFile, rename, rm, rmdir, stat } from 'node:fs/promises'
import { hostname } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { GatewayError } from '../errors.ts'

const PRIVATE_MODE = 0o600
const LOCK_FILE = '.lock'
const LOCK_POLL_MS = 25
/** Longer than anybody takes between making a lock and writing into it, or to take a dead one away. */
const UNFINISHED_MS = 5_000
const NOBODY = '-'
/** What `writeFileAtomically` leaves behind where the process is killed, of the files that an authority writes. */
const LEFT_BEHIND = /^\.(index\.json|.+\.(crt|key|crl|csr))\.[0-9a-f]{12}\.tmp$/
/** What is about to be a lock, whole before it stands in its place. */
const COMING_LOCK = /^\.lock\.[0-9a-f]{12}$/

/** Writes beside the target, flushes, renames, flushes. `mode` holds from the first byte. Throws `file-unusable`. */
export async function writeFileAtomically(
  path: string,
  content: string | Uint8Array,
  mode: number,
): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`)
  const writeAndRename = async (): Promise<void> => {
    {
      await using file = await open(temporary, 'wx', mode)
      await file.writeFile(content)
      await file.sync()
    }
    await rename(temporary, path)
    await syncDirectory(dirname(path))
  }
  await guard(`cannot write ${path}`, writeAndRename()).catch(async (error: unknown) => {
    await rm(temporary, { force: true })
    throw error
  })
}

/** Without it the new name may be gone after a loss of power. Not every system can flush a directory. */
async function syncDirectory(path: string): Promise<void> {
  try {
    await using directory = await open(path, 'r')
    await directory.sync()
  } catch {
    // The file itself is flushed.
  }
}

/** Throws `file-unusable`. */
export async function readText(path: string): Promise<string> {
  return guard(`cannot read ${path}`, readFile(path, 'utf8'))
}

/** Throws `file-unusable`. */
export async function makeDirectory(path: string): Promise<void> {
  await guard(`cannot make ${path}`, mkdir(path, { recursive: true }))
}

export async function removeFile(path: string): Promise<void> {
  await guard(`cannot remove ${path}`, rm(path, { force: true }))
}

export async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}

/**
 * Runs `work` while no other process writes in `dir`, which must be there. Throws `file-unusable` where one goes on for
 * longer than `waitMs`.
 */
export async function withLock<T>(dir: string, waitMs: number, work: () => Promise<T>): Promise<T> {
  const path = join(dir, LOCK_FILE)
  const deadline = performance.now() + waitMs
  const holder = await describeSelf()
  while (!(await takeLock(dir, path, holder))) {
    if (await removeDead(path)) continue
    if (performance.now() >= deadline) {
      throw new GatewayError('file-unusable', {
        detail: `another process is writing in ${dir}`,
        hint: `wait for it; if there is none, remove ${path}`,
      })
    }
    await wait(LOCK_POLL_MS)
  }
  try {
    await clearAway(dir)
    return await work()
  } finally {
    await rm(path, { force: true })
    held.delete(holder)
  }
}

/** Locks of this process: in a container, the one before it had the same number. */
const held = new Set<string>()

/** A line that names this process, and no other that has its number later, and this call. */
async function describeSelf(): Promise<string> {
  const { pid, start } = (await processAt('self')) ?? { pid: NOBODY, start: NOBODY }
  return `${pid} ${start} ${hostname()} ${randomBytes(6).toString('hex')}`
}

/** Its number, and when it started in ticks since the machine did: proc_pid_stat(5), fields 1 and 22. Linux only. */
async function processAt(name: string): Promise<{ pid: string; start: string } | undefined> {
  const line = await readFile(`/proc/${name}/stat`, 'latin1').catch(() => undefined)
  if (line === undefined) return undefined
  const [start = NOBODY] = line
    .slice(line.lastIndexOf(')') + 2)
    .split(' ')
    .slice(19)
  return { pid: line.slice(0, line.indexOf(' ')), start }
}

/** Linked, not opened: a lock that says nothing of its holder could not be told from that of one who died just then. */
async function takeLock(dir: string, path: string, holder: string): Promise<boolean> {
  const coming = `${path}.${randomBytes(6).toString('hex')}`
  held.add(holder)
  try {
    await using file = await open(coming, 'wx', PRIVATE_MODE)
    await file.writeFile(holder)
    await link(coming, path)
    return true
  } catch (cause) {
    held.delete(holder)
    if (errno(cause) === 'EEXIST') return false
    throw unusable(`cannot write in ${dir}`, cause)
  } finally {
    await rm(coming, { force: true })
  }
}

/** Takes a lock away whose process is dead; true where it did. Those who want to do so take turns. */
async function removeDead(path: string): Promise<boolean> {
  if (!(await isDead(path))) return false
  const turn = `${path}.turn`
  try {
    await mkdir(turn)
  } catch {
    if (await isOld(turn)) await rmdir(turn).catch(() => {})
    return false
  }
  try {
    // Again: whoever had the turn before may have taken it away, and somebody new be holding it.
    if (!(await isDead(path))) return false
    await rm(path, { force: true })
    return true
  } finally {
    await rmdir(turn).catch(() => {})
  }
}

async function isDead(path: string): Promise<boolean> {
  const holder = await readFile(path, 'utf8').catch(() => undefined)
  if (holder === undefined) return false
  const [pid = '', start = '', host = ''] = holder.split(' ')
  if (host === '') return isOld(path)
  // What runs on another machine, or in another container, cannot be seen from here; nor can anything without /proc.
  if (host !== hostname() || pid === NOBODY) return false
  if (held.has(holder)) return false
  const running = await processAt(pid)
  const isOwn = running?.start === start && running.pid === (await processAt('self'))?.pid
  return running?.start !== start || isOwn
}

async function isOld(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined)
  return found !== undefined && Date.now() - found.mtimeMs > UNFINISHED_MS
}

/** What somebody who died was writing is nobody's, and may hold a key. */
async function clearAway(dir: string): Promise<void> {
  for (const file of await readdir(dir)) {
    const isOver = LEFT_BEHIND.test(file) || (COMING_LOCK.test(file) && (await isOld(join(dir, file))))
    if (isOver) await rm(join(dir, file), { force: true })
  }
}

async function guard<T>(what: string, work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (cause) {
    throw unusable(what, cause)
  }
}

const REASONS: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  ENOENT: 'there is no such file or directory',
  ENOTDIR: 'a part of its path is not a directory',
  EISDIR: 'it is a directory',
  EEXIST: 'it is not a directory',
  ENOSPC: 'the disk is full',
  EROFS: 'the file system is read-only',
}

function unusable(what: string, cause: unknown): GatewayError {
  const reason = REASONS[errno(cause)] ?? errno(cause)
  return new GatewayError('file-unusable', {
    detail: `${what}: ${reason}`,
    hint: 'check the path and its permissions',
    cause,
  })
}

function errno(thrown: unknown): string {
  return thrown instanceof Error && 'code' in thrown ? String(thrown.code) : 'unknown error'
}
