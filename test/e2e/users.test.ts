// The users of a gateway that runs: made with `sightline user`, read again by themselves, let in over HTTP and SOCKS,
// and slowed at the source that guesses, nowhere else.
import { once } from 'node:events'
import { readFile, stat, writeFile } from 'node:fs/promises'
import net from 'node:net'
import { PassThrough } from 'node:stream'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { askSecret } from '../../src/cli/secret.ts'
import { eventually } from '../support/eventually.ts'
import { get, serve, sightline, type SightlineProcess } from '../support/gateway-process.ts'
import { sum } from '../support/metrics.ts'
import { isMissing, start } from '../support/programs.ts'
import { tempDir, type TempDir } from '../support/temp-dir.ts'
import { startRawOrigin, Wire, type RawOrigin } from '../support/wire.ts'

let directory: TempDir
let file: string
beforeAll(async () => {
  directory = await tempDir()
  file = directory.file('users')
})
afterAll(() => directory[Symbol.asyncDispose]())

function user(
  args: readonly string[],
  input = '',
): Promise<{ code: number | null; out: string; err: string }> {
  return sightline(['user', ...args, '--file', file], { input }).then(({ code, stdout, stderr }) => ({
    code,
    out: stdout.toString(),
    err: stderr,
  }))
}

describe('sightline user', () => {
  it('adds, lists, changes and removes, and keeps comments', async () => {
    await writeFile(file, '# the people here\n')
    expect(await user(['add', 'alice'], 'first\n')).toMatchObject({ code: 0, err: '' })
    expect(await user(['add', 'bob'], 'his')).toMatchObject({ code: 0 })
    expect(await user(['list'])).toEqual({ code: 0, out: 'alice\nbob\n', err: '' })
    const before = await readFile(file, 'utf8')
    const changed = await user(['add', 'alice'], 'second\r\n')
    expect(changed.out).toBe(`changed in ${file}; a running gateway reads it by itself\n`)
    const after = await readFile(file, 'utf8')
    expect(after.split('\n').length).toBe(before.split('\n').length)
    expect(after).toMatch(/^# the people here\nbob:scrypt\$\S+\nalice:scrypt\$\S+\n$/)
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    expect(await user(['remove', 'bob'])).toMatchObject({ code: 0 })
    expect((await user(['list'])).out).toBe('alice\n')
  })

  it.each([
    [['add', 'al:ice'], 2, 'error: a user name has'],
    [['add', '#alice'], 2, 'error: a user name has'],
    [['add', 'al ice'], 2, 'error: a user name has'],
    [['add', 'x'.repeat(256)], 2, 'error: a user name has'],
    [['add', 'carol'], 2, 'error: no password given; hint: '],
    [['add'], 2, 'error: say what to do: '],
    [['remove', 'nobody'], 1, 'has no such user; hint: sightline user list --file '],
    [['forget', 'alice'], 2, 'error: say what to do: '],
  ] as const)('refuses %j', async (args, code, message) => {
    const before = await readFile(file, 'utf8')
    const refused = await user(args)
    expect(refused).toMatchObject({ code, out: '' })
    expect(refused.err).toContain(message)
    expect(await readFile(file, 'utf8')).toBe(before)
  })

  it.skipIf(isMissing('script'))('asks twice at a terminal and shows nothing (needs script)', async () => {
    const main = new URL('../../src/main.ts', import.meta.url).pathname
    const add = async (
      name: string,
      ...typed: readonly string[]
    ): Promise<{ code: number | null; shown: string }> => {
      const command = `${process.execPath} ${main} user add ${name} --file ${file}`
      const child = start('script', ['-qec', command, '/dev/null'])
      const closed = once(child, 'close') as Promise<[number | null]>
      const left = [...typed]
      let shown = ''
      child.stdout?.on('data', (chunk: Buffer) => {
        shown += chunk.toString()
        // A person types once there is a prompt.
        const prompts = shown.match(/password: |once more: /g)?.length ?? 0
        if (prompts > typed.length - left.length) child.stdin?.write(left.shift() ?? '')
      })
      const [code] = await closed
      return { code, shown }
    }
    const added = await add('dora', 'hush-1\r', 'hush-1\r')
    expect(added.code).toBe(0)
    expect(added.shown).toMatch(/password: \s+once more: \s+added in /)
    const differs = await add('ed', 'hush-1\r', 'hush-2\r')
    expect(differs.code).toBe(1)
    expect(differs.shown).toContain('error: the two passwords differ')
    expect((await add('fred', '\u0003')).code).toBe(130)
    expect((await user(['list'])).out).toBe('alice\ndora\n')
  })
})

describe('askSecret', () => {
  class Terminal extends PassThrough {
    raw: boolean[] = []
    setRawMode(raw: boolean): this {
      this.raw.push(raw)
      return this
    }
  }

  it.each([
    ['a line', 'secret\r', 'secret'],
    ['mended with backspace', 'secrx\u007fet\n', 'secret'],
    ['more backspaces than letters', 'a\b\b\bsecret\r', 'secret'],
    ['control-d after it', 'secret\u0004', 'secret'],
    ['letters of two bytes and more', 'пароль🔑\r', 'пароль🔑'],
    ['nothing', '\r', ''],
    ['control-c', 'secr\u0003', undefined],
    ['control-d at once', '\u0004', undefined],
  ])('reads %s', async (_name, typed, secret) => {
    const terminal = new Terminal()
    const shown: string[] = []
    const answer = askSecret(terminal, { write: (text) => shown.push(text) }, 'password: ')
    terminal.write(typed)
    expect(await answer).toBe(secret)
    expect([shown, terminal.raw, terminal.listenerCount('data')]).toEqual([
      ['password: ', '\n'],
      [true, false],
      0,
    ])
  })

  it('keeps what was pasted for the next question', async () => {
    const terminal = new Terminal()
    const first = askSecret(terminal, { write: () => {} }, '')
    terminal.write('one\rtwo\r')
    expect(await first).toBe('one')
    expect(await askSecret(terminal, { write: () => {} }, '')).toBe('two')
  })
})

describe('a gateway that runs', () => {
  let gateway: SightlineProcess
  let origin: RawOrigin
  let own: TempDir
  beforeAll(async () => {
    own = await tempDir()
    await sightline(['user', 'add', 'alice', '--file', own.file('users')], { input: 'correct' })
    gateway = await serve(own.file('gateway.json'), {
      inbounds: [
        { type: 'http', listen: '127.0.0.1:0', auth: { users: own.file('users') } },
        { type: 'socks', listen: '127.0.0.1:0', auth: { users: own.file('users') } },
      ],
      egress: { allow: ['127.0.0.0/8'] },
    })
    origin = await startRawOrigin((wire) => wire.socket.end('hello'))
  })
  afterAll(async () => {
    await gateway[Symbol.asyncDispose]()
    await origin[Symbol.asyncDispose]()
    await own[Symbol.asyncDispose]()
  })

  async function connect(name: string, localAddress: string): Promise<Wire> {
    const socket = net.connect({
      host: '127.0.0.1',
      port: gateway.port(name),
      localAddress,
      allowHalfOpen: true,
    })
    await once(socket, 'connect')
    return new Wire(socket)
  }

  /** The status of a CONNECT, and how long it took. */
  async function byHttp(
    name: string,
    password: string,
    from = '127.0.0.1',
  ): Promise<{ status: number; code: string; ms: number }> {
    const startedMs = performance.now()
    using client = await connect('http', from)
    const credentials = Buffer.from(`${name}:${password}`).toString('base64')
    client.send(
      `CONNECT 127.0.0.1:${origin.port} HTTP/1.1\r\nHost: x\r\nProxy-Authorization: Basic ${credentials}\r\n\r\n`,
    )
    await client.untilText('\r\n\r\n')
    const code = /sightline-error: (\S+)/.exec(client.text)?.[1] ?? ''
    return { status: Number(client.text.split(' ')[1]), code, ms: performance.now() - startedMs }
  }

  /** The status of RFC 1929's answer; 0 lets in. */
  async function bySocks(name: string, password: string, from = '127.0.0.1'): Promise<number> {
    using client = await connect('socks', from)
    const [ofName, ofPassword] = [Buffer.from(name), Buffer.from(password)]
    client.send(
      Buffer.concat([
        Buffer.from([5, 1, 2, 1, ofName.length]),
        ofName,
        Buffer.from([ofPassword.length]),
        ofPassword,
      ]),
    )
    await client.untilBytes(4)
    return client.received[3] ?? -1
  }

  it('lets in who is right, over HTTP and SOCKS', async () => {
    expect(await byHttp('alice', 'correct')).toMatchObject({ status: 200 })
    expect(await bySocks('alice', 'correct')).toBe(0)
    expect(await byHttp('alice', 'wrong', '127.0.0.2')).toMatchObject({ status: 407, code: 'auth-failed' })
    expect(await bySocks('alice', 'wrong', '127.0.0.3')).not.toBe(0)
  })

  it('makes who guesses wait, and locks nobody out', async () => {
    const guesses: number[] = []
    for (let index = 0; index < 4; index += 1)
      guesses.push((await byHttp('alice', `guess ${index}`, '127.0.0.4')).ms)
    // Nothing, then 250, 500 and 1000 ms, whatever the checks themselves take.
    expect(guesses.map((ms, index) => ms >= [0, 250, 500, 1_000][index]!)).toEqual([true, true, true, true])
    const guess = byHttp('alice', 'guess 5', '127.0.0.4')
    const [known, elsewhere] = [
      await byHttp('alice', 'correct', '127.0.0.4'),
      await byHttp('alice', 'correct', '127.0.0.5'),
    ]
    expect([known.status, elsewhere.status]).toEqual([200, 200])
    expect((await guess).ms).toBeGreaterThan(2_000)
  })

  it('refuses more tries than may wait, over HTTP and SOCKS alike', async () => {
    const count = async (mode: string): Promise<number> => {
      const { body } = await get(gateway.port('admin'), '/metrics')
      return sum(body, 'sightline_refusals_total', { code: 'rate-limited', mode })
    }
    const tries = Array.from({ length: 60 }, (_, index) => byHttp(`name-${index}`, 'guess', '127.0.0.10'))
    const refused = (await Promise.all(tries)).filter(({ code }) => code === 'rate-limited')
    expect(new Set(refused.map(({ status }) => status))).toEqual(new Set([429]))
    expect(await count('http-proxy')).toBe(refused.length)
    const flood = Array.from({ length: 60 }, (_, index) => bySocks(`name-${index}`, 'guess', '127.0.0.11'))
    expect((await Promise.all(flood)).every((status) => status !== 0)).toBe(true)
    expect(await count('socks-proxy')).toBeGreaterThan(0)
  })

  it('reads a changed file by itself, and says when it is no longer good', async () => {
    const users = own.file('users')
    await sightline(['user', 'add', 'bob', '--file', users], { input: 'his' })
    await eventually(async () => expect(await bySocks('bob', 'his', '127.0.0.6')).toBe(0))
    await sightline(['user', 'remove', 'bob', '--file', users])
    await eventually(async () => expect(await bySocks('bob', 'his', '127.0.0.7')).not.toBe(0))
    await writeFile(users, 'alice:correct\n')
    await gateway.errLine(/"outcome":"config-invalid"/)
    expect(await byHttp('alice', 'correct', '127.0.0.8')).toMatchObject({ status: 200 })
    expect(gateway.err.join('\n')).not.toMatch(/alice|bob|127\.0\.0\./)
  })
})
