import { X509Certificate } from 'node:crypto'
import { mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parseIndex } from '../../src/pki/index-file.ts'
import { readRevocationLists } from '../../src/pki/revocation-list-reader.ts'
import {
  bundle,
  initAuthority,
  issue,
  list,
  refreshRevocationList,
  renew,
  revoke,
} from '../../src/pki/store.ts'
import { after, freshAuthority, freshDirectory, judge, NOW, read } from './directory.ts'
import { errorOf } from './errors.ts'
import { hasOpenssl, openssl } from './openssl.ts'

const CLIENT = { kind: 'client', hosts: [], now: NOW } as const

describe('init', () => {
  it('makes the directory and its files, the key for its owner only', async () => {
    const dir = await freshDirectory()
    const made = await initAuthority(dir, { now: NOW })
    expect(made).toEqual({
      certificateFile: join(dir, 'ca.crt'),
      keyFile: join(dir, 'ca.key'),
      revocationListFile: join(dir, 'ca.crl'),
      notAfter: new Date('2040-03-01T12:00:00Z'),
      nextUpdate: new Date('2031-03-01T12:00:00Z'),
    })
    expect((await readdir(dir)).toSorted()).toEqual(['ca.crl', 'ca.crt', 'ca.key', 'index.json'])
    expect((await stat(join(dir, 'ca.key'))).mode & 0o777).toBe(0o600)
    expect(parseIndex(await read(dir, 'index.json'))).toEqual({
      version: 1,
      revocationListNumber: 1,
      certificates: [],
    })
  })

  it.each(['ca.crt', 'ca.key', 'index.json'])('refuses a directory that holds %s', async (file) => {
    const dir = await freshDirectory()
    await mkdir(dir)
    await writeFile(join(dir, file), 'precious')
    const error = await errorOf(() => initAuthority(dir))
    expect(error).toMatchObject({
      code: 'pki-invalid',
      message: `${dir} holds an authority already (${file})`,
    })
    expect(await readdir(dir)).toEqual([file])
    expect(await read(dir, file)).toBe('precious')
  })

  it('says so where the directory cannot be made', async () => {
    const dir = await freshDirectory()
    await writeFile(dir, '')
    expect(await errorOf(() => initAuthority(dir))).toMatchObject({
      code: 'file-unusable',
      message: `cannot make ${dir}: it is not a directory`,
    })
  })
})

