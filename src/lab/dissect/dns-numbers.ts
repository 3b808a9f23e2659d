// Names of the numbers in DNS messages (IANA "Domain Name System (DNS) Parameters"), as Zeek's dns.log writes them.
// Rule: a number without a name here keeps its number, so that nothing is lost.

const TYPES: Readonly<Record<number, string>> = {
  1: 'A',
  2: 'NS',
  5: 'CNAME',
  6: 'SOA',
  12: 'PTR',
  15: 'MX',
  16: 'TXT',
  28: 'AAAA',
  33: 'SRV',
  35: 'NAPTR',
  39: 'DNAME',
  41: 'OPT',
  43: 'DS',
  46: 'RRSIG',
  47: 'NSEC',
  48: 'DNSKEY',
  64: 'SVCB',
  65: 'HTTPS',
  255: 'ANY',
  257: 'CAA',
}
const CLASSES: Readonly<Record<number, string>> = {
  1: 'C_INTERNET',
  3: 'C_CHAOS',
  254: 'C_NONE',
  255: 'C_ANY',
}
const RCODES: Readonly<Record<number, string>> = {
  0: 'NOERROR',
  1: 'FORMERR',
  2: 'SERVFAIL',
  3: 'NXDOMAIN',
  4: 'NOTIMP',
  5: 'REFUSED',
}

/** `AAAA`; `TYPE999` (RFC 3597 section 5) where the number has no name here. */
export function dnsTypeName(type: number): string {
  return TYPES[type] ?? `TYPE${type}`
}

/** `C_INTERNET`; `CLASS999` (RFC 3597 section 5) where the number has no name here. */
export function dnsClassName(number: number): string {
  return CLASSES[number] ?? `CLASS${number}`
}

/** `NXDOMAIN`; `RCODE9` where the number has no name here. */
export function dnsRcodeName(rcode: number): string {
  return RCODES[rcode] ?? `RCODE${rcode}`
}
