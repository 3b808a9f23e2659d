// The house's rules (DESIGN section 2), held against every file of src. Each rule is a function from the source to a
// list of offences; each is also given a source that breaks it, so that a rule that finds nothing is known to look.
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { parseSource, readSourceTree, type SourceTree } from './support/source-tree.ts'

const ROOT = path.join(import.meta.dirname, '..')
const SRC = readSourceTree(path.join(ROOT, 'src'))

/** Who may import whom. The linter repeats this list in the editor (.oxlintrc.json); a test below compares the two. */
const BASE = ['errors', 'protocol', 'pki', 'config']
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  errors: [],
  protocol: ['errors'],
  pki: ['errors'],
  config: ['errors'],
  policy: ['errors', 'protocol'],
  transport: BASE,
  state: [...BASE, 'policy'],
  inbound: [...BASE, 'policy', 'transport'],
  outbound: [...BASE, 'policy', 'transport'],
  gateway: [...BASE, 'policy', 'state', 'transport', 'inbound', 'outbound'],
  telemetry: [...BASE, 'policy', 'state', 'transport', 'inbound', 'outbound', 'gateway'],
  lab: [...BASE, 'policy', 'state', 'transport', 'inbound', 'outbound', 'gateway', 'telemetry'],
  workers: [...BASE, 'policy', 'state', 'transport', 'inbound', 'outbound', 'gateway', 'telemetry'],
  cli: [
    ...BASE,
    'policy',
    'state',
    'transport',
    'inbound',
    'outbound',
    'gateway',
    'telemetry',
    'lab',
    'workers',
  ],
  main: ['cli', 'errors'],
}

/** Layers without sockets, clock and chance: all that they may import from outside the project. */
const PURE = new Set(['protocol', 'policy'])
const PURE_PACKAGES = new Set(['ipaddr.js', 'node:stream (types)'])
const IMPURE_NAMES =
  /^(Date\.now|Date|Date\(\)|new Date\(\)|performance|setTimeout|setInterval|setImmediate|queueMicrotask|Math\.random|crypto|fetch|console)(?![\w$])/
const TIMELESS = /^Date\.(UTC|parse)$|^Date$/

/** What runs a gateway or a tunnel client: no code that records bytes may be loaded with it. */
const WITHOUT_LAB = ['cli/serve.ts', 'cli/connect.ts']
const MAX_LINES = 400

/** Built by itself, for a browser. */
const PAGE = 'lab/console/page/'
const PAGE_PACKAGES = new Set(['preact', 'preact/hooks'])

type Rule = (tree: SourceTree) => string[]

function layerOf(file: string): string {
  return file.split('/')[0]?.replace(/\.ts$/, '') ?? ''
}

function resolveImport(file: string, specifier: string): string | undefined {
  return specifier.startsWith('.') ? path.posix.join(path.posix.dirname(file), specifier) : undefined
}

function isStyleOfThePage(target: string): boolean {
  return target.startsWith(PAGE) && target.endsWith('.css')
}

function projectImports(tree: SourceTree, file: string): string[] {
  return (tree.get(file)?.imports ?? []).flatMap(({ specifier }) => resolveImport(file, specifier) ?? [])
}

function eachFile(tree: SourceTree, offences: (file: string) => string[]): string[] {
  return [...tree.keys()].flatMap((file) => offences(file).map((offence) => `${file}: ${offence}`))
}

const importsGoDown: Rule = (tree) =>
  eachFile(tree, (file) => {
    const layer = layerOf(file)
    const allowed = MAY_IMPORT[layer]
    if (allowed === undefined) return [`${layer} is no layer of the house`]
    return (tree.get(file)?.imports ?? []).flatMap(({ specifier }) => {
      if (specifier === '') return ['imports what is decided at run time']
      const target = resolveImport(file, specifier)
      if (target === undefined || isStyleOfThePage(target)) return []
      if (!tree.has(target)) return [`imports ${specifier}, which is no file of src`]
      const to = layerOf(target)
      return to === layer || allowed.includes(to) ? [] : [`${layer} may not import ${to} (${specifier})`]
    })
  })

const pureLayersImportNothingThatActs: Rule = (tree) =>
  eachFile(tree, (file) =>
    (PURE.has(layerOf(file)) ? (tree.get(file)?.imports ?? []) : []).flatMap(({ specifier, kind }) => {
      const allowed =
        PURE_PACKAGES.has(specifier) || (kind === 'type' && PURE_PACKAGES.has(`${specifier} (types)`))
      return specifier.startsWith('.') || allowed ? [] : [`imports ${specifier}`]
    }),
  )

