// The source as data, for the architecture test: which modules a file imports (static, dynamic, of types, re-exports,
// `import('x').T`) and which globals it names. Rule: read by a real parser, never by a pattern over text.
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { parseAst } from 'vitest/node'

export interface SourceImport {
  /** As written: `./a.ts`, `node:net`. Empty for a dynamic import whose argument is no literal. */
  readonly specifier: string
  readonly kind: 'static' | 'type' | 'dynamic'
}

export interface SourceFile {
  readonly text: string
  readonly imports: readonly SourceImport[]
  /** Free names and what is taken of them, as `process.nextTick`, `Date()`, `new Date()`, `setTimeout`. */
  readonly names: readonly string[]
  /** Where the program's first token stands, comments and a shebang before it not counted. */
  readonly bodyStart: number
}

/** Source by path from the root of src, as `gateway/relay.ts`. */
export type SourceTree = ReadonlyMap<string, SourceFile>

interface Node {
  readonly type: string
  readonly start: number
  readonly [key: string]: unknown
}

/** Reads every `.ts` and `.tsx` file under `directory`. */
export function readSourceTree(directory: string): SourceTree {
  const files = readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter((file) =>
    /\.tsx?$/.test(file),
  )
  return new Map(
    files
      .toSorted()
      .map((file) => [
        file.split(path.sep).join('/'),
        parseSource(readFileSync(path.join(directory, file), 'utf8'), file.endsWith('x') ? 'tsx' : 'ts'),
      ]),
  )
}

/** Parses one file of TypeScript. Throws where it is none. */
export function parseSource(text: string, lang: 'ts' | 'tsx' = 'ts'): SourceFile {
  // The parser wants no shebang; blanks keep every offset where it was.
  const program = parseAst(
    text.replace(/^#!.*/, (line) => ' '.repeat(line.length)),
    { lang },
  ) as unknown as Node
  const imports: SourceImport[] = []
  const names: string[] = []
  visit(program, undefined, '', (node, parent, key) => {
    const found = importOf(node)
    if (found !== undefined) imports.push(found)
    if (node.type === 'Identifier' && !isOnlyKey(parent, key)) names.push(nameOf(node, parent, key))
  })
  const first = (program['body'] as readonly Node[])[0]
  return { text, imports, names, bodyStart: first?.start ?? text.length }
}

function visit(
  node: Node,
  parent: Node | undefined,
  key: string,
  seen: (node: Node, parent: Node | undefined, key: string) => void,
): void {
  seen(node, parent, key)
  for (const [childKey, child] of Object.entries(node)) {
    for (const part of Array.isArray(child) ? child : [child]) {
      if (isNode(part)) visit(part, node, childKey, seen)
    }
  }
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string'
}

function importOf(node: Node): SourceImport | undefined {
  switch (node.type) {
    case 'ImportDeclaration':
      return { specifier: literal(node['source']), kind: isOfTypes(node, 'importKind') ? 'type' : 'static' }
    case 'ExportAllDeclaration':
    case 'ExportNamedDeclaration':
      if (!isNode(node['source'])) return undefined
      return { specifier: literal(node['source']), kind: isOfTypes(node, 'exportKind') ? 'type' : 'static' }
    case 'TSImportType':
      return { specifier: literal(node['source']), kind: 'type' }
    case 'ImportExpression':
      return { specifier: literal(node['source']), kind: 'dynamic' }
    default:
      return undefined
  }
}

/** `import type { A }`; not `import { type A }`, of which verbatimModuleSyntax keeps an empty import. */
function isOfTypes(node: Node, kind: 'importKind' | 'exportKind'): boolean {
  return node[kind] === 'type'
}

function literal(source: unknown): string {
  if (!isNode(source)) return ''
  if (source.type === 'Literal') return source['value'] as string
  const quasis = source.type === 'TemplateLiteral' ? (source['quasis'] as readonly Node[]) : []
  const [only, ...more] = quasis
  return only !== undefined && more.length === 0 ? (only['value'] as { cooked: string }).cooked : ''
}

/** True for `x` in `a.x`, `{ x: 1 }`, `class { x }`: a key there, and not a name that stands for something. */
function isOnlyKey(parent: Node | undefined, key: string): boolean {
  if (parent === undefined || parent['computed'] === true) return false
  if (parent.type === 'MemberExpression') return key === 'property'
  return key === 'key' && parent['shorthand'] !== true
}

function nameOf(node: Node, parent: Node | undefined, key: string): string {
  const name = String(node['name'])
  if (parent?.type === 'MemberExpression' && key === 'object' && isNode(parent['property'])) {
    const { property } = parent
    return `${name}.${parent['computed'] === true ? literal(property) : String(property['name'])}`
  }
  const bare = Array.isArray(parent?.['arguments']) && parent['arguments'].length === 0
  if (key === 'callee' && bare) return parent.type === 'NewExpression' ? `new ${name}()` : `${name}()`
  return name
}
