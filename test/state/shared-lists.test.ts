// Revocation lists that replicas give each other through a store: a later one is taken, an earlier one replaced, and what
// the authority has not signed counts for nothing, whoever put it there.
import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { X509Certificate } from 'node:crypto'
import { openAuthority } from '../../src/pki/authority.ts'
import { ClientTrust } from '../../src/pki/judge.ts'
import { createRevocationList } from '../../src/pki/revocation-list.ts'
import { SharedLists } from '../../src/state/shared-lists.ts'
import { makeTestPki, type TestPki } from '../support/pki.ts'

const NOW = new Date()
const DAY_MS = 86_400_000
let pki: TestPki
beforeAll(async () => void (pki = await makeTestPki()))

/** The number and the revoked serials of a list. */
async function listOf(
  number: number,
  serials: readonly string[],
  by = pki.authority,
  now = NOW,
): Promise<string> {
  const revocations = serials.map((serial) => ({ serial, revokedAt: now }))
  return (await createRevocationList(openAuthority(by), { revocations, number, now })).pem
}

/** A store in memory. */
class Store {
  readonly held = new Map<string, string>()
  readonly commands: string[] = []
  readonly channel = 'test:changed'
  ask(command: readonly string[]): Promise<unknown> {
    const [name = '', key = '', value = '', end = ''] = command
    this.commands.push(name)
    if (name === 'SET') this.held.set(key, value)
    if (name === 'GETRANGE')
      return Promise.resolve((this.held.get(key) ?? '').slice(Number(value), Number(end) + 1))
    return Promise.resolve('OK')
  }
}

class Replica {
  trust: ClientTrust
  changes = 0
  refused = 0
  readonly lists: SharedLists

  constructor(store: Store, revocationList: string, authorities = pki.authority.certificate) {
    this.trust = ClientTrust.load({ authorities, revocationList })
    this.lists = new SharedLists({
      link: store,
      prefix: 'test',
      kept: { read: () => Promise.resolve(undefined), keep: () => Promise.resolve() },
      trusts: () => [this.trust],
      changed: () => {
        this.changes += 1
        this.trust = this.lists.merge(this.trust)
      },
      refused: () => void (this.refused += 1),
    })
  }

  /** Its own file has changed. */
  read(revocationList: string): void {
    this.trust = this.lists.merge(
      ClientTrust.load({ authorities: pki.authority.certificate, revocationList }),
    )
  }

  judge(certificate: string): string {
    try {
      return this.trust.judge(new X509Certificate(certificate), new Date()).identity
    } catch (thrown) {
      return (thrown as { code: string }).code
    }
  }
}

let store: Store
beforeEach(() => void (store = new Store()))
const key = (): string => [...store.held.keys()][0] ?? ''

describe('shared revocation lists', () => {
  it('reach a replica whose file knows nothing of them, and stay although its file is read again', async () => {
    const [one, other] = [new Replica(store, await listOf(1, [])), new Replica(store, await listOf(1, []))]
    await one.lists.sync()
    await other.lists.sync()
    expect(other.judge(pki.client.certificate)).toBe('alice')
    one.read(await listOf(2, [pki.client.serial]))
    await one.lists.sync()
    await other.lists.sync()
    expect(other.judge(pki.client.certificate)).toBe('certificate-revoked')
    expect([one.changes, other.changes]).toEqual([0, 1])
    other.read(await listOf(1, []))
    expect(other.judge(pki.client.certificate)).toBe('certificate-revoked')
    other.read(await listOf(3, []))
    expect(other.judge(pki.client.certificate)).toBe('alice')
  })

  it('are looked at without being read again where nothing has changed', async () => {
    const one = new Replica(store, await listOf(1, []))
    await one.lists.sync()
    expect(store.commands).toEqual(['GETRANGE', 'SET', 'PUBLISH'])
    await one.lists.sync()
    expect(store.commands.slice(3)).toEqual(['GETRANGE'])
  })

  it('take the place of an earlier one in the store, and of what is none', async () => {
    const one = new Replica(store, await listOf(5, []))
    await one.lists.sync()
    const good = store.held.get(key())
    for (const bad of [
      '',
      'x',
      '4\nearlier',
      '999\nno list',
      `6\n${await listOf(4, [])}`,
      'x'.repeat(4_000_000),
    ]) {
      store.held.set(key(), bad)
      await one.lists.sync()
      expect(store.held.get(key())).toBe(good)
    }
    expect(one.changes).toBe(0)
    expect(one.refused).toBe(2)
  })

  it('do not let anybody in or out whom the authority has not: forged, of another authority, older, cut', async () => {
    const revoked = await listOf(5, [pki.client.serial])
    const one = new Replica(store, revoked)
    await one.lists.sync()
    const forged = [
      `9\n${await listOf(9, [], pki.otherAuthority)}`,
      `9\n${await listOf(4, [])}`,
      `4\n${await listOf(4, [])}`,
      `9\n${revoked.slice(0, -200)}`,
      `9\n${await listOf(9, [])}${await listOf(8, [])}`,
      `9\n${pki.authority.certificate}`,
    ]
    for (const [index, text] of forged.entries()) {
      store.held.set(key(), text)
      await one.lists.sync()
      expect(one.judge(pki.client.certificate), String(index)).toBe('certificate-revoked')
      expect(one.judge(pki.revoked.certificate), String(index)).toBe('rita')
    }
    expect(one.changes).toBe(0)
    expect(one.refused).toBe(5)
  })

  it('say once what is wrong where it cannot be replaced', async () => {
    const one = new Replica(store, await listOf(5, []))
    await one.lists.sync()
    const at = key()
    const readOnly: Store['ask'] = (command) =>
      command[0] === 'SET' ? Promise.resolve('OK') : Store.prototype.ask.call(store, command)
    store.ask = readOnly
    store.held.set(at, '9\nbad')
    await one.lists.sync()
    await one.lists.sync()
    store.held.set(at, '9\nworse')
    await one.lists.sync()
    expect(one.refused).toBe(2)
  })

  it('wait for their time to come', async () => {
    const early = await listOf(9, [pki.client.serial], pki.authority, new Date(NOW.getTime() + DAY_MS))
    const one = new Replica(store, await listOf(5, []))
    await one.lists.sync()
    store.held.set(key(), `9\n${early}`)
    await one.lists.sync()
    expect(one.judge(pki.client.certificate)).toBe('alice')
    expect(one.refused).toBe(0)
    expect(store.held.get(key())).toBe(`9\n${early}`)
  })

  it('are kept apart by authority, and none is asked for where no list was', async () => {
    const both = pki.authority.certificate + pki.otherAuthority.certificate
    const one = new Replica(store, (await listOf(2, [])) + (await listOf(7, [], pki.otherAuthority)), both)
    await one.lists.sync()
    expect([...store.held.values()].map((text) => text.split('\n')[0])).toEqual(['2', '7'])
    const without = new Replica(store, await listOf(2, []))
    without.trust = ClientTrust.load({ authorities: both })
    store.commands.length = 0
    await without.lists.sync()
    expect(store.commands).toEqual([])
    expect(without.judge(pki.revoked.certificate)).toBe('rita')
  })

  it('fail where the store says what it cannot', async () => {
    const one = new Replica(store, await listOf(5, []))
    store.ask = () => Promise.resolve([1, 2])
    await expect(one.lists.sync()).rejects.toMatchObject({ code: 'state-invalid' })
  })
})
