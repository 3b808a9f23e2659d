import { createPrivateKey, X509Certificate } from 'node:crypto'
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import type { CliIo } from '../../src/cli/io.ts'
import { pkiCommand } from '../../src/cli/pki.ts'
import { freshDirectory } from './directory.ts'
import { hasOpenssl, openssl } from './openssl.ts'

interface Run {
  readonly exit: number
  readonly out: string[]
  readonly err: string[]
}

/** `typed`: the answers of a person at a terminal; undefined where there is none. */
async function sightlinePki(
  args: string[],
  stdin = '',
  typed?: ReadonlyArray<string | undefined>,
): Promise<Run> {
  const out: string[] = []
  const err: string[] = []
  const answers = [...(typed ?? [])]
  const io: CliIo = {
    out: (line) => out.push(line),
    err: (line) => err.push(line),
    env: {},
    isTty: typed !== undefined,
    readStdin: async () => stdin,
    ...(typed && {
      askSecret: async (prompt: string) => {
        err.push(prompt)
        return answers.shift()
      },
    }),
  }
  const exit = await pkiCommand(args, io)
  return { exit, out, err }
}

/** A terminal on 1 March 2030, in an empty directory whose path reads as `DIR`. */
async function terminal() {
  vi.useFakeTimers({ now: new Date('2030-03-01T12:00:00Z'), toFake: ['Date'] })
  onTestFinished(() => {
    vi.useRealTimers()
  })
  const dir = await freshDirectory()
  const hide = (line: string): string => line.replaceAll(dir, 'DIR')
  const type = async (line: string, stdin?: string, typed?: Array<string | undefined>): Promise<Run> => {
    const { exit, out, err } = await sightlinePki([...line.split(' '), '--dir', dir], stdin, typed)
    return { exit, out: out.map(hide), err: err.map(hide) }
  }
  return { dir, type }
}

const serials = (lines: string[]): string[] => lines.map((line) => line.replace(/ [0-9a-f]{8}$/, ' SERIAL'))

