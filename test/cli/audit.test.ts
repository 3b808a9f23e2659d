// sightline audit and probe as they are typed: a probe in a process of its own, an audit that names it, and what a wrong call
// is told.
import { readFile } from 'node:fs/promises'
import { describe, expect, it, vi } from 'vitest'
import type { AuditResult } from '../../src/lab/audit/audit.ts'
import { startProbe } from '../../src/lab/audit/probe.ts'
import { formatProbeUrl } from '../../src/lab/audit/probe-url.ts'
import { freePort } from '../support/chain.ts'
import { sightline, startSightline } from '../support/gateway-process.ts'
import { startStack } from '../support/stacks.ts'
import { tempDir } from '../support/temp-dir.ts'
import { type } from './terminal.ts'

const words = vi.hoisted(() => ({ areSentAll: false }))
vi.mock('../../src/lab/canary.ts', async (original) => {
  const real = await original<typeof import('../../src/lab/canary.ts')>()
  return {
    ...real,
    makeCanaries: (...args: Parameters<typeof real.makeCanaries>) => {
      const canaries = real.makeCanaries(...args)
      return words.areSentAll ? { ...canaries, neverSent: canaries.path } : canaries
    },
  }
})

const FAR = `http://a/#https=1,echo=2,certificate=${'0'.repeat(64)},token=${'1'.repeat(40)}`

describe('sightline audit', () => {
  it('audits through a probe of another process, and tells neither its token nor a password', async () => {
    await using stack = await startStack()
    await using dir = await tempDir()
    await using probe = await startSightline(['probe', '--listen', '127.0.0.1:0', '--host', 'localhost'])
    const [origin = ''] = /http:\S+/.exec(await probe.outLine(/^ready probe/)) ?? []
    const url = `http://ada:a-secret@127.0.0.1:${stack.ports.http}`
    const ran = await sightline(['audit', url, '--origin', origin, '--json', dir.file('audit.json')])
    expect([ran.code, ran.stderr]).toEqual([0, `answers and cells: ${dir.file('audit.json')}\n`])
    const out = ran.stdout.toString()
    expect(out).toMatch(/^this is a plain proxy: /)
    const written = await readFile(dir.file('audit.json'), 'utf8')
    const { version, checks, runs } = JSON.parse(written) as AuditResult
    expect([version, checks.length, runs.length]).toEqual([1, 9, 2])
    const identity = runs[0]?.cells.find(({ information }) => information === 'client-identity')
    expect(identity?.value).toBe('clear')
    const token = /token=(\w+)/.exec(origin)?.[1] ?? ''
    const secrets = [token, 'a-secret', Buffer.from('ada:a-secret').toString('base64')]
    for (const secret of secrets) {
      expect(secret.length).toBeGreaterThan(7)
      expect(out + written).not.toContain(secret)
    }
  })

  it.each([
    [[], 2, /name one proxy by its URL; hint: sightline audit --help/],
    [['ftp://a'], 2, /not the URL of a proxy; its scheme is one of http, https, socks5/],
    [['http://a:b@c/d'], 2, /a proxy has no path/],
    [['http://a:1', '--origin', 'http://b/'], 2, /not one that a probe prints/],
    [['http://a:1', '--authority', 'DIR/no'], 2, /authority goes with a proxy that is reached by TLS/],
    [['https://a:1', '--authority', 'DIR/no'], 1, /DIR\/no cannot be read; hint: give --authority the PEM/],
  ])('%j: exit %i', async (args, exit, err) => {
    const typed = await type(['audit', ...args])
    expect([typed.exit, typed.out]).toEqual([exit, ''])
    expect(typed.err).toMatch(err)
  })

  it('says first that it does not stand, and exits 1, where a control failed', async () => {
    await using stack = await startStack()
    const ports = { http: 0, https: 0, echo: 0 }
    const probe = await startProbe({ listen: '127.0.0.1', host: 'localhost', ports })
    const call = ['audit', `http://127.0.0.1:${stack.ports.http}`, '--origin', formatProbeUrl(probe.address)]
    words.areSentAll = true
    try {
      const failed = await type(call)
      expect(failed.exit).toBe(1)
      expect(failed.out).toMatch(/^this measurement does not stand: a control failed \(http, https\)/)
      words.areSentAll = false
      const passed = await type(call)
      expect(passed.exit).toBe(0)
      expect(passed.out).toMatch(/^this is a plain proxy: /)
    } finally {
      words.areSentAll = false
      probe.close()
    }
  })

  it('a proxy that is not there is an error of its own', async () => {
    const typed = await type(['audit', `socks5://127.0.0.1:${await freePort()}`, '--origin', FAR])
    expect(typed.exit).toBe(1)
    expect(typed.err).toMatch(
      /^error: the proxy at 127\.0\.0\.1:\d+ cannot be reached; hint: check its address/,
    )
  })
})

describe('sightline probe', () => {
  it.each([
    [['--listen', 'nowhere'], /is no IPv4 address and port/],
    [['--host', 'a/b'], /is no name of a host/],
    [['--dns-port', '5353'], /are for a zone: name it with --zone/],
    [['--zone', 'a b'], /"a b" is no name of a zone/],
    [['--zone', 'audit.example', '--dns-port', 'x'], /"x" is no port/],
    [['--zone', 'audit.example', '--address', '::1'], /"::1" is no IPv4 address/],
  ])('%j: exit 2', async (args, err) => {
    const typed = await type(['probe', ...args])
    expect(typed.exit).toBe(2)
    expect(typed.err).toMatch(err)
  })
})
