// Config files as they lie on a disk: paths relative to the file, errors that name it, the examples of config/, and
// the JSON Schema that editors are given.
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises'
import { readdirSync } from 'node:fs'
import path from 'node:path'
import { parse } from 'yaml'
import { describe, expect, it } from 'vitest'
import { configCommand } from '../../src/cli/config.ts'
import { loadConfig, parseConfig } from '../../src/config/load.ts'
import { configJsonSchema } from '../../src/config/schema.ts'
import { ensureDevelopmentPki } from '../../src/pki/store.ts'
import { tempDir } from '../support/temp-dir.ts'

const EXAMPLES = path.join(import.meta.dirname, '../../config')
const FILES = readdirSync(EXAMPLES).filter((file) => file.endsWith('.yaml'))

describe('paths in a file', () => {
  it('are relative to it, wherever the process stands', async () => {
    await using dir = await tempDir()
    const inbounds = [
      {
        type: 'tunnel',
        listen: '127.0.0.1:0',
        tls: {
          certificate: 'a.crt',
          key: '../a.key',
          clientAuthority: './ca.crt',
          revocationList: '/etc/ca.crl',
        },
      },
      { type: 'http', listen: '127.0.0.1:0', auth: { users: 'users' } },
    ]
    const outbounds = {
      gateway: {
        type: 'tunnel',
        url: 'wss://localhost/tunnel',
        certificate: 'c.crt',
        key: 'c.key',
        authority: 'ca.crt',
      },
    }
    await writeFile(
      dir.file('gateway.yaml'),
      JSON.stringify({ inbounds, outbounds, admin: { token: 'token' } }),
    )
    const config = loadConfig(path.relative(process.cwd(), dir.file('gateway.yaml')))
    expect(config.inbounds[0]?.tls).toMatchObject({
      certificate: dir.file('a.crt'),
      key: path.join(path.dirname(dir.path), 'a.key'),
      clientAuthority: dir.file('ca.crt'),
      revocationList: '/etc/ca.crl',
    })
    expect(config.inbounds[1]?.auth?.users).toBe(dir.file('users'))
    expect(config.outbounds['gateway']).toMatchObject({
      certificate: dir.file('c.crt'),
      key: dir.file('c.key'),
      authority: dir.file('ca.crt'),
    })
    expect(config.admin.token).toBe(dir.file('token'))
  })

  it('that lead nowhere are named with the setting and the mend', () => {
    expect(() => loadConfig('/nonexistent/gateway.yaml')).toThrow(
      expect.objectContaining({
        code: 'file-unusable',
        message: 'config file /nonexistent/gateway.yaml: there is no such file',
        hint: 'check the path; paths in a config file are relative to that file',
      }),
    )
  })
})

describe('defaults', () => {
  it('are those that DESIGN section 7 and the examples promise', () => {
    const config = parseConfig('inbounds: [{ type: http, listen: "127.0.0.1:0" }]', 'f')
    expect(config.outbounds).toEqual({ direct: { type: 'direct' } })
    expect(config.inbounds[0]?.outbound).toBe('direct')
    expect(config.egress).toMatchObject({ mode: 'enforce', allow: [], deny: [], allowOnly: false })
    expect([config.exposure, config.log.level, config.admin.listen]).toEqual([
      'first-bytes',
      'info',
      '127.0.0.1:9901',
    ])
  })

  it('direct can be said anew, and keeps its name', () => {
    const config = parseConfig(
      '{ inbounds: [{ type: http, listen: "127.0.0.1:0" }], outbounds: { direct: { type: direct, localAddress: 127.0.0.2 } } }',
      'f',
    )
    expect(config.outbounds['direct']).toEqual({ type: 'direct', localAddress: '127.0.0.2' })
  })
})

describe('the examples', () => {
  it('are there', () => expect(FILES.length).toBeGreaterThan(0))

  it.each(FILES)('%s passes config check, once the certificates that it names are made', async (file) => {
    await using dir = await tempDir()
    await mkdir(dir.file('config'))
    await cp(path.join(EXAMPLES, file), path.join(dir.file('config'), file))
    // `../certs` of some and `certs` of others.
    for (const certs of [dir.file('certs'), path.join(dir.file('config'), 'certs')])
      await ensureDevelopmentPki(certs)
    const out: string[] = []
    const err: string[] = []
    const io = {
      out: (line: string) => void out.push(line),
      err: (line: string) => void err.push(line),
      env: {},
      isTty: false,
      readStdin: async () => '',
    }
    const code = await configCommand(['check', path.join(dir.file('config'), file)], io)
    expect({ code, err }).toEqual({ code: 0, err: [] })
    expect(out[0]).toMatch(/^ok: /)
  })
})

describe('the JSON Schema', () => {
  /** Every path of keys that the schema knows. */
  function keysOf(schema: unknown, at = ''): string[] {
    if (typeof schema !== 'object' || schema === null) return []
    const {
      properties = {},
      items,
      anyOf = [],
      oneOf = [],
      additionalProperties,
    } = schema as Record<string, never>
    return [
      ...Object.entries(properties).flatMap(([key, value]) => [
        `${at}${key}`,
        ...keysOf(value, `${at}${key}.`),
      ]),
      ...keysOf(items, at),
      ...[...(anyOf as unknown[]), ...(oneOf as unknown[])].flatMap((one) => keysOf(one, at)),
      ...keysOf(additionalProperties, `${at}*.`),
    ]
  }
  const known = new Set(keysOf(configJsonSchema()))

  it('has the keys of the contract', () => {
    const contract = [
      'inbounds',
      'inbounds.type',
      'inbounds.listen',
      'inbounds.tls.certificate',
      'inbounds.tls.key',
      'inbounds.tls.clientAuthority',
      'inbounds.tls.revocationList',
      'inbounds.auth.users',
      'inbounds.auth.sources',
      'inbounds.allowOpenProxy',
      'inbounds.outbound',
      'outbounds.*.type',
      'outbounds.*.url',
      'outbounds.*.certificate',
      'outbounds.*.key',
      'outbounds.*.authority',
      'outbounds.*.connections',
      'egress.mode',
      'egress.allow',
      'egress.deny',
      'egress.allowOnly',
      'limits.connections',
      'log.level',
      'exposure',
      'admin.listen',
      'admin.allowFrom',
      'admin.token',
    ]
    expect(contract.filter((key) => !known.has(key))).toEqual([])
  })

  it.each(FILES)('knows every key of %s', async (file) => {
    const paths = (value: unknown, at = ''): string[] => {
      if (Array.isArray(value)) return value.flatMap((one) => paths(one, at))
      if (typeof value !== 'object' || value === null) return []
      return Object.entries(value).flatMap(([key, inner]) => {
        const name = at === 'outbounds.' || at === 'egress.identities.' ? '*' : key
        return [`${at}${name}`, ...paths(inner, `${at}${name}.`)]
      })
    }
    const used = paths(parse(await readFile(path.join(EXAMPLES, file), 'utf8')))
    expect(used.filter((key) => key !== 'outbounds.*' && !known.has(key))).toEqual([])
  })
})
