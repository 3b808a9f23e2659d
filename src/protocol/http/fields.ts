// Which header fields a proxy passes on (RFC 9110 section 7.6.1), and Basic credentials (RFC 7617). Pure. Rule:
// what concerns one hop stays on it, nothing that names the client is added. Via is left out on purpose: it
// tells observers of the proxy, and loops are caught by the egress rules (docs/threat-model.md).

const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authentication-info',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
])

/** `rawFields` as Node gives them: name, value, name, value … The order and the spelling are kept. */
export type RawFields = readonly string[]

export function* fieldPairs(rawFields: RawFields): Generator<[name: string, value: string]> {
  for (let index = 0; index + 1 < rawFields.length; index += 2)
    yield [rawFields[index] ?? '', rawFields[index + 1] ?? '']
}

/** Every value of one field, in order. `name` in lower case. */
export function fieldValues(rawFields: RawFields, name: string): string[] {
  const values: string[] = []
  for (const [field, value] of fieldPairs(rawFields)) if (field.toLowerCase() === name) values.push(value)
  return values
}

/** Framing and routing cannot be made a matter of one hop: who lists them in Connection would change the message. */
const NEVER_BY_CONNECTION: ReadonlySet<string> = new Set(['content-length', 'host', 'trailer'])

/** Fields that a trailer section may not hold (RFC 9110 section 6.5.1): they frame, route or authenticate. */
const NEVER_IN_TRAILERS = [
  'content-length',
  'host',
  'trailer',
  'authorization',
  'cookie',
  'content-encoding',
  'content-type',
  'content-range',
  'max-forwards',
  'expect',
]

/** What of a trailer section goes on. */
export function endToEndTrailers(rawTrailers: RawFields): string[] {
  return endToEndFields(rawTrailers, NEVER_IN_TRAILERS)
}

/** The end-to-end fields: without those of RFC 9110 section 7.6.1, those that Connection names, and `alsoDrop`. */
export function endToEndFields(rawFields: RawFields, alsoDrop: readonly string[] = []): string[] {
  const dropped = new Set([...HOP_BY_HOP, ...alsoDrop])
  for (const value of fieldValues(rawFields, 'connection')) {
    for (const option of value.split(',')) {
      const name = option.trim().toLowerCase()
      if (!NEVER_BY_CONNECTION.has(name)) dropped.add(name)
    }
  }
  const kept: string[] = []
  for (const [name, value] of fieldPairs(rawFields))
    if (!dropped.has(name.toLowerCase())) kept.push(name, value)
  return kept
}

/** Reads `Basic base64(name:password)`; undefined where it is not that. */
export function parseBasicCredentials(
  value: string | undefined,
): { name: string; password: string } | undefined {
  const match = /^basic +([A-Za-z0-9+/_-]+={0,2}) *$/i.exec(value ?? '')
  if (match?.[1] === undefined) return undefined
  const text = new TextDecoder().decode(Buffer.from(match[1], 'base64'))
  const colon = text.indexOf(':')
  return colon === -1 ? undefined : { name: text.slice(0, colon), password: text.slice(colon + 1) }
}
