// What the parties beyond the client's link must be able to read, cell by cell: whoever answers the look-ups, whoever
// carries what leaves the gateway for the name server and the site, and the site itself.
import { cells } from './cell.ts'

const LOOK_UP_ONLY = '- a look-up holds the name and nothing of the request'
const NOT_THROUGH = '- the request does not pass here, only the look-up'
const NO_CREDENTIALS = '- proxy credentials go to the proxy alone'
const NO_SIGN_IN = '- there is no proxy to sign in to'
const IN_PLACE = "- the gateway's address stands in its place"
const FROM_CLIENT = 'C the connection comes from it'
const GOES_THERE = 'C the packets go to it'
const OWN_ADDRESS = 'C it is its own address'
const SHAPE = 'C every byte passes here'
const NO_TLS = '- the application speaks no TLS, so it sends no ClientHello'
const HELLO = "C the ClientHello is the application's own, whatever carried it"
const HTTP_OPEN = 'C HTTP is not encrypted'
const SITE_TLS = "S it runs inside the site's TLS"
const SNI = 'C the ClientHello says it (SNI)'
const SNI_TLS12 = "C the ClientHello says it (SNI), and the site's certificate, which TLS 1.2 sends in clear"
const HOST = 'C the Host field says it'
const SITE_KEYS = 'C the site is the other end of its own TLS'
const NO_URL = '- a datagram of an echo has neither'
const NO_NAME = '- a datagram of an echo holds no name, and the look-up went elsewhere'
const QUERY = 'C the DNS query passes here in clear, on its way to the name server'
const DATAGRAMS = 'C the datagrams are not encrypted'

export const RESOLVER = {
  /** The client looks the name up by itself. */
  client: cells(
    'C the client asks, from its own address',
    LOOK_UP_ONLY,
    'C it is the question',
    'C it is the answer',
    LOOK_UP_ONLY,
    LOOK_UP_ONLY,
    NOT_THROUGH,
    LOOK_UP_ONLY,
  ),
  /** The gateway looks it up, or passes the client's query on. */
  gateway: cells(
    '- the gateway asks in its place',
    LOOK_UP_ONLY,
    'C it is the question',
    'C it is the answer',
    LOOK_UP_ONLY,
    LOOK_UP_ONLY,
    NOT_THROUGH,
    LOOK_UP_ONLY,
  ),
} as const

export const EXIT_NETWORK = {
  direct: {
    http: cells(FROM_CLIENT, NO_SIGN_IN, HOST, GOES_THERE, HTTP_OPEN, HTTP_OPEN, SHAPE, NO_TLS),
    https: cells(FROM_CLIENT, NO_SIGN_IN, SNI, GOES_THERE, SITE_TLS, SITE_TLS, SHAPE, HELLO),
    tls12: cells(FROM_CLIENT, NO_SIGN_IN, SNI_TLS12, GOES_THERE, SITE_TLS, SITE_TLS, SHAPE, HELLO),
    udp: cells(FROM_CLIENT, NO_SIGN_IN, QUERY, GOES_THERE, NO_URL, DATAGRAMS, SHAPE, NO_TLS),
  },
  relayed: {
    http: cells(IN_PLACE, NO_CREDENTIALS, HOST, GOES_THERE, HTTP_OPEN, HTTP_OPEN, SHAPE, NO_TLS),
    https: cells(IN_PLACE, NO_CREDENTIALS, SNI, GOES_THERE, SITE_TLS, SITE_TLS, SHAPE, HELLO),
    tls12: cells(IN_PLACE, NO_CREDENTIALS, SNI_TLS12, GOES_THERE, SITE_TLS, SITE_TLS, SHAPE, HELLO),
    udp: cells(IN_PLACE, NO_CREDENTIALS, QUERY, GOES_THERE, NO_URL, DATAGRAMS, SHAPE, NO_TLS),
  },
} as const

export const DESTINATION = {
  direct: {
    http: cells(FROM_CLIENT, NO_SIGN_IN, HOST, OWN_ADDRESS, HTTP_OPEN, HTTP_OPEN, SHAPE, NO_TLS),
    https: cells(FROM_CLIENT, NO_SIGN_IN, SNI, OWN_ADDRESS, SITE_KEYS, SITE_KEYS, SHAPE, HELLO),
    tls12: cells(FROM_CLIENT, NO_SIGN_IN, SNI_TLS12, OWN_ADDRESS, SITE_KEYS, SITE_KEYS, SHAPE, HELLO),
    udp: cells(FROM_CLIENT, NO_SIGN_IN, NO_NAME, OWN_ADDRESS, NO_URL, DATAGRAMS, SHAPE, NO_TLS),
  },
  relayed: {
    http: cells(IN_PLACE, NO_CREDENTIALS, HOST, OWN_ADDRESS, HTTP_OPEN, HTTP_OPEN, SHAPE, NO_TLS),
    https: cells(IN_PLACE, NO_CREDENTIALS, SNI, OWN_ADDRESS, SITE_KEYS, SITE_KEYS, SHAPE, HELLO),
    tls12: cells(IN_PLACE, NO_CREDENTIALS, SNI_TLS12, OWN_ADDRESS, SITE_KEYS, SITE_KEYS, SHAPE, HELLO),
    udp: cells(IN_PLACE, NO_CREDENTIALS, NO_NAME, OWN_ADDRESS, NO_URL, DATAGRAMS, SHAPE, NO_TLS),
  },
} as const