const pureLayersAskNoClockOrChance: Rule = (tree) =>
  eachFile(tree, (file) =>
    (PURE.has(layerOf(file)) ? (tree.get(file)?.names ?? []) : [])
      .filter((name) => IMPURE_NAMES.test(name) && !TIMELESS.test(name))
      .map((name) => `names ${name}`),
  )

const onlyMainTouchesTheProcess: Rule = (tree) =>
  eachFile(tree, (file) => {
    if (file === 'main.ts') return []
    const { names = [], imports = [] } = tree.get(file) ?? {}
    return [
      ...names.filter((name) => /^(process|globalThis|global\.process|require)\b/.test(name)),
      ...imports.map(({ specifier }) => specifier).filter((specifier) => /^(node:)?process$/.test(specifier)),
    ].filter((name) => !(name === 'process.nextTick' && layerOf(file) === 'transport'))
  })

const gatewaysNeverLoadTheLab: Rule = (tree) =>
  WITHOUT_LAB.flatMap((entry) => {
    if (!tree.has(entry)) return [`${entry} is gone: name the file that took its place`]
    const from = new Map<string, string>([[entry, '']])
    for (const file of from.keys()) {
      for (const target of projectImports(tree, file)) if (!from.has(target)) from.set(target, file)
    }
    return [...from]
      .filter(([file]) => layerOf(file) === 'lab')
      .map(([file, by]) => `${entry} reaches ${file} through ${by}`)
  })

/** The console's page runs in a browser: what it takes of the rest are types, and the pure lists of the policy. */
const thePageStandsAlone: Rule = (tree) =>
  eachFile(tree, (file) => {
    if (!file.startsWith(PAGE)) return []
    return (tree.get(file)?.imports ?? []).flatMap(({ specifier, kind }) => {
      const target = resolveImport(file, specifier)
      if (target === undefined) return PAGE_PACKAGES.has(specifier) ? [] : [`imports ${specifier}`]
      const own = target.startsWith(PAGE) || target === 'policy/exposure.ts'
      return own || kind === 'type' ? [] : [`takes more than types of ${target}`]
    })
  })

const onlyTheDiskTouchesFiles: Rule = (tree) =>
  eachFile(tree, (file) =>
    file.startsWith('pki/') && file !== 'pki/disk.ts'
      ? (tree.get(file)?.imports ?? [])
          .map(({ specifier }) => specifier)
          .filter((specifier) => /^(node:)?fs\b/.test(specifier))
      : [],
  )