describe('a session', () => {
  it('says what was made, where, and when it ends', async () => {
    const { type } = await terminal()
    expect(await type('init')).toEqual({
      exit: 0,
      err: [],
      out: [
        'made an authority: DIR/ca.crt and DIR/ca.key, until 2040-03-01',
        'made an empty revocation list: DIR/ca.crl, next due 2031-03-01',
        'keep DIR/ca.key to yourself: whoever has it can let anyone in',
      ],
    })
    expect(serials((await type('list')).out)).toEqual([
      'name    kind             state  days left  serial',
      'ca      authority        valid  3653       SERIAL',
      'ca.crl  revocation-list  valid  365        number 1',
      'nothing issued yet in DIR',
    ])
    expect((await type('issue gateway --server --host vpn.example.org --host 192.0.2.7')).out).toEqual([
      'made a server certificate for gateway: DIR/gateway.crt and DIR/gateway.key, until 2031-04-02',
    ])
    expect((await type('issue alice --client')).out).toEqual([
      'made a client certificate for alice: DIR/alice.crt and DIR/alice.key, until 2031-03-01',
    ])
    expect((await type('issue visitor --client --days 7')).out).toEqual([
      'made a client certificate for visitor: DIR/visitor.crt and DIR/visitor.key, until 2030-03-08',
    ])
    expect((await type('renew visitor --days 14')).out).toEqual([
      'renewed the client certificate of visitor: DIR/visitor.crt and DIR/visitor.key, until 2030-03-15',
    ])
    expect((await type('revoke visitor')).out).toEqual([
      'revoked visitor: 2 certificates',
      'wrote DIR/ca.crl, next due 2031-03-01',
      'a running gateway that reads this file takes it up by itself; copy it to those elsewhere',
    ])
    expect((await type('revoke visitor')).out[0]).toBe('visitor was revoked already')
    expect((await type('crl')).out).toEqual(['wrote DIR/ca.crl, next due 2031-03-01'])
    const listed = await type('list')
    expect(serials(listed.out)).toEqual([
      'name     kind             state    days left  serial',
      'ca       authority        valid    3653       SERIAL',
      'ca.crl   revocation-list  valid    365        number 4',
      'gateway  server           valid    397        SERIAL',
      'alice    client           valid    365        SERIAL',
      'visitor  client           revoked  7          SERIAL',
      'visitor  client           revoked  14         SERIAL',
    ])
    expect(listed.err).toEqual([])
  })

  it('warns well before anything ends, and says what to do', async () => {
    const { type } = await terminal()
    await type('init')
    await type('issue alice --client')
    await type('issue visitor --client --days 9')
    const warnings = async (date: string): Promise<string[]> => {
      vi.setSystemTime(new Date(`${date}T12:00:00Z`))
      const { exit, err } = await type('list')
      expect(exit).toBe(0)
      return err
    }
    expect(await warnings('2030-03-06')).toEqual([])
    expect(await warnings('2030-03-07')).toEqual([
      'warning: visitor ends in 3 days; hint: sightline pki renew visitor --dir DIR',
    ])
    expect(await warnings('2031-01-30')).toEqual([
      'warning: visitor has ended; hint: sightline pki renew visitor --dir DIR',
    ])
    expect(await warnings('2031-02-01')).toEqual([
      'warning: ca.crl is due in 28 days; hint: sightline pki crl --dir DIR',
      'warning: alice ends in 28 days; hint: sightline pki renew alice --dir DIR',
      'warning: visitor has ended; hint: sightline pki renew visitor --dir DIR',
    ])
    expect((await warnings('2031-03-02'))[0]).toBe(
      'warning: ca.crl is past due; hint: sightline pki crl --dir DIR',
    )
    await type('revoke alice')
    await type('renew visitor --days 300')
    expect(await warnings('2031-03-03')).toEqual([])
    expect((await warnings('2040-02-20'))[0]).toMatch(
      /^warning: ca ends in 10 days; hint: make another with /,
    )
  })

  it('lists as JSON for other programs', async () => {
    const { type } = await terminal()
    await type('init')
    await type('issue alice --client')
    expect(JSON.parse((await type('list --json')).out.join('\n'))).toEqual([
      {
        name: 'ca',
        kind: 'authority',
        serial: expect.stringMatching(/^[0-9a-f]+$/),
        notBefore: '2030-03-01T11:55:00.000Z',
        notAfter: '2040-03-01T12:00:00.000Z',
        state: 'valid',
        daysLeft: 3653,
        endsSoon: false,
      },
      {
        name: 'ca.crl',
        kind: 'revocation-list',
        number: 1,
        notBefore: '2030-03-01T11:55:00.000Z',
        notAfter: '2031-03-01T12:00:00.000Z',
        state: 'valid',
        daysLeft: 365,
        endsSoon: false,
      },
      {
        name: 'alice',
        kind: 'client',
        serial: expect.stringMatching(/^[0-9a-f]+$/),
        notBefore: '2030-03-01T11:55:00.000Z',
        notAfter: '2031-03-01T12:00:00.000Z',
        hosts: [],
        state: 'valid',
        daysLeft: 365,
        endsSoon: false,
      },
    ])
  })

  it.skipIf(!hasOpenssl)(
    'bundles under the first line of standard input or of a file (needs openssl)',
    async () => {
      const { dir, type } = await terminal()
      await type('init')
      await type('issue alice --client')
      const out = join(dir, 'alice.p12')
      const opens = async () => {
        const p12 = await readFile(out)
        const args = ['pkcs12', '-in', 'a.p12', '-passin', 'pass:open sesame', '-noout']
        return (await openssl(args, { 'a.p12': p12 })).status === 0
      }
      expect(await type(`bundle alice --out ${out}`, 'open sesame\r\nsecond line\n')).toEqual({
        exit: 0,
        err: [],
        out: [
          'made a bundle for alice: DIR/alice.p12, until 2031-03-01',
          'it holds the private key: send its password another way',
        ],
      })
      expect((await stat(out)).mode & 0o777).toBe(0o600)
      expect(await opens()).toBe(true)
      await type(`bundle alice --out ${out}`, 'another')
      expect(await opens()).toBe(false)
      await writeFile(join(dir, 'password'), 'open sesame\n')
      expect((await type(`bundle alice --out ${out} --password-file ${join(dir, 'password')}`)).exit).toBe(0)
      expect(await opens()).toBe(true)
      const typed = ['open sesame', 'open sesame']
      expect((await type(`bundle alice --out ${out}`, '', typed)).err).toEqual([
        'password for the bundle of alice: ',
        'once more: ',
      ])
      expect(await opens()).toBe(true)
      const typo = await type(`bundle alice --out ${out}`, '', ['open sesame', 'open sesami'])
      expect(typo.exit).toBe(1)
      expect(typo.err.at(-1)).toBe('error: the two passwords differ; hint: nothing was changed; try again')
      expect((await type(`bundle alice --out ${out}`, '', [undefined])).exit).toBe(130)
    },
  )
})

