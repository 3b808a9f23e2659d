// How `sightline pki list` looks: a table, and what to see to before it ends. Pure.
import type { ListedCertificate, ListedOwn } from '../pki/index-file.ts'

type Listed = ListedCertificate | ListedOwn

export function listTable(entries: readonly Listed[]): string[] {
  const rows = [
    ['name', 'kind', 'state', 'days left', 'serial'],
    ...entries.map(({ name, kind, state, daysLeft, ...entry }) => [
      name,
      kind,
      state,
      String(daysLeft),
      'number' in entry ? `number ${entry.number}` : (entry.serial?.slice(0, 8) ?? ''),
    ]),
  ]
  const widths = [0, 1, 2, 3].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  '))
}

/** A line for each thing that ends soon or has ended, with what to do. */
export function listWarnings(dir: string, entries: readonly Listed[], listIsCurrent: boolean): string[] {
  const renewList = `sightline pki crl --dir ${dir}`
  return [
    ...(listIsCurrent
      ? []
      : [`warning: ca.crl lacks what index.json says was revoked, or cannot be read; hint: ${renewList}`]),
    ...entries
      .filter(({ endsSoon }) => endsSoon)
      .map(({ name, kind, state, daysLeft }) => {
        const verb = kind === 'revocation-list' ? 'is due' : 'ends'
        const late = kind === 'revocation-list' ? 'is past due' : 'has ended'
        const when = state === 'expired' ? late : `${verb} ${inDays(daysLeft)}`
        const hint =
          kind === 'authority'
            ? 'make another with sightline pki init, and give gateways and clients both in one file'
            : kind === 'revocation-list'
              ? renewList
              : `sightline pki renew ${name} --dir ${dir}`
        return `warning: ${name} ${when}; hint: ${hint}`
      }),
  ]
}

export function inDays(days: number): string {
  return days === 0 ? 'within a day' : `in ${days} ${days === 1 ? 'day' : 'days'}`
}
