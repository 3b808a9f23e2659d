// config check warns of what ends within 30 days, each file once and with what to do, and refuses what has ended.
import { writeFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { initAuthority, issue, refreshRevocationList } from '../../src/pki/store.ts'
import { tempDir, type TempDir } from '../support/temp-dir.ts'
import { type } from './terminal.ts'

const daysAgo = (days: number): Date => new Date(Date.now() - days * 86_400_000)

/** A gateway with two tunnels of one certificate, and a client: 397, 365 and `clientDays` days from where they were made. */
async function check(made: { ago: number; clientAgo: number; clientDays: number; listAgo: number }) {
  const dir: TempDir = await tempDir()
  const pki = dir.file('certs')
  await initAuthority(pki, { now: daysAgo(400) })
  await issue(pki, 'gateway', { kind: 'server', hosts: ['localhost'], now: daysAgo(made.ago) })
  const client = { kind: 'client', hosts: [], now: daysAgo(made.clientAgo), days: made.clientDays } as const
  await issue(pki, 'client', client)
  await refreshRevocationList(pki, { now: daysAgo(made.listAgo) })
  const tls =
    'tls: { certificate: certs/gateway.crt, key: certs/gateway.key, clientAuthority: certs/ca.crt, revocationList: certs/ca.crl }'
  const outbound =
    'type: tunnel, url: "wss://localhost:1/tunnel", certificate: certs/client.crt, key: certs/client.key, authority: certs/ca.crt'
  await writeFile(
    dir.file('g.yaml'),
    `inbounds:\n- { type: tunnel, listen: "127.0.0.1:0", ${tls} }\n- { type: tunnel, listen: "127.0.0.1:0", ${tls} }\n` +
      `outbounds: { there: { ${outbound} } }\n`,
  )
  const { exit, err } = await type(['config', 'check', dir.file('g.yaml')], { dir: dir.path })
  await dir[Symbol.asyncDispose]()
  return { exit, err: err.replaceAll(dir.path, 'DIR') }
}

describe('config check', () => {
  it('says nothing of what lasts', async () => {
    expect(await check({ ago: 0, clientAgo: 0, clientDays: 365, listAgo: 0 })).toEqual({ exit: 0, err: '' })
  })

  it('warns of each file that ends soon, once', async () => {
    const { exit, err } = await check({ ago: 377, clientAgo: 355, clientDays: 365, listAgo: 340 })
    expect(exit).toBe(0)
    expect(err.split('\n')).toEqual([
      'warning: DIR/certs/gateway.crt ends in 19 days; hint: sightline pki renew NAME',
      'warning: DIR/certs/ca.crl is due in 24 days; hint: sightline pki crl',
      'warning: DIR/certs/client.crt ends in 9 days; hint: sightline pki renew NAME',
    ])
  })

  it.each([
    [
      { ago: 400, clientAgo: 0, clientDays: 365, listAgo: 0 },
      /^error: DIR\/certs\/gateway\.crt ended on \d{4}-\d\d-\d\d; hint: sightline pki renew NAME$/m,
    ],
    [{ ago: 0, clientAgo: 10, clientDays: 5, listAgo: 0 }, /^error: DIR\/certs\/client\.crt ended on /m],
    [
      { ago: 0, clientAgo: 0, clientDays: 365, listAgo: 370 },
      /^error: DIR\/certs\/ca\.crl was due on \d{4}-\d\d-\d\d; hint: sightline pki crl$/m,
    ],
  ])('refuses what has ended: %j', async (made, error) => {
    const { exit, err } = await check(made)
    expect(exit).toBe(1)
    expect(err).toMatch(error)
  })
})
