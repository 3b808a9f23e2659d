// Holds what the programs did against each other. Rule: every field in which a program differs from Sightline's plain
// listener is named in the case with a key of docs/conformance.md, and no field is named that does not differ.
import { readFileSync } from 'node:fs'
import path from 'node:path'
import type { Case, Outcome } from './script.ts'

const CONFORMANCE = path.join(import.meta.dirname, '../../docs/conformance.md')

/** Fields that both have and in which they differ; a run that ended early has the one where it did. */
export function differences(ours: Outcome, theirs: Outcome): string[] {
  return Object.keys(theirs).filter((field) => field in ours && ours[field] !== theirs[field])
}

/** What is wrong with one case, as sentences; `outcomes` by subject, Sightline's plain listener first. */
export function judge({ outcome, differs = {} }: Case, outcomes: ReadonlyMap<string, Outcome>): string[] {
  const problems: string[] = []
  const [[plain, ours] = ['nothing', {}], ...others] = [...outcomes]
  for (const field of new Set([...Object.keys(outcome), ...Object.keys(ours)])) {
    if (outcome[field] !== ours[field])
      problems.push(`${plain}: ${field} is ${shown(ours[field])}, recorded is ${shown(outcome[field])}`)
  }
  for (const [name, theirs] of others) {
    const named = differs[name] ?? {}
    const found = differences(ours, theirs)
    if (found.length === 0 && Object.keys(theirs).length !== Object.keys(ours).length)
      problems.push(`${name}: looked at other fields: ${Object.keys(theirs).join(', ')}`)
    for (const field of found) {
      if (!Object.hasOwn(named, field))
        problems.push(
          `${name}: ${field} is ${shown(theirs[field])}, ${plain} has ${shown(ours[field])}: fix or justify it`,
        )
    }
    for (const [field, key] of Object.entries(named)) {
      if (!found.includes(field))
        problems.push(`${name}: ${field} does not differ: ${key} is not needed here`)
    }
  }
  for (const name of Object.keys(differs)) {
    if (!outcomes.has(name)) problems.push(`${name} is named, and was not run`)
  }
  return problems
}

function shown(value: string | undefined): string {
  return value === undefined ? 'not looked at' : JSON.stringify(value)
}

/** Keys of the lines of docs/conformance.md, in their order: the first cell of each row of a table. */
export function conformanceKeys(text = readFileSync(CONFORMANCE, 'utf8')): string[] {
  return [...text.matchAll(/^\| `([a-z0-9-]+)` \|/gm)].map(([, key = '']) => key)
}

export function keysOf(cases: readonly Case[]): string[] {
  return cases.flatMap(({ differs = {} }) =>
    Object.values(differs).flatMap((fields) => Object.values(fields)),
  )
}
