// What a process draws by chance for others to know something by: the reference of a refusal, which its client and the log
// have in common, and the keys that TLS tickets are sealed with.
import { hkdfSync, randomUUID } from 'node:crypto'
import type { InboundConfig } from '../config/schema.ts'

const TICKET_KEYS_BYTES = 48

/** 48 bits, of a kind whose random numbers Node takes in advance, many at once. */
export function newReference(): string {
  const uuid = randomUUID()
  return uuid.slice(0, 8) + uuid.slice(9, 13)
}

/** A ticket is good at the listener that gave it, in every process that has the same secret. */
export function ticketKeys(secret: Buffer, { type, listen }: InboundConfig): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, '', `tickets ${type} ${listen}`, TICKET_KEYS_BYTES))
}
