import { X509Certificate } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ensureDevelopmentPki, issue, revoke } from '../../src/pki/store.ts'
import { after, freshAuthority, freshDirectory, judge, NOW, read } from './directory.ts'
import { errorOf } from './errors.ts'

const CLIENT = { kind: 'client', hosts: [], now: NOW } as const

describe('development certificates', () => {
  const all = ['ca.crt', 'ca.crl', 'gateway.crt', 'client.crt', 'origin.crt']

  it('are made where there are none, and reused', async () => {
    const dir = await freshDirectory()
    expect(await ensureDevelopmentPki(dir, { now: NOW })).toEqual({ made: all })
    expect(await ensureDevelopmentPki(dir, { now: after(300) })).toEqual({ made: [] })
    const gateway = new X509Certificate(await read(dir, 'gateway.crt'))
    for (const address of ['127.0.0.1', '::1']) expect(gateway.checkIP(address)).toBe(address)
    expect(gateway.checkHost('localhost')).toBe('localhost')
    expect(await judge(dir, await read(dir, 'client.crt'))).toMatchObject({ identity: 'client' })
    expect((await errorOf(async () => judge(dir, await read(dir, 'origin.crt')))).code).toBe(
      'certificate-wrong-usage',
    )
  })

  it('are made once by two at a time', async () => {
    const dir = await freshDirectory()
    const both = await Promise.all([ensureDevelopmentPki(dir), ensureDevelopmentPki(dir)])
    expect(both.flatMap(({ made }) => made)).toEqual(all)
  })

  it('complete an authority that is already there', async () => {
    const dir = await freshAuthority()
    await issue(dir, 'client', CLIENT)
    expect(await ensureDevelopmentPki(dir, { now: NOW })).toEqual({ made: ['gateway.crt', 'origin.crt'] })
  })

  it('are renewed within a day of their end, the revocation list too', async () => {
    const dir = await freshDirectory()
    await ensureDevelopmentPki(dir, { now: NOW })
    expect(await ensureDevelopmentPki(dir, { now: after(364) })).toEqual({ made: [] })
    expect(await ensureDevelopmentPki(dir, { now: after(364.01) })).toEqual({
      made: ['client.crt', 'ca.crl'],
    })
    expect((await judge(dir, await read(dir, 'client.crt'), after(700))).identity).toBe('client')
    expect(await ensureDevelopmentPki(dir, { now: after(400) })).toEqual({
      made: ['gateway.crt', 'origin.crt'],
    })
  })

  it('are made again when a file is missing, and work without the authority key when none is', async () => {
    const dir = await freshDirectory()
    await ensureDevelopmentPki(dir, { now: NOW })
    await rm(join(dir, 'client.key'))
    expect(await ensureDevelopmentPki(dir, { now: NOW })).toEqual({ made: ['client.crt'] })
    await rm(join(dir, 'ca.key'))
    expect(await ensureDevelopmentPki(dir, { now: NOW })).toEqual({ made: [] })
  })

  it('stay revoked, before their end and after it', async () => {
    const dir = await freshDirectory()
    await ensureDevelopmentPki(dir, { now: NOW })
    await revoke(dir, 'client', { now: NOW })
    expect(await ensureDevelopmentPki(dir, { now: NOW })).toEqual({ made: [] })
    expect((await errorOf(async () => judge(dir, await read(dir, 'client.crt')))).code).toBe(
      'certificate-revoked',
    )
    const made = ['gateway.crt', 'origin.crt', 'ca.crl']
    expect(await ensureDevelopmentPki(dir, { now: after(400) })).toEqual({ made })
  })
})
