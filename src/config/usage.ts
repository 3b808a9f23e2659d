// Who may move how many bytes a day, and what is kept of who did, in a config file. Pure.
import { z } from 'zod'

export const quotaSchema = z.strictObject({
  identity: z.string().min(1).max(255).describe('Name of the user, or in the certificate'),
  kind: z.enum(['user', 'certificate']).describe('A user with a password, or the holder of a certificate'),
  bytesPerDay: z
    .int()
    .min(0)
    .describe('In place of bytesPerDayPerIdentity, for this one; 0 sets it no limit'),
})

export const usageSchema = z.strictObject({
  store: z.string().min(1).describe('File of the store; made where there is none'),
  keepDays: z.int().min(1).max(3_660).default(400).describe('Days of which it is kept who moved how much'),
})

export type Quota = z.output<typeof quotaSchema>
export type UsageConfig = z.output<typeof usageSchema>

/** Where in the list an identity comes that has a quota further up already. */
export function repeatedQuotas(quotas: readonly Quota[]): number[] {
  const seen = new Set<string>()
  return quotas.flatMap(({ kind, identity }, index) => {
    const before = seen.size
    return seen.add(`${kind}:${identity}`).size > before ? [] : [index]
  })
}
