// What whoever runs the proxy or the gateway must be able to read in each mode, cell by cell: all that its decryption
// gives it, and what it dials itself.
import { cells } from './cell.ts'

const ADDRESS = 'C the connection comes from it'
const PASSWORD = 'C the user signs in with name and password'
const CERTIFICATE = 'C the client certificate names the user, more surely than an address'
const DIALS = 'C the gateway looks the name up and dials it'
const READS_HTTP = 'C HTTP is not encrypted, and the gateway relays it'
const SITE_TLS = "S it runs inside the site's TLS, whose keys the gateway has not"
const SHAPE = 'C the gateway relays each byte'
const NO_TLS = '- the application speaks no TLS, so it sends no ClientHello'
const HELLO = "C the site's ClientHello is the application's own, and passes through every proxy unchanged"
const NAMED = 'C the client names it in its request'
const NO_URL = '- a datagram of an echo has neither'

const ABSENT = '. there is no gateway in this mode'
export const NO_GATEWAY = cells(ABSENT, ABSENT, ABSENT, ABSENT, ABSENT, ABSENT, ABSENT, ABSENT)

export const GATEWAY_OPERATOR = {
  plain: {
    http: cells(ADDRESS, PASSWORD, NAMED, DIALS, READS_HTTP, READS_HTTP, SHAPE, NO_TLS),
    https: cells(ADDRESS, PASSWORD, NAMED, DIALS, SITE_TLS, SITE_TLS, SHAPE, HELLO),
    tls12: cells(
      ADDRESS,
      PASSWORD,
      "C the client names it in its request, and the site's certificate, which TLS 1.2 sends in clear, says it again",
      DIALS,
      SITE_TLS,
      SITE_TLS,
      SHAPE,
      HELLO,
    ),
    udp: cells(
      ADDRESS,
      PASSWORD,
      'C the DNS query passes through it in clear',
      'C it sends the datagrams there',
      NO_URL,
      'C the datagrams are not encrypted, and the gateway relays them',
      SHAPE,
      NO_TLS,
    ),
  },
  socks5: {
    http: cells(
      ADDRESS,
      PASSWORD,
      'C the client sends an address, but the Host field says the name',
      'C the client asks for it, and the gateway dials it',
      READS_HTTP,
      READS_HTTP,
      SHAPE,
      NO_TLS,
    ),
    https: cells(
      ADDRESS,
      PASSWORD,
      'C the client sends an address, but the ClientHello says the name (SNI)',
      'C the client asks for it, and the gateway dials it',
      SITE_TLS,
      SITE_TLS,
      SHAPE,
      HELLO,
    ),
  },
  'https-proxy': {
    http: cells(
      ADDRESS,
      PASSWORD,
      NAMED,
      DIALS,
      'C the gateway decrypts the link, and HTTP inside is not encrypted',
      'C the gateway decrypts the link, and HTTP inside is not encrypted',
      SHAPE,
      "C the ClientHello of the link is the application's own",
    ),
  },
  tunnel: {
    http: cells(
      ADDRESS,
      CERTIFICATE,
      NAMED,
      DIALS,
      'C the gateway decrypts the tunnel, and HTTP inside is not encrypted: the same as with a plain proxy',
      'C the gateway decrypts the tunnel, and HTTP inside is not encrypted: the same as with a plain proxy',
      SHAPE,
      NO_TLS,
    ),
    https: cells(ADDRESS, CERTIFICATE, NAMED, DIALS, SITE_TLS, SITE_TLS, SHAPE, HELLO),
    tls12: cells(
      ADDRESS,
      CERTIFICATE,
      "C the client names it in its request, and the site's certificate, which TLS 1.2 sends in clear, says it again",
      DIALS,
      SITE_TLS,
      SITE_TLS,
      SHAPE,
      HELLO,
    ),
    udp: cells(
      ADDRESS,
      CERTIFICATE,
      'C the DNS query passes through it in clear',
      'C it sends the datagrams there',
      NO_URL,
      'C the gateway decrypts the tunnel, and the datagrams inside are not encrypted',
      SHAPE,
      NO_TLS,
    ),
  },
} as const
