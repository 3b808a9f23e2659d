// The files that a config names and that are watched, and what was read of a config that may be put in force. Rule: what is
// read again by itself stands here.
import type { Config } from '../config/schema.ts'
import type { EgressPolicies } from '../policy/egress-rules.ts'
import type { Looks } from './file-watch.ts'
import type { Prepared } from './inbounds.ts'
import { filesOfOutbound } from './outbounds.ts'
import type { UsersFiles } from './users-files.ts'

/** All that is watched. */
export function filesOf(config: Config): string[] {
  const inbounds = config.inbounds.flatMap(({ tls }) =>
    tls === undefined ? [] : [tls.certificate, tls.key, tls.clientAuthority, tls.revocationList],
  )
  const outbounds = Object.values(config.outbounds).flatMap(filesOfOutbound)
  return [...usersFilesOf(config), ...inbounds, ...outbounds].flatMap((file) => file ?? [])
}

export function usersFilesOf({ inbounds }: Config): string[] {
  return inbounds.flatMap((inbound) => inbound.auth?.users ?? [])
}

/** What was read for a reload. */
export interface Read {
  readonly policies: EgressPolicies
  readonly looks: Looks
  readonly users: UsersFiles
  readonly prepared: readonly Prepared[]
}
