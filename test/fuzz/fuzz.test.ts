// The fuzzer itself: a decoder that is wrong for some inputs is found, its input is made as small as it can be, and what
// is printed repeats it. Rule: each part is shown to fail where it should.
import { describe, expect, it } from 'vitest'
import path from 'node:path'
import { GatewayError } from '../../src/errors.ts'
import { plainEnvironment, run } from '../support/programs.ts'
import { Draw, seedOf } from './draw.ts'
import { describeFailure, failureOf, minimize } from './minimize.ts'
import { mixed } from './mutate.ts'
import { attempt, BrokenPromise, promise, type Target } from './target.ts'
import { TARGETS } from './targets/all.ts'

/** Wrong wherever a 7 stands somewhere before a 9. */
const planted: Target = {
  name: 'planted',
  generate: (draw) => mixed(draw, (own) => own.bytes(40)),
  check(input) {
    const seven = input.indexOf(7)
    promise(seven < 0 || input.indexOf(9, seven) < 0, 'a 7 stands before a 9')
    return 'read'
  },
  deep: { words: ['read'], share: 0.5 },
}

const inputs = (target: Target, count: number): Uint8Array[] =>
  Array.from({ length: count }, (_, index) => target.generate(Draw.seeded(seedOf(1, index))))

describe('the fuzzer', () => {
  it('finds what is wrong and makes it as small as can be', () => {
    const found = inputs(planted, 2_000).filter((input) => failureOf(planted, input) !== undefined)
    expect(found.length).toBeGreaterThan(0)
    for (const input of found) expect([...minimize(planted, input)]).toEqual([7, 9])
    expect(describeFailure(planted, found[0]!)).toBe(
      [
        'planted: Error: a 7 stands before a 9',
        'input: 0709',
        "repeat: node test/fuzz/run.ts --target planted --input '0709'",
      ].join('\n'),
    )
  })

  it('takes no error but the coded ones that were named', () => {
    const failing = (error: Error) => () =>
      attempt(['bad-request'], () => {
        throw error
      })
    expect(failing(new GatewayError('bad-request'))()).toEqual({ code: 'bad-request' })
    expect(failing(new GatewayError('internal-error'))).toThrow(BrokenPromise)
    expect(failing(new TypeError('x'))).toThrow(TypeError)
  })

  it('makes the same inputs of the same seed, and others of another', () => {
    for (const target of TARGETS) {
      const make = (seed: number): string => Buffer.from(target.generate(Draw.seeded(seed))).toString('hex')
      expect(make(5)).toBe(make(5))
      expect(new Set(Array.from({ length: 50 }, (_, seed) => make(seed))).size).toBeGreaterThan(20)
    }
  })

  const script = path.join(import.meta.dirname, 'run.ts')
  const fuzz = (...args: string[]) => run(process.execPath, [script, ...args], { env: plainEnvironment() })

  it('runs for the time given, and says its seed and its pace', async () => {
    const { code, stdout } = await fuzz('--seconds', '1', '--seed', '42', '--target', 'mux-frame')
    expect(code).toBe(0)
    expect(stdout.toString()).toMatch(/^seed 42\n/)
    expect(stdout.toString()).toMatch(/^mux-frame +\d{3,} inputs +\d+ a second +no frame \d+\.\d %/m)
    expect(stdout.toString()).toMatch(/ 0 failures\n$/)
  })

  it('tries one input again', async () => {
    const { code, stdout } = await fuzz('--target', 'mux-frame', '--input', '06000000')
    expect(code).toBe(0)
    expect(stdout.toString()).toBe('mux-frame: nothing is wrong with it\n')
  })

  it('knows its command line', async () => {
    const { code, stderr } = await fuzz('--target', 'no-such-decoder')
    expect(code).toBe(2)
    expect(stderr).toContain('targets: socks-handshake ')
  })
})
