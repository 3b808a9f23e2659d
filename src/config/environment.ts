// Puts the environment into a config file: ${NAME} and ${NAME:-default} in a value, for what differs between
// deployments. Rules: it is done on parsed values, so that no variable can add a key or a list; one that is not set is an error;
// and an error names the variable, never what it holds.
import { isPair, isScalar, isSeq, parseDocument, visit, type Document } from 'yaml'

export type Environment = Readonly<Record<string, string | undefined>>

/** `$${` stands for `${` itself. */
const REFERENCE = /\$\$\{|\$\{([^}]*)\}?/g
const NAME = /^([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/s
const WHOLE = /^\$\{[^}]*\}$/

/** Replaces every reference in the values of `document`; gives what is wrong, each with its place. */
export function putEnvironment(document: Document, env: Environment): string[] {
  const problems: string[] = []
  visit(document, {
    Scalar: (key, node, path) => {
      if (key === 'key' || typeof node.value !== 'string' || !node.value.includes('${')) return
      const text = node.value
      const where = placeOf([...path, node])
      const value = text.replaceAll(REFERENCE, (found, inner: string | undefined) => {
        if (found === '$${') return '${'
        const read = readReference(found, inner ?? '', env)
        if ('value' in read) return read.value
        problems.push(`${where}: ${read.problem}`)
        return ''
      })
      node.value = node.type === 'PLAIN' && WHOLE.test(text) ? typed(value) : value
    },
  })
  return problems
}

function readReference(
  found: string,
  inner: string,
  env: Environment,
): { readonly value: string } | { readonly problem: string } {
  const [, name, fallback] = (found.endsWith('}') && NAME.exec(inner)) || []
  if (name === undefined)
    return {
      problem:
        'not a reference to the environment; write it as ${NAME} or ${NAME:-default}, and $${ for the sign itself',
    }
  const value = env[name]
  // As a shell has it: a default stands for what is unset or empty.
  if (value !== undefined && (value !== '' || fallback === undefined)) return { value }
  if (fallback !== undefined) return { value: fallback }
  return { problem: `the environment has no ${name}; set it, or give a default: \${${name}:-…}` }
}

/** What stands alone and without quotes may be a number or a truth value, as it would be in the file itself. */
function typed(text: string): unknown {
  const { contents } = parseDocument(text)
  return isScalar(contents) && ['number', 'boolean'].includes(typeof contents.value) ? contents.value : text
}

/** As other errors name it: inbounds[0].listen. */
function placeOf(nodes: readonly unknown[]): string {
  let place = ''
  for (const [index, node] of nodes.entries()) {
    const parent = nodes[index - 1]
    if (isSeq(parent)) place += `[${parent.items.indexOf(node)}]`
    if (isPair(node) && isScalar(node.key)) place += `.${String(node.key.value)}`
  }
  return place.replace(/^\./, '') || 'the file'
}