describe('issue', () => {
  it('writes certificate and key, and the index knows them', async () => {
    const dir = await freshAuthority()
    const made = await issue(dir, 'gateway', { kind: 'server', hosts: ['localhost', '::1'], now: NOW })
    expect(made.entry).toEqual({
      name: 'gateway',
      kind: 'server',
      serial: expect.stringMatching(/^[0-9a-f]+$/),
      notBefore: '2030-03-01T11:55:00.000Z',
      notAfter: '2031-04-02T12:00:00.000Z',
      hosts: ['localhost', '::1'],
    })
    expect(parseIndex(await read(dir, 'index.json')).certificates).toEqual([made.entry])
    expect(new X509Certificate(await read(dir, 'gateway.crt')).subject).toBe('CN=gateway')
    expect((await stat(join(dir, 'gateway.key'))).mode & 0o777).toBe(0o600)
    expect((await readdir(dir)).filter((file) => file.startsWith('.'))).toEqual([])
  })

  it.each(['ca', 'CA', '', '.hidden', '-rf', '../up', 'a/b', 'a b', 'ü', 'a\n', 'a'.repeat(64)])(
    'refuses the name %j',
    async (name) => {
      const dir = await freshAuthority()
      const error = await errorOf(() => issue(dir, name, CLIENT))
      expect(error.code).toBe('pki-invalid')
      expect(error.message).toBe(`${JSON.stringify(name)} cannot be the name of a certificate`)
    },
  )

  it('takes a name of 63 characters', async () => {
    const dir = await freshAuthority()
    const name = `a${'b.C_-9'.repeat(10)}de`
    expect((await issue(dir, name, CLIENT)).entry.name).toBe(name)
  })

  it('refuses a name twice, and takes it again once it is revoked', async () => {
    const dir = await freshAuthority()
    const first = await issue(dir, 'alice', CLIENT)
    const before = await read(dir, 'alice.crt')
    const error = await errorOf(() => issue(dir, 'alice', CLIENT))
    expect(error).toMatchObject({
      code: 'pki-invalid',
      message: 'alice has been issued already, until 2031-03-01',
      hint: `sightline pki renew alice --dir ${dir}, or revoke it first`,
    })
    expect(await read(dir, 'alice.crt')).toBe(before)
    await revoke(dir, 'alice', { now: NOW })
    const second = await issue(dir, 'alice', CLIENT)
    expect(second.entry.serial).not.toBe(first.entry.serial)
    expect((await judge(dir, await read(dir, 'alice.crt'))).identity).toBe('alice')
    expect((await errorOf(() => judge(dir, before))).code).toBe('certificate-revoked')
  })

  it('says how to make an authority where there is none', async () => {
    const dir = await freshDirectory()
    const expected = { message: `no authority in ${dir}`, hint: `sightline pki init --dir ${dir}` }
    expect(await errorOf(() => issue(dir, 'alice', CLIENT))).toMatchObject({
      code: 'pki-invalid',
      ...expected,
    })
    await mkdir(dir)
    expect(await errorOf(() => issue(dir, 'alice', CLIENT))).toMatchObject(expected)
    expect(await errorOf(() => list(dir))).toMatchObject(expected)
    expect(await readdir(dir)).toEqual([])
  })

  it('leaves nothing behind when the authority is broken', async () => {
    const dir = await freshAuthority()
    await writeFile(join(dir, 'ca.key'), 'not a key')
    expect((await errorOf(() => issue(dir, 'alice', CLIENT))).code).toBe('pki-invalid')
    expect((await readdir(dir)).toSorted()).toEqual(['ca.crl', 'ca.crt', 'ca.key', 'index.json'])
    expect(await list(dir)).toEqual([])
  })

  it('loses none of many at once', async () => {
    const dir = await freshAuthority()
    const names = Array.from({ length: 8 }, (_, index) => `client-${index}`)
    await Promise.all(names.map((name) => issue(dir, name, CLIENT)))
    expect((await list(dir, { now: NOW })).map(({ name }) => name).toSorted()).toEqual(names)
  })

  it('gives way to another writer, and says which file to remove if there is none', async () => {
    const dir = await freshAuthority()
    await writeFile(join(dir, '.lock'), '')
    const error = await errorOf(() => issue(dir, 'alice', { ...CLIENT, lockWaitMs: 0 }))
    expect(error).toMatchObject({ code: 'file-unusable', hint: expect.stringContaining(join(dir, '.lock')) })
    const waiting = issue(dir, 'alice', CLIENT)
    await rm(join(dir, '.lock'))
    expect((await waiting).entry.name).toBe('alice')
  })
})

describe('renew', () => {
  it('keeps name, kind and hosts, with a new key, serial and end', async () => {
    const dir = await freshAuthority()
    const first = await issue(dir, 'gateway', { kind: 'server', hosts: ['localhost'], now: NOW })
    const [certificate, key] = [await read(dir, 'gateway.crt'), await read(dir, 'gateway.key')]
    const second = await renew(dir, 'gateway', { now: after(100) })
    expect(second.entry).toMatchObject({ name: 'gateway', kind: 'server', hosts: ['localhost'] })
    expect(second.entry.serial).not.toBe(first.entry.serial)
    expect(second.entry.notAfter).toBe(after(497).toISOString())
    expect(await read(dir, 'gateway.crt')).not.toBe(certificate)
    expect(await read(dir, 'gateway.key')).not.toBe(key)
  })

  it('revokes nothing, but revoking takes the earlier certificate too', async () => {
    const dir = await freshAuthority()
    const first = await issue(dir, 'alice', CLIENT)
    const earlier = await read(dir, 'alice.crt')
    const second = await renew(dir, 'alice', { now: NOW })
    expect((await judge(dir, earlier)).identity).toBe('alice')
    const { serials } = await revoke(dir, 'alice', { now: NOW })
    expect(serials).toEqual([first.entry.serial, second.entry.serial])
    expect((await errorOf(() => judge(dir, earlier))).code).toBe('certificate-revoked')
    expect((await errorOf(async () => judge(dir, await read(dir, 'alice.crt')))).code).toBe(
      'certificate-revoked',
    )
  })

  it('refuses a name that was never issued, and one that was revoked', async () => {
    const dir = await freshAuthority()
    expect((await errorOf(() => renew(dir, 'alice'))).message).toContain('"alice" was never issued')
    await issue(dir, 'web', { kind: 'server', hosts: ['a.example', '192.0.2.1'], now: NOW })
    await revoke(dir, 'web', { now: NOW })
    expect(await errorOf(() => renew(dir, 'web'))).toMatchObject({
      code: 'pki-invalid',
      message: 'web was revoked on 2030-03-01',
      hint: `issue it anew: sightline pki issue web --server --host a.example --host 192.0.2.1 --dir ${dir}`,
    })
  })
})