describe('a passphrase for the authority', () => {
  it('is asked for twice when the key is made, and once for all that signs', async () => {
    const { dir, type } = await terminal()
    expect(await type('init --passphrase', '', ['correct horse', 'correct horse'])).toEqual({
      exit: 0,
      err: ['passphrase for the new key: ', 'once more: '],
      out: [
        'made an authority: DIR/ca.crt and DIR/ca.key, until 2040-03-01',
        'made an empty revocation list: DIR/ca.crl, next due 2031-03-01',
        'DIR/ca.key is encrypted: without the passphrase nobody can sign',
        'keep DIR/ca.key to yourself: whoever has it can let anyone in',
      ],
    })
    expect(await readFile(join(dir, 'ca.key'), 'utf8')).toMatch(/^-----BEGIN ENCRYPTED PRIVATE KEY-----\n/)
    const issued = await type('issue alice --client', '', ['correct horse'])
    expect({ exit: issued.exit, err: issued.err }).toEqual({ exit: 0, err: ['passphrase of DIR/ca.key: '] })
    for (const line of ['renew alice', 'crl', 'revoke alice']) {
      expect((await type(line, '', ['correct horse'])).exit, line).toBe(0)
    }
    expect(await type('list', '', [])).toMatchObject({ exit: 0, err: [] })
  })

  it('that is wrong, empty or missing is a clear error, and changes nothing', async () => {
    const { dir, type } = await terminal()
    await writeFile(`${dir}-passphrase`, 'correct horse\n')
    expect((await type(`init --passphrase-file ${dir}-passphrase`)).exit).toBe(0)
    const before = await readdir(dir)
    const index = await readFile(join(dir, 'index.json'), 'utf8')
    expect((await type('issue alice --client', '', ['battery staple'])).err.at(-1)).toBe(
      "error: the passphrase of the authority's key is wrong, or ca.key is damaged; hint: try again; nothing was changed",
    )
    expect((await type('issue alice --client', '', [''])).err.at(-1)).toContain('passphrase')
    expect((await type('issue alice --client')).err).toEqual([
      "error: the authority's key has a passphrase, and none was given; " +
        'hint: run it at a terminal, which asks for it, or give --passphrase-file',
    ])
    expect(await type('issue alice --client', '', [undefined])).toMatchObject({ exit: 130, out: [] })
    expect(await readdir(dir)).toEqual(before)
    expect(await readFile(join(dir, 'index.json'), 'utf8')).toBe(index)
    expect((await type(`issue alice --client --passphrase-file ${dir}-passphrase`)).exit).toBe(0)
    const { type: elsewhere } = await terminal()
    expect((await elsewhere('init --passphrase', '', ['', ''])).err.at(-1)).toContain(
      'the passphrase is empty',
    )
    expect((await elsewhere('init --passphrase')).err).toEqual([
      'error: --passphrase asks for it, and there is no terminal; hint: give --passphrase-file F',
    ])
  })
})

