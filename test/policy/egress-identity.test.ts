// Rules of one identity beside the general ones: who wins, what `allowOnly` means for it, and that the wired gateway
// asks by the identity that a client proved.
import { writeFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { configSchema, type ConfigInput } from '../../src/config/schema.ts'
import type { GatewayError } from '../../src/errors.ts'
import { hashPassword } from '../../src/gateway/users.ts'
import {
  judgeAddress,
  judgeName,
  parseEgressRules,
  policyFor,
  type EgressVerdict,
} from '../../src/policy/egress.ts'
import { startStack } from '../support/stacks.ts'
import { tempDir } from '../support/temp-dir.ts'
import { Wire, startRawOrigin } from '../support/wire.ts'

const PUBLIC = '93.184.215.14'

function policies(egress: ConfigInput['egress']) {
  return parseEgressRules(configSchema.shape.egress.parse(egress))
}

function judge(
  egress: ConfigInput['egress'],
  name: string | undefined,
  host: string,
  address = host,
): string {
  const policy = policyFor(policies(egress), name === undefined ? undefined : { name })
  const said = (verdict: EgressVerdict): string => `${verdict.allowed ? '+' : '-'}${verdict.rule}`
  const byName = judgeName(policy, { host, port: 443 })
  return byName.allowed ? said(judgeAddress(policy, { host, port: 443, address, own: [] })) : said(byName)
}

describe('rules of an identity', () => {
  const egress = {
    allow: ['10.0.0.0/8'],
    deny: ['bad.test', '10.9.0.0/16'],
    identities: {
      alice: { allow: ['192.168.0.0/16', '10.9.9.9', 'bad.test'], deny: ['10.1.0.0/16'] },
      bob: { allow: ['good.test'], allowOnly: true },
      nobody: { allowOnly: true },
      constructor: { deny: ['*'] },
    },
  }

  it.each<[string, string | undefined, string, string | undefined, string]>([
    ['the general ones hold without an identity', undefined, '10.1.1.1', undefined, '+allow[0]'],
    ['and for one without rules', 'carol', '192.168.1.1', undefined, '-built-in'],
    ['its allow lifts for it', 'alice', '192.168.1.1', undefined, '+identity.allow[0]'],
    ['and for nobody else', 'bob', '192.168.1.1', undefined, '-allow-only'],
    ['its deny beats the general allow', 'alice', '10.1.1.1', undefined, '-identity.deny[0]'],
    ['and for nobody else', 'carol', '10.1.1.1', undefined, '+allow[0]'],
    ['the general deny beats its allow', 'alice', '10.9.9.9', undefined, '-deny[1]'],
    ['by name too', 'alice', 'bad.test', PUBLIC, '-deny[0]'],
    ['the general allow is its allow', 'alice', '10.2.2.2', undefined, '+allow[0]'],
    ['its allowOnly refuses what neither list allows', 'bob', 'other.test', PUBLIC, '-allow-only'],
    ['and lets its own list', 'bob', 'good.test', PUBLIC, '+identity.allow[0]'],
    ['and the general one', 'bob', '10.2.2.2', undefined, '+allow[0]'],
    ['its allow by name lifts no address', 'bob', 'good.test', '127.0.0.1', '-built-in'],
    ['allowOnly alone leaves the general list', 'nobody', 'x.test', PUBLIC, '-allow-only'],
    ['and that list still', 'nobody', '10.2.2.2', undefined, '+allow[0]'],
    ['a name that objects have has its own rules', 'constructor', 'x.test', PUBLIC, '-identity.deny[0]'],
    ['or none', 'toString', 'x.test', PUBLIC, '+default'],
    ['names are compared as they are', 'Alice', '192.168.1.1', undefined, '-built-in'],
  ])('%s', (_, name, host, address, expected) => expect(judge(egress, name, host, address)).toBe(expected))

  it('cannot get out of a general allowOnly', () => {
    const closed = {
      allow: ['a.test'],
      allowOnly: true,
      identities: { alice: { allow: ['b.test'], allowOnly: false } },
    }
    expect(judge(closed, 'alice', 'c.test', PUBLIC)).toBe('-allow-only')
    expect(judge(closed, 'alice', 'b.test', PUBLIC)).toBe('+identity.allow[0]')
    expect(judge(closed, undefined, 'b.test', PUBLIC)).toBe('-allow-only')
  })

  it('never names the identity in a rule id, and names it for who mends the config', () => {
    const parsed = policies(egress)
    const ids = [...parsed.identities.values()].flatMap(({ allow, deny }) =>
      [...allow, ...deny].map(({ id }) => id),
    )
    expect(ids.join(' ')).not.toMatch(/alice|bob|nobody|constructor/)
    expect(() => policies({ identities: { alice: { deny: ['1.2.3.4/8'] } } })).toThrow(
      expect.objectContaining({
        code: 'config-invalid',
        message: 'egress.identities.alice.deny[0]: "1.2.3.4/8": the address has bits beyond the prefix',
      }) as GatewayError,
    )
  })

  it('are read once, not for each request', () => {
    const parsed = policies(egress)
    expect(policyFor(parsed, { name: 'alice' })).toBe(policyFor(parsed, { name: 'alice' }))
    expect(policyFor(parsed, { name: 'carol' })).toBe(parsed)
  })
})

describe('a gateway with them', () => {
  it('asks by the proven user and by the certificate, and not by what is only said', async () => {
    await using directory = await tempDir()
    const users = directory.file('users')
    await writeFile(users, `alice:${await hashPassword('a')}\nbob:${await hashPassword('b')}\n`)
    await using origin = await startRawOrigin()
    const allowed = { allow: ['127.0.0.0/8'] }
    await using stack = await startStack({
      users,
      egress: { identities: { alice: allowed, client: allowed } },
    })

    const connectAs = async (port: number, credentials?: string): Promise<string> => {
      using wire = await Wire.connect(port)
      const target = `127.0.0.1:${origin.port}`
      const field = credentials === undefined ? '' : `Proxy-Authorization: Basic ${btoa(credentials)}\r\n`
      wire.send(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n${field}\r\n`)
      const head = (await wire.untilText('\r\n\r\n')).toString('latin1')
      return `${head.split(' ')[1]} ${/sightline-error: (\S+)/.exec(head)?.[1] ?? ''}`.trim()
    }
    const { ports } = stack
    expect(await connectAs(ports.http, 'alice:a')).toBe('200')
    expect(await connectAs(ports.http, 'bob:b')).toBe('403 destination-denied')
    expect(await connectAs(ports.http, 'alice:b')).toBe('407 auth-failed')
    // The tunnel's identity is the certificate's name; what its local clients say is nothing to the gateway.
    expect(await connectAs(ports.client)).toBe('200')
    expect(await connectAs(ports.client, 'bob:b')).toBe('200')
    expect(origin.wires.length).toBe(3)
  })

  it('takes them anew when it reloads', async () => {
    await using origin = await startRawOrigin()
    await using stack = await startStack({ egress: {} })
    const ask = async (): Promise<boolean> => {
      using wire = await Wire.connect(stack.ports.client)
      wire.send(`CONNECT 127.0.0.1:${origin.port} HTTP/1.1\r\nHost: 127.0.0.1:${origin.port}\r\n\r\n`)
      return (await wire.untilText('\r\n\r\n')).includes('HTTP/1.1 200')
    }
    expect(await ask()).toBe(false)
    const tunnel = stack.gateway.addresses.find(({ mode }) => mode === 'tunnel')?.config
    await stack.gateway.reload(
      configSchema.parse({
        inbounds: tunnel === undefined ? [] : [tunnel],
        egress: { identities: { client: { allow: ['127.0.0.1'] } } },
      }),
    )
    expect(await ask()).toBe(true)
  })
})
