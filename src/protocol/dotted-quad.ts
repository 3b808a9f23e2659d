// IPv4 addresses as protocols carry them. Pure. Rule: quick, since each stream has several; what is looser than four plain
// decimals is no address here.

const OCTET = '(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)'
const QUAD = new RegExp(`^(${OCTET})\\.(${OCTET})\\.(${OCTET})\\.(${OCTET})$`)

/** The four bytes of a dotted quad without leading zeros; undefined for anything else. */
export function quadBytes(text: string): [number, number, number, number] | undefined {
  const found = QUAD.exec(text)
  return found === null ? undefined : [Number(found[1]), Number(found[2]), Number(found[3]), Number(found[4])]
}
