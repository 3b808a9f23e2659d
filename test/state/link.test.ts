// The connection to the shared store, against a server that says what a test wants: what is wrong with it becomes a code,
// never a crash and never more memory than an answer may take.
import { writeFile } from 'node:fs/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { stateSchema, type StateConfig } from '../../src/config/state.ts'
import type { GatewayError } from '../../src/errors.ts'
import { ANSWER_BYTES_MAX, StateLink } from '../../src/state/link.ts'
import { eventually } from '../support/eventually.ts'
import { bulk, emptyStore, startStorePeer, type Answer, type StorePeer } from '../support/store-peer.ts'
import { tempDir, type TempDir } from '../support/temp-dir.ts'

let dir: TempDir
let peer: StorePeer
let links: StateLink[]
beforeEach(async () => {
  dir = await tempDir()
  peer = await startStorePeer()
  links = []
})
afterEach(async () => {
  for (const link of links) link.close()
  await peer[Symbol.asyncDispose]()
  await dir[Symbol.asyncDispose]()
})

interface Told {
  readonly changes: Array<string | undefined>
  calls: number
}

function connect(more: Partial<StateConfig> = {}): { readonly link: StateLink; readonly told: Told } {
  const told: Told = { changes: [], calls: 0 }
  const config = stateSchema.parse({
    redis: `redis://127.0.0.1:${peer.port}`,
    secretFile: 'secret',
    ...more,
  })
  const link = new StateLink(config, {
    changed: (up, code) => void told.changes.push(up ? 'up' : code),
    called: () => void (told.calls += 1),
  })
  links.push(link)
  link.open()
  return { link, told }
}

const standing = (link: StateLink): Promise<void> => eventually(() => expect(link.up).toBe(true))
const answering =
  (name: string, answer: Answer): Answer =>
  (command, socket) =>
    command[0]?.toUpperCase() === name ? answer(command, socket) : emptyStore(command, socket)
const codeOf = async (asked: Promise<unknown>): Promise<string> =>
  asked.then(
    () => 'answered',
    (error: GatewayError) => error.code,
  )

describe('the connection to the store', () => {
  it('asks, is called, and shows user and password', async () => {
    await writeFile(dir.file('password'), 'wort\n')
    const { link, told } = connect({ username: 'sightline', passwordFile: dir.file('password') })
    await standing(link)
    expect(peer.commands[0]).toEqual(['HELLO', '3', 'AUTH', 'sightline', 'wort'])
    peer.answer = answering('GET', (_command, socket) => {
      socket.write(`>3\r\n${bulk('message')}${bulk(link.channel)}${bulk('anything')}`)
      return bulk('held')
    })
    expect(await link.ask(['GET', 'key'])).toBe('held')
    expect(told).toEqual({ changes: ['up'], calls: 1 })
  })

  it('comes back after it was cut; meanwhile whoever asks is told at once', async () => {
    const { link, told } = connect()
    await standing(link)
    peer.answer = () => undefined
    const asked = codeOf(link.ask(['GET', 'key']))
    peer.cut()
    expect(await asked).toBe('state-unavailable')
    expect(await codeOf(link.ask(['GET', 'key']))).toBe('state-unavailable')
    peer.answer = emptyStore
    await standing(link)
    expect(await link.ask(['SET', 'key', 'value'])).toBe('OK')
    expect(told.changes.slice(0, 2)).toEqual(['up', 'state-unavailable'])
  })

  it.each([
    ['a wrong password', 'HELLO', '-WRONGPASS invalid username-password pair\r\n', 'state-auth-failed'],
    ['no access to the channel', 'SUBSCRIBE', '-NOPERM no permissions\r\n', 'state-auth-failed'],
    ['what is no RESP', 'HELLO', 'HTTP/1.1 400 Bad Request\r\n\r\n', 'state-unavailable'],
    ['an answer of another kind', 'SUBSCRIBE', '>1\r\n:1\r\n', 'state-unavailable'],
  ])('says so of %s', async (_what, name, answer, code) => {
    peer.answer = answering(name, () => answer)
    const { link, told } = connect({ timeoutMs: 2_000 })
    await eventually(() => expect(told.changes).toContain(code))
    expect(link.up).toBe(false)
  })

  it.each([
    ['of a wrong type', '-WRONGTYPE Operation against a key\r\n', 'state-invalid'],
    ['that is full', "-OOM command not allowed when used memory > 'maxmemory'\r\n", 'state-unavailable'],
    ['without access to a key', '-NOPERM no permissions to access a key\r\n', 'state-auth-failed'],
  ])('goes on after an answer %s', async (_what, answer, code) => {
    const { link, told } = connect()
    await standing(link)
    peer.answer = answering('GET', () => answer)
    expect(await codeOf(link.ask(['GET', 'key']))).toBe(code)
    expect(await link.ask(['SET', 'key', 'value'])).toBe('OK')
    expect(told.changes).toEqual(['up'])
  })

  it.each([
    ['an answer that nobody asked for', `${bulk('one')}${bulk('too many')}`],
    ['what is no RESP', `${bulk('good')}@nothing\r\n`],
    ['one that has become a copy of another', "-READONLY You can't write against a read only replica\r\n"],
  ])('does not go on after %s', async (_what, answer) => {
    const { link, told } = connect()
    await standing(link)
    peer.answer = answering('GET', () => answer)
    await codeOf(link.ask(['GET', 'key']))
    await eventually(() => expect(told.changes.length).toBeGreaterThan(1))
    await eventually(() => expect(told.changes.at(-1)).toBe('up'))
  })

  it('cuts an answer that has no end, or that does not come', async () => {
    const { link, told } = connect({ timeoutMs: 10_000 })
    await standing(link)
    let sent = 0
    const piece = 'x'.repeat(256 * 1024)
    peer.answer = answering('GET', (_command, socket) => {
      const flood = (): void => {
        while (socket.writable) {
          sent += piece.length
          if (!socket.write(piece)) return void socket.once('drain', flood)
        }
      }
      socket.write('$2000000000\r\n')
      flood()
      return undefined
    })
    expect(await codeOf(link.ask(['GET', 'key']))).toBe('state-invalid')
    // What lies in the buffers of the kernel between, too.
    expect(sent).toBeLessThan(ANSWER_BYTES_MAX * 3)
    await eventually(() => expect(told.changes).toContain('state-invalid'))

    const { link: patient } = connect({ timeoutMs: 500 })
    await standing(patient)
    peer.answer = answering('GET', () => undefined)
    expect(await codeOf(patient.ask(['GET', 'key']))).toBe('state-unavailable')
  })

  it('is closed for good', async () => {
    const { link } = connect()
    await standing(link)
    link.close()
    await eventually(() => expect(peer.connections).toBe(0))
    expect(await codeOf(link.ask(['GET', 'key']))).toBe('state-unavailable')
  })
})