const filesOpenWithAComment: Rule = (tree) =>
  eachFile(tree, (file) => {
    const { text = '', bodyStart = 0 } = tree.get(file) ?? {}
    return /^(#!.*\n)?(\/\/ \S|\/\*)/.test(text.slice(0, bodyStart))
      ? []
      : ['opens without saying what it is for']
  })

const filesAreShort: Rule = (tree) =>
  eachFile(tree, (file) => {
    const lines = tree.get(file)?.text.trimEnd().split('\n').length ?? 0
    return lines > MAX_LINES ? [`has ${lines} lines, more than ${MAX_LINES}: it is two concepts`] : []
  })

const noImportGoesInACircle: Rule = (tree) => {
  const circles = new Set<string>()
  const done = new Set<string>()
  const walk = (file: string, trail: readonly string[]): void => {
    const at = trail.indexOf(file)
    if (at >= 0) circles.add([...trail.slice(at), file].join(' > '))
    if (at >= 0 || done.has(file)) return
    for (const target of projectImports(tree, file)) walk(target, [...trail, file])
    done.add(file)
  }
  for (const file of tree.keys()) walk(file, [])
  return [...circles]
}

interface Case {
  readonly rule: string
  readonly check: Rule
  /** Sources that break the rule, each alone, by the file that they are put in. */
  readonly broken: ReadonlyArray<readonly [file: string, text: string]>
  readonly fine?: ReadonlyArray<readonly [file: string, text: string]>
}

const OPENING = '// Made to be refused.\n'
const CASES: readonly Case[] = [
  {
    rule: 'imports only go down',
    check: importsGoDown,
    broken: [
      ['policy/planted.ts', `import { relay } from '../gateway/relay.ts'`],
      ['transport/planted.ts', `import type { Inbound } from '../inbound/inbound.ts'`],
      ['inbound/planted.ts', `export { DirectOutbound } from '../outbound/direct.ts'`],
      ['outbound/planted.ts', `export * from '../inbound/inbound.ts'`],
      ['protocol/mux/planted.ts', `export type { Config } from '../../config/schema.ts'`],
      ['gateway/planted.ts', `export const load = () => import('../cli/serve.ts')`],
      ['gateway/planted.ts', 'export const load = () => import(`../telemetry/log.ts`)'],
      ['errors.ts', `export type A = import('./protocol/request.ts').Mode`],
      ['config/planted.ts', `export const load = (name: string) => import(name)`],
      ['pki/planted.ts', `import '../policy/egress.ts'`],
      ['cli/planted.ts', `import '../main.ts'`],
      ['cli/planted.ts', `import '../../test/support/pki.ts'`],
      ['shared/planted.ts', ''],
    ],
    fine: [['outbound/planted.ts', `import type { Mode } from '../protocol/request.ts'`]],
  },
  {
    rule: 'protocol/ and policy/ import no sockets, files, names or timers, not even as types',
    check: pureLayersImportNothingThatActs,
    broken: [
      ...[
        'net',
        'tls',
        'http',
        'https',
        'http2',
        'fs',
        'fs/promises',
        'dns',
        'timers/promises',
        'crypto',
        'process',
      ].map((name) => ['protocol/socks/planted.ts', `import type { A } from 'node:${name}'`] as const),
      ['policy/planted.ts', `import net from 'net'`],
      ['policy/planted.ts', `export type A = import('node:net').Socket`],
      ['policy/planted.ts', `import { Duplex } from 'node:stream'`],
      ['policy/planted.ts', `import { WebSocket } from 'ws'`],
    ],
    fine: [['policy/planted.ts', `import type { Duplex } from 'node:stream'`]],
  },
  {
    rule: 'protocol/ and policy/ ask no clock, timer or random source',
    check: pureLayersAskNoClockOrChance,
    broken: [
      ...[
        'Date.now()',
        'new Date()',
        'Date()',
        'performance.now()',
        'setTimeout(a, 1)',
        'setInterval(a)',
        'setImmediate(a)',
      ],
      ...[
        'Math.random()',
        'crypto.getRandomValues(a)',
        `Math['random']()`,
        '{ now: Date.now }',
        '[performance]',
      ],
    ].map((expression) => ['protocol/planted.ts', `export const a = (${expression})`] as const),
    fine: [
      [
        'policy/planted.ts',
        `export const a = new Date(0)\nexport const b = { performance: 1, crypto() {} }.performance`,
      ],
      ['gateway/planted.ts', `export const a = Date.now()`],
    ],
  },
  {
    rule: 'only main.ts touches process, and transport/ its nextTick',
    check: onlyMainTouchesTheProcess,
    broken: [
      ['cli/planted.ts', `export const a = process.env['HOME']`],
      ['gateway/planted.ts', `process.nextTick(a)`],
      ['transport/planted.ts', `export const { nextTick, exit } = process`],
      ['lab/planted.ts', `export const a = globalThis.process`],
      ['lab/planted.ts', `export const a = global['process']`],
      ['cli/planted.ts', `import { argv } from 'node:process'`],
      ['cli/planted.ts', `const a = require('process')`],
    ],
    fine: [['transport/planted.ts', `process.nextTick(() => ({ process: 1 }).process)`]],
  },
  {
    rule: 'serve and connect never load the lab, not through others and not later',
    check: gatewaysNeverLoadTheLab,
    broken: [
      ['cli/serve.ts', `import '../lab/run.ts'`],
      ['cli/connect.ts', `export const a = async () => (await import('./up.ts')).upCommand`],
      ['cli/service.ts', `export type { LabResult } from '../lab/run.ts'`],
      ['gateway/relay.ts', `import('../lab/tap.ts')`],
    ],
  },
  {
    rule: "the console's page takes types alone of the rest, and preact alone of all packages",
    check: thePageStandsAlone,
    broken: [
      ['lab/console/page/planted.ts', `import { CHOICES } from '../../run.ts'`],
      ['lab/console/page/planted.ts', `import { readFileSync } from 'node:fs'`],
      ['lab/console/page/planted.ts', `import { z } from 'zod'`],
    ],
    fine: [['lab/console/page/planted.ts', `import type { LabRun } from '../../model.ts'`]],
  },
  {
    rule: 'only pki/disk.ts reads and writes files in pki/',
    check: onlyTheDiskTouchesFiles,
    broken: [
      ['pki/leaf.ts', `import { existsSync, readFileSync } from 'node:fs'`],
      ['pki/der.ts', `export const a = () => import('fs/promises')`],
    ],
  },
  {
    rule: 'every file opens with a comment that says what it is for',
    check: filesOpenWithAComment,
    broken: [
      ['gateway/planted.ts', `export const a = 1 // late`],
      ['gateway/planted.ts', `\n// not the first line\nexport const a = 1`],
      ['gateway/planted.ts', `#!/usr/bin/env node\nexport const a = 1`],
    ],
    fine: [['gateway/planted.ts', `#!/usr/bin/env node\n// Says it.\nexport const a = 1`]],
  },
  {
    rule: `no file has more than ${MAX_LINES} lines`,
    check: filesAreShort,
    broken: [['gateway/planted.ts', '//\n'.repeat(MAX_LINES + 1)]],
    fine: [['gateway/planted.ts', '//\n'.repeat(MAX_LINES)]],
  },
  {
    rule: 'no import goes in a circle',
    check: noImportGoesInACircle,
    broken: [
      ['errors.ts', `export type { Mode } from './protocol/request.ts'`],
      ['protocol/mux/frame.ts', `export const later = () => import('./session.ts')`],
    ],
  },
]

/** The source with one file put in or, where it is there, added to. */
function plant(file: string, text: string): SourceTree {
  const before = SRC.get(file)?.text
  return new Map(SRC).set(file, parseSource(before === undefined ? text : `${before}\n${text}\n`))
}

describe.each(CASES)('$rule', ({ check, broken, fine = [] }) => {
  it('in src', () => {
    expect(check(SRC)).toEqual([])
  })

  it.each(broken)('and says so of %s: %s', (file, text) => {
    const { length } = check(plant(file, check === filesOpenWithAComment ? text : OPENING + text))
    expect(length).toBeGreaterThan(0)
  })

  it.each(fine)('and has nothing against %s: %s', (file, text) => {
    expect(check(plant(file, text))).toEqual([])
  })
})

describe('the linter', () => {
  it.each(Object.keys(MAY_IMPORT))('bans in %s what the list here does not allow', (layer) => {
    const { overrides } = JSON.parse(
      readFileSync(path.join(ROOT, '.oxlintrc.json'), 'utf8').replace(/^ *\/\/.*$/gm, ''),
    ) as {
      overrides: Array<{
        files: string[]
        rules: Record<string, [string, { patterns: Array<{ regex: string }> }]>
      }>
    }
    const files = new Set([`src/${layer}/**`, `src/${layer}.ts`])
    const patterns = overrides
      .filter((override) => override.files.some((file) => files.has(file)))
      .flatMap(({ rules }) => rules['no-restricted-imports']?.[1].patterns ?? [])
      .map(({ regex }) => new RegExp(regex, 'u'))
    const banned = (specifier: string): boolean => patterns.some((pattern) => pattern.test(specifier))
    const others = Object.keys(MAY_IMPORT).filter((other) => other !== layer)
    const specifierOf = (other: string): string => {
      const target = other === 'errors' || other === 'main' ? `${other}.ts` : `${other}/a.ts`
      return MAY_IMPORT[layer] !== undefined && (layer === 'errors' || layer === 'main')
        ? `./${target}`
        : `../${target}`
    }
    const deeper = (other: string): string => specifierOf(other).replace('../', '../../')
    expect(others.filter((other) => banned(specifierOf(other)))).toEqual(
      others.filter((other) => !MAY_IMPORT[layer]?.includes(other)),
    )
    expect(others.filter((other) => banned(deeper(other)))).toEqual(
      others.filter((other) => !MAY_IMPORT[layer]?.includes(other)),
    )
  })
})

describe('package-lock.json', () => {
  it('holds no registry address, so that it works behind any registry', () => {
    expect(readFileSync(path.join(ROOT, 'package-lock.json'), 'utf8')).not.toMatch(
      /"resolved"|https?:\/\/registry/,
    )
  })
})

describe('the pages', () => {
  it.each([
    'src/README.md',
    'docs/lessons/README.md',
    'config/README.md',
    'CONTRIBUTING.md',
    'CHANGELOG.md',
    'README.md',
  ])('%s links to what is there', (page) => {
    const links = [
      ...readFileSync(path.join(ROOT, page), 'utf8').matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g),
    ].map(([, link = '']) => link)
    expect(links.filter((link) => !existsSync(path.join(ROOT, path.dirname(page), link)))).toEqual([])
  })
})
