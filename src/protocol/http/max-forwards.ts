// Max-Forwards, which bounds how many proxies a TRACE or an OPTIONS passes (RFC 9110 section 7.6.2). Pure. Rule: for
// every other method, and where it is no number, the field goes on as it came.
import { fieldPairs, fieldValues, type RawFields } from './fields.ts'

const NAME = 'max-forwards'

function isBounded(method: string): boolean {
  return method === 'TRACE' || method === 'OPTIONS'
}

/** True where the request may go no further: it is for this proxy to answer. */
export function endsHere(method: string, rawFields: RawFields): boolean {
  return isBounded(method) && fieldValues(rawFields, NAME).some((value) => /^0+$/.test(value))
}

/** The fields with one forward less. */
export function countForward(method: string, rawFields: RawFields): string[] {
  if (!isBounded(method)) return [...rawFields]
  return [...fieldPairs(rawFields)].flatMap(([name, value]) => {
    const isCounted = name.toLowerCase() === NAME && /^\d{1,9}$/.test(value)
    return [name, isCounted ? String(Math.max(0, Number(value) - 1)) : value]
  })
}