describe('revoke', () => {
  it('shuts out the name and nobody else', async () => {
    const dir = await freshAuthority()
    await issue(dir, 'alice', CLIENT)
    await issue(dir, 'bob', CLIENT)
    await revoke(dir, 'alice', { now: NOW })
    expect((await errorOf(async () => judge(dir, await read(dir, 'alice.crt')))).code).toBe(
      'certificate-revoked',
    )
    expect((await judge(dir, await read(dir, 'bob.crt'))).identity).toBe('bob')
  })

  it('twice changes nothing but the list, which it writes anew', async () => {
    const dir = await freshAuthority()
    await issue(dir, 'alice', CLIENT)
    const { serials } = await revoke(dir, 'alice', { now: NOW })
    expect(serials).toHaveLength(1)
    await rm(join(dir, 'ca.crl'))
    const again = await revoke(dir, 'alice', { now: after(1) })
    expect(again).toMatchObject({ serials: [], nextUpdate: after(366) })
    expect((await list(dir, { now: NOW }))[0]?.revokedAt).toBe(NOW.toISOString())
    expect((await errorOf(async () => judge(dir, await read(dir, 'alice.crt'), after(1)))).code).toBe(
      'certificate-revoked',
    )
  })

  it('goes on from a ca.crl that is later than the index, as gateways have it when a backup is put back', async () => {
    const dir = await freshAuthority()
    for (const name of ['alice', 'bob']) await issue(dir, name, CLIENT)
    const backup = await read(dir, 'index.json')
    await issue(dir, 'carol', CLIENT)
    for (const name of ['alice', 'carol']) await revoke(dir, name, { now: NOW })
    await writeFile(join(dir, 'index.json'), backup)
    // Of another authority: no word of it counts.
    const other = await freshAuthority()
    for (let times = 0; times < 9; times += 1) await refreshRevocationList(other, { now: NOW })
    await writeFile(join(dir, 'ca.crl'), (await read(other, 'ca.crl')) + (await read(dir, 'ca.crl')))

    await revoke(dir, 'bob', { now: after(1) })
    expect(readRevocationLists(await read(dir, 'ca.crl')).map(({ number }) => number)).toEqual([4])
    const listed = await list(dir, { now: after(1) })
    expect(listed.map(({ name, revokedAt }) => [name, revokedAt?.slice(0, 10)])).toEqual([
      ['alice', '2030-03-01'],
      ['bob', '2030-03-02'],
    ])
    await refreshRevocationList(dir, { now: after(2) })
    for (const name of ['alice', 'bob', 'carol'])
      expect(await errorOf(async () => judge(dir, await read(dir, `${name}.crt`), after(2)))).toMatchObject({
        code: 'certificate-revoked',
      })
  })

  it('refuses a name that was never issued', async () => {
    const dir = await freshAuthority()
    const error = await errorOf(() => revoke(dir, 'mallory'))
    expect(error).toMatchObject({ code: 'pki-invalid', hint: `sightline pki list --dir ${dir}` })
  })

  it.skipIf(!hasOpenssl)('is what openssl sees, with a number that grows (needs openssl)', async () => {
    const dir = await freshAuthority()
    await issue(dir, 'alice', { ...CLIENT, now: new Date() })
    const check = async () => {
      const files = Object.fromEntries(
        await Promise.all(
          ['ca.crt', 'ca.crl', 'alice.crt'].map(async (file) => [file, await read(dir, file)]),
        ),
      ) as Record<string, string>
      const verify = [
        'verify',
        '-no_check_time',
        '-CAfile',
        'ca.crt',
        '-crl_check',
        '-CRLfile',
        'ca.crl',
        'alice.crt',
      ]
      const { output } = await openssl(verify, files)
      const crl = await openssl(['crl', '-in', 'ca.crl', '-noout', '-crlnumber'], files)
      return { output, number: crl.output.trim() }
    }
    expect(await check()).toMatchObject({ output: 'alice.crt: OK\n', number: 'crlNumber=0x01' })
    await revoke(dir, 'alice')
    const revoked = await check()
    expect(revoked.output).toContain('certificate revoked')
    expect(revoked.number).toBe('crlNumber=0x02')
    await refreshRevocationList(dir)
    const refreshed = await check()
    expect(refreshed.output).toContain('certificate revoked')
    expect(refreshed.number).toBe('crlNumber=0x03')
  })
})