describe('a request', () => {
  it('is made where the key stays, and signed where the authority is', async () => {
    const { dir, type } = await terminal()
    const own = `${dir}-alice`
    expect((await sightlinePki(['request', 'alice', '--dir', own])).exit).toBe(0)
    expect((await readdir(own)).toSorted()).toEqual(['alice.csr', 'alice.key'])
    expect((await stat(join(own, 'alice.key'))).mode & 0o777).toBe(0o600)
    expect((await sightlinePki(['request', 'alice', '--dir', own])).err[0]).toContain('is there already')
    await type('init')
    expect(await type(`issue alice --client --csr ${own}/alice.csr`)).toEqual({
      exit: 0,
      err: [],
      out: [
        'made a client certificate for alice: DIR/alice.crt, until 2031-03-01',
        'its key stays where it was made: send DIR/alice.crt there',
      ],
    })
    expect((await readdir(dir)).includes('alice.key')).toBe(false)
    const [certificate, key] = await Promise.all([
      readFile(join(dir, 'alice.crt')),
      readFile(join(own, 'alice.key')),
    ])
    expect(new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key))).toBe(true)
    expect((await type('renew alice')).out).toEqual([
      'renewed the client certificate of alice: DIR/alice.crt, until 2031-03-01',
      'its key stays where it was made: send DIR/alice.crt there',
    ])
    const renewed = new X509Certificate(await readFile(join(dir, 'alice.crt')))
    expect(renewed.checkPrivateKey(createPrivateKey(key))).toBe(true)
    expect(renewed.serialNumber).not.toBe(new X509Certificate(certificate).serialNumber)
    const { err } = await type(`bundle alice --out ${dir}/a.p12`, 'sesame')
    expect(err[0]).toMatch(
      /^error: the key of alice is not here: .*; hint: where it is: openssl pkcs12 -export /,
    )
  })
})

describe('failures', () => {
  it('exit with 1, and say what and what to do', async () => {
    const { dir, type } = await terminal()
    const fails = async (line: string, stdin?: string) => {
      const { exit, out, err } = await type(line, stdin)
      expect({ exit, out }).toEqual({ exit: 1, out: [] })
      return err
    }
    const noAuthority = ['error: no authority in DIR; hint: sightline pki init --dir DIR']
    for (const line of ['issue alice --client', 'renew alice', 'revoke alice', 'list', 'crl']) {
      expect(await fails(line)).toEqual(noAuthority)
    }
    expect(await fails('bundle alice --out x.p12')).toEqual(noAuthority)
    await type('init')
    expect(await fails('init')).toEqual([
      'error: DIR holds an authority already (ca.crt); hint: use that one, or give another --dir',
    ])
    await type('issue alice --client')
    expect(await fails('issue alice --client')).toEqual([
      'error: alice has been issued already, until 2031-03-01; ' +
        'hint: sightline pki renew alice --dir DIR, or revoke it first',
    ])
    expect(await fails(`bundle alice --out ${dir}/a.p12`, '\n')).toEqual([
      'error: the password is empty; hint: give at least one character: the bundle holds a private key',
    ])
    expect(await fails(`bundle alice --out ${dir}/none/a.p12`, 'sesame')).toEqual([
      'error: cannot write DIR/none/a.p12: there is no such file or directory; ' +
        'hint: check the path and its permissions',
    ])
    await mkdir(join(dir, 'folder'))
    expect(await fails(`bundle alice --out ${dir}/folder`, 'sesame')).toEqual([
      'error: cannot write DIR/folder: it is a directory; hint: check the path and its permissions',
    ])
    expect(await fails(`bundle alice --out ${dir}/a.p12 --password-file ${dir}/none`)).toEqual([
      'error: cannot read DIR/none; hint: check the path and its permissions',
    ])
    expect(await fails(`bundle mallory --out ${dir}/m.p12`, 'sesame')).toEqual([
      'error: "mallory" was never issued by the authority in DIR; hint: sightline pki list --dir DIR',
    ])
    expect((await readdir(dir)).filter((file) => file.endsWith('.p12') || file.endsWith('.tmp'))).toEqual([])
  })
})

