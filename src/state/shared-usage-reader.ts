// Reads from the shared store who moved how much, for a command: one connection, one try, and what is wrong in words.
import type { StateConfig } from '../config/state.ts'
import { GatewayError } from '../errors.ts'
import { StateLink } from './link.ts'
import { readSecret } from './settings.ts'
import { SharedUsage } from './shared-usage.ts'
import type { UsageQuestion } from './usage-reader.ts'
import type { UseOfDay } from './usage-store.ts'

/**
 * All replicas together, by day, kind and name; `unreadable` counts rows that nobody with this secret has sealed. Errors:
 * `state-unavailable`, `state-auth-failed`, `state-untrusted`, `state-invalid`, `file-unusable`.
 */
export async function readSharedUsage(
  config: StateConfig,
  { since, until, name }: UsageQuestion,
): Promise<{ readonly uses: readonly UseOfDay[]; readonly unreadable: number }> {
  const { promise: standing, resolve, reject } = Promise.withResolvers<void>()
  const changed = (up: boolean, code = 'state-unavailable' as const): void => {
    if (up) return resolve()
    const hint =
      'check state in the config, and whether the server runs: a gateway that serves says so in its log'
    reject(new GatewayError(code, { hint }))
  }
  const link = new StateLink(config, { changed, called: () => {} })
  const usage = new SharedUsage({ link, prefix: config.prefix, secret: readSecret(config) })
  link.open()
  try {
    await standing
    const uses: UseOfDay[] = []
    let unreadable = 0
    for (let day = since; day <= until; day += 1) {
      const read = await usage.read(day)
      uses.push(
        ...read.uses.filter(({ identity }) => name === undefined || identity.name === name).toSorted(byName),
      )
      unreadable += read.unreadable
    }
    return { uses, unreadable }
  } finally {
    link.close()
  }
}

function byName({ identity: one }: UseOfDay, { identity: other }: UseOfDay): number {
  return one.kind.localeCompare(other.kind) || one.name.localeCompare(other.name)
}