describe('list', () => {
  it('tells valid, expired and revoked apart, with whole days left', async () => {
    const dir = await freshAuthority()
    await issue(dir, 'short', { ...CLIENT, days: 10 })
    await issue(dir, 'long', CLIENT)
    await issue(dir, 'gone', CLIENT)
    await revoke(dir, 'gone', { now: NOW })
    const entries = await list(dir, { now: after(10.5) })
    expect(entries.map(({ name, state, daysLeft }) => [name, state, daysLeft])).toEqual([
      ['short', 'expired', 0],
      ['long', 'valid', 354],
      ['gone', 'revoked', 354],
    ])
  })

  it('shows a renewed certificate until it ends', async () => {
    const dir = await freshAuthority()
    await issue(dir, 'alice', { ...CLIENT, days: 10 })
    await renew(dir, 'alice', { now: after(5) })
    expect((await list(dir, { now: after(9) })).map(({ state }) => state)).toEqual(['valid', 'valid'])
    expect((await list(dir, { now: after(11) })).map(({ state }) => state)).toEqual(['valid'])
  })

  it.each([
    ['{', 'index.json cannot be read: it is not JSON'],
    ['{"version":2,"revocationListNumber":1,"certificates":[]}', 'index.json cannot be read: version: '],
    ['{"version":1,"revocationListNumber":1,"certificates":[{"name":"a"}]}', 'certificates.0.kind: '],
    ['{"version":1,"revocationListNumber":1,"certificates":[],"more":1}', 'more'],
  ])('names what is wrong in %s', async (text, message) => {
    const dir = await freshAuthority()
    await writeFile(join(dir, 'index.json'), text)
    const error = await errorOf(() => list(dir))
    expect(error).toMatchObject({ code: 'pki-invalid', message: expect.stringContaining(message) })
  })
})

describe('bundle', () => {
  it.skipIf(!hasOpenssl)('holds what was issued (needs openssl)', async () => {
    const dir = await freshAuthority()
    await issue(dir, 'alice', CLIENT)
    const p12 = await bundle(dir, 'alice', 'sesame')
    const args = ['pkcs12', '-in', 'a.p12', '-passin', 'pass:sesame', '-nokeys', '-clcerts']
    expect((await openssl(args, { 'a.p12': p12 })).output).toContain(await read(dir, 'alice.crt'))
  })

  it('is not made of a revoked name', async () => {
    const dir = await freshAuthority()
    await issue(dir, 'alice', CLIENT)
    await revoke(dir, 'alice', { now: NOW })
    expect((await errorOf(() => bundle(dir, 'alice', 'sesame'))).message).toBe(
      'alice was revoked on 2030-03-01',
    )
  })

  it('names a file that is missing', async () => {
    const dir = await freshAuthority()
    await issue(dir, 'alice', CLIENT)
    await rm(join(dir, 'alice.key'))
    expect(await errorOf(() => bundle(dir, 'alice', 'sesame'))).toMatchObject({
      code: 'file-unusable',
      message: `cannot read ${join(dir, 'alice.key')}: there is no such file or directory`,
    })
  })
})
