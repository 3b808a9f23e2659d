// SOCKS handshakes as they stand on the wire, in hex, each with the section that gives its layout. `=>` lines
// of a vector are what the server must do, in order; tests run each whole, byte by byte and with trailing
// bytes.

export interface HandshakeVector {
  readonly name: string
  readonly auth: 'none' | 'password'
  /** What the client sends, in the order in which it waits for the answers. */
  readonly client: readonly string[]
  /** `reply HEX`, `authenticate USER PASSWORD`, `request …`, `fail CODE HEX`. */
  readonly server: readonly string[]
  /** What the store of users says. */
  readonly accepts?: boolean
}

const FAILED = (reply: string) => `05 ${reply} 00 01 00 00 00 00 00 00`
const REJECTED = '00 5b 00 00 00 00 00 00'
const NO_METHOD = ['05 01 00', 'reply 05 00'] as const

export const VECTORS: readonly HandshakeVector[] = [
  {
    name: 'RFC 1928 §4: connect to an IPv4 address',
    auth: 'none',
    client: [NO_METHOD[0], '05 01 00 01 5d b8 d7 0e 00 50'],
    server: [NO_METHOD[1], 'request 5 socks5 connect 93.184.215.14 80'],
  },
  {
    name: 'RFC 1928 §5: connect to a domain name',
    auth: 'none',
    client: [NO_METHOD[0], '05 01 00 03 0b 65 78 61 6d 70 6c 65 2e 6f 72 67 01 bb'],
    server: [NO_METHOD[1], 'request 5 socks5 connect example.org 443'],
  },
  {
    name: 'RFC 1928 §5: connect to an IPv6 address',
    auth: 'none',
    client: [NO_METHOD[0], '05 01 00 04 20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 01 01 bb'],
    server: [NO_METHOD[1], 'request 5 socks5 connect 2001:db8::1 443'],
  },
  {
    name: 'RFC 1928 §4: bind is the caller to refuse',
    auth: 'none',
    client: [NO_METHOD[0], '05 02 00 01 00 00 00 00 00 00'],
    server: [NO_METHOD[1], 'request 5 socks5 bind 0.0.0.0 0'],
  },
  {
    name: 'RFC 1928 §7: udp-associate with an address of zeros',
    auth: 'none',
    client: [NO_METHOD[0], '05 03 00 01 00 00 00 00 00 00'],
    server: [NO_METHOD[1], 'request 5 socks5 udp-associate 0.0.0.0 0'],
  },
  {
    name: 'RFC 1928 §3: no authentication is chosen among several',
    auth: 'none',
    client: ['05 03 02 01 00', '05 01 00 01 01 02 03 04 00 01'],
    server: ['reply 05 00', 'request 5 socks5 connect 1.2.3.4 1'],
  },
  {
    name: 'RFC 1928 §3: none acceptable, without a password to ask for',
    auth: 'none',
    client: ['05 02 01 02'],
    server: ['fail bad-request 05 ff'],
  },
  {
    name: 'RFC 1928 §3: an empty list of methods',
    auth: 'none',
    client: ['05 00'],
    server: ['fail bad-request 05 ff'],
  },
  {
    name: 'RFC 1928 §3: none acceptable, where a password is asked for',
    auth: 'password',
    client: ['05 01 00'],
    server: ['fail auth-required 05 ff'],
  },
  {
    name: 'RFC 1929 §2: the password is right',
    auth: 'password',
    accepts: true,
    client: ['05 02 00 02', '01 04 66 72 65 64 03 70 c3 a9', '05 01 00 01 01 02 03 04 00 01'],
    server: ['reply 05 02', 'authenticate fred pé', 'reply 01 00', 'request 5 socks5 connect 1.2.3.4 1'],
  },
  {
    name: 'RFC 1929 §2: the password is wrong',
    auth: 'password',
    accepts: false,
    client: ['05 01 02', '01 04 66 72 65 64 02 6e 6f'],
    server: ['reply 05 02', 'authenticate fred no', 'fail auth-failed 01 01'],
  },
  {
    name: 'RFC 1929 §2: empty fields are the caller to judge',
    auth: 'password',
    accepts: false,
    client: ['05 01 02', '01 00 00'],
    server: ['reply 05 02', 'authenticate  ', 'fail auth-failed 01 01'],
  },
  {
    name: 'RFC 1929 §2: a user that is not UTF-8',
    auth: 'password',
    client: ['05 01 02', '01 01 ff 01 61'],
    server: ['reply 05 02', 'fail auth-failed 01 01'],
  },
  {
    name: 'RFC 1929 §2: a wrong version',
    auth: 'password',
    client: ['05 01 02', '05'],
    server: ['reply 05 02', 'fail bad-request'],
  },
  {
    name: 'RFC 1928 §4: a wrong version in the request',
    auth: 'none',
    client: [NO_METHOD[0], '04'],
    server: [NO_METHOD[1], 'fail bad-request'],
  },
  {
    name: 'RFC 1928 §6: an unknown command',
    auth: 'none',
    client: [NO_METHOD[0], '05 f0 00 01 01 02 03 04 00 01'],
    server: [NO_METHOD[1], `fail command-unsupported ${FAILED('07')}`],
  },
  {
    name: 'RFC 1928 §6: an unknown address type',
    auth: 'none',
    client: [NO_METHOD[0], '05 01 00 02'],
    server: [NO_METHOD[1], `fail address-type-unsupported ${FAILED('08')}`],
  },
  {
    name: 'RFC 1928 §5: an empty name',
    auth: 'none',
    client: [NO_METHOD[0], '05 01 00 03 00 00 50'],
    server: [NO_METHOD[1], `fail bad-request ${FAILED('01')}`],
  },
  {
    name: 'RFC 1928 §5: a name with a NUL in it',
    auth: 'none',
    client: [NO_METHOD[0], '05 01 00 03 03 61 00 62 00 50'],
    server: [NO_METHOD[1], `fail bad-request ${FAILED('01')}`],
  },
  {
    name: 'RFC 1928 §4: port 0',
    auth: 'none',
    client: [NO_METHOD[0], '05 01 00 01 01 02 03 04 00 00'],
    server: [NO_METHOD[1], `fail bad-request ${FAILED('01')}`],
  },
  {
    name: 'SOCKS4 §1: connect, with a user id',
    auth: 'none',
    client: ['04 01 00 50 5d b8 d7 0e 66 72 65 64 00'],
    server: ['request 4 socks4 connect 93.184.215.14 80 fred'],
  },
  {
    name: 'SOCKS4 §2: bind',
    auth: 'none',
    client: ['04 02 00 50 5d b8 d7 0e 00'],
    server: ['request 4 socks4 bind 93.184.215.14 80'],
  },
  {
    name: 'SOCKS4: 0.0.0.0 is an address, not a 4a mark',
    auth: 'none',
    client: ['04 01 00 50 00 00 00 00 00'],
    server: ['request 4 socks4 connect 0.0.0.0 80'],
  },
  {
    name: 'SOCKS4a: a name after the user id',
    auth: 'none',
    client: ['04 01 01 bb 00 00 00 01 66 00 65 78 61 6d 70 6c 65 2e 6f 72 67 00'],
    server: ['request 4 socks4a connect example.org 443 f'],
  },
  {
    name: 'SOCKS4a: the longest fields',
    auth: 'none',
    client: [`04 01 01 bb 00 00 00 ff ${'75 '.repeat(255)}00 ${'6e '.repeat(255)}00`],
    server: [`request 4 socks4a connect ${'n'.repeat(255)} 443 ${'u'.repeat(255)}`],
  },
  {
    name: 'SOCKS4: a user id of 256 bytes',
    auth: 'none',
    client: [`04 01 01 bb 01 02 03 04 ${'75 '.repeat(256)}`],
    server: [`fail bad-request ${REJECTED}`],
  },
  {
    name: 'SOCKS4a: a name of 256 bytes',
    auth: 'none',
    client: [`04 01 01 bb 00 00 00 01 00 ${'6e '.repeat(256)}`],
    server: [`fail bad-request ${REJECTED}`],
  },
  {
    name: 'SOCKS4a: an empty name',
    auth: 'none',
    client: ['04 01 01 bb 00 00 00 01 00 00'],
    server: [`fail bad-request ${REJECTED}`],
  },
  {
    name: 'SOCKS4: port 0',
    auth: 'none',
    client: ['04 01 00 00 01 02 03 04 00'],
    server: [`fail bad-request ${REJECTED}`],
  },
  {
    name: 'SOCKS4: an unknown command (3 is SOCKS5 alone)',
    auth: 'none',
    client: ['04 03 00 50 01 02 03 04 00'],
    server: [`fail command-unsupported ${REJECTED}`],
  },
  {
    name: 'SOCKS4 where a password is asked for',
    auth: 'password',
    client: ['04 01 00 50 01 02 03 04 66 00'],
    server: [`fail auth-required ${REJECTED}`],
  },
  { name: 'SOCKS 6', auth: 'none', client: ['06'], server: ['fail bad-request'] },
  { name: 'an HTTP request', auth: 'password', client: ['47'], server: ['fail bad-request'] },
]