describe('usage', () => {
  it.each([
    [
      '',
      'pki needs a command; hint: one of init, request, issue, renew, revoke, list, bundle, crl; see sightline pki --help',
    ],
    ['sign', 'pki has no command "sign"; hint: one of init, request, issue'],
    ['toString', 'pki has no command "toString"; hint: '],
    ['init now', 'unexpected argument "now"; hint: sightline pki init --help'],
    ['init --host a', 'pki init takes no option --host; hint: sightline pki init --help'],
    ['list --wide', "unknown option '--wide'; hint: sightline pki list --help"],
    ['list --json=yes', "option '--json' does not take an argument; hint: sightline pki list --help"],
    ['issue --client', 'pki issue needs a name; hint: sightline pki issue --help'],
    ['issue alice bob --client', 'unexpected argument "bob"; hint: '],
    ['issue alice', 'pki issue needs either --server or --client; hint: '],
    ['issue alice --server --client --host a', 'pki issue needs either --server or --client; hint: '],
    ['issue web --server', 'a server needs --host; hint: '],
    ['issue alice --client --host a', 'a client takes no --host; hint: '],
    ['issue alice --client --days 1.5', '--days "1.5" is not a whole number from 1 to 36500; hint: '],
    ['issue alice --client --days 0', '--days "0" is not a whole number from 1 to 36500; hint: '],
    ['bundle alice', 'pki bundle needs --out; hint: sightline pki bundle --help'],
    ['renew alice --dir', "option '--dir <value>' argument missing; hint: sightline pki renew --help"],
  ])('%j exits with 2', async (line, message) => {
    // A directory of its own, so that a mistake that is not noticed does not land in this checkout.
    const dir = await freshDirectory()
    const [verb = '', ...rest] = line.split(' ')
    const { exit, out, err } = await sightlinePki(verb === '' ? [] : [verb, '--dir', dir, ...rest])
    await expect(readdir(dir)).rejects.toMatchObject({ code: 'ENOENT' })
    expect({ exit, out, lines: err.length }).toEqual({ exit: 2, out: [], lines: 1 })
    expect(err[0]).toContain(`error: ${message}`)
  })
})

describe('help', () => {
  const commands = ['init', 'request', 'issue', 'renew', 'revoke', 'list', 'bundle', 'crl']

  it.each(['--help', '-h', 'help'])('%s names every command', async (flag) => {
    const { exit, out } = await sightlinePki([flag])
    expect(exit).toBe(0)
    for (const command of commands) expect(out.join('\n')).toContain(`sightline pki ${command}`)
  })

  it.each(commands)('of %s opens with its usage and gives an example', async (command) => {
    const { exit, out, err } = await sightlinePki([command, '--help'])
    expect({ exit, err }).toEqual({ exit: 0, err: [] })
    expect(out.join('\n')).toMatch(new RegExp(`^sightline pki ${command} `))
    expect(out.join('\n')).toContain(`$ sightline pki ${command}`)
    expect(
      Math.max(
        ...out
          .join('\n')
          .split('\n')
          .map(({ length }) => length),
      ),
    ).toBeLessThanOrEqual(110)
  })

  it('gives examples that parse', async () => {
    const { type } = await terminal()
    const { out } = await sightlinePki(['--help'])
    const examples = [...out.join('\n').matchAll(/\$ sightline pki (.*)/g)].map(([, line = '']) => line)
    expect(examples.length).toBe(3)
    for (const line of examples) expect((await type(line)).exit).toBe(0)
  })
})
