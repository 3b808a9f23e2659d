// What the access network must be able to read in each mode, cell by cell: whoever carries what leaves the client's
// machine, its own look-ups among it.
import { cells } from './cell.ts'

const ADDRESS = 'C every packet comes from it'
const NO_SIGN_IN = '- there is no proxy to sign in to'
const BASIC = 'C Proxy-Authorization is base64, which hides nothing'
const SOCKS_PASSWORD = 'C SOCKS sends user and password as they are (RFC 1929)'
const SHAPE = 'C sizes, directions and times cannot be hidden by encryption'
const NO_TLS = '- the application speaks no TLS, so it sends no ClientHello'
const HELLO = "C the site's ClientHello is the application's own, and passes in clear"
const HTTP_OPEN = 'C HTTP is not encrypted'
const SITE_TLS = "S it runs inside the site's TLS"
const RESOLVABLE = 'I it is not sent, but whoever reads the name can look it up'
const PROXY_TLS = 'S it runs inside the TLS of the link to the proxy'
const BOTH_TLS = "S it runs inside the site's TLS, and that inside the proxy's"
const TUNNEL_TLS = 'S it runs inside the TLS of the tunnel'
const NOT_SENT = '- the gateway looks the name up and dials; the client never learns it'

export const ACCESS_NETWORK = {
  direct: {
    http: cells(
      ADDRESS,
      NO_SIGN_IN,
      'C the look-up asks for it, and the Host field repeats it',
      'C the look-up is answered with it, and the packets go to it',
      HTTP_OPEN,
      HTTP_OPEN,
      SHAPE,
      NO_TLS,
    ),
    https: cells(
      ADDRESS,
      NO_SIGN_IN,
      "C the look-up asks for it, and the site's ClientHello repeats it (SNI)",
      'C the look-up is answered with it, and the packets go to it',
      SITE_TLS,
      SITE_TLS,
      SHAPE,
      HELLO,
    ),
    tls12: cells(
      ADDRESS,
      '- there is no proxy to sign in to, and no client certificate, which TLS 1.2 would send in clear',
      "C the look-up, the ClientHello (SNI) and the site's certificate, which TLS 1.2 sends in clear, all say it",
      'C the look-up is answered with it, and the packets go to it',
      SITE_TLS,
      SITE_TLS,
      SHAPE,
      HELLO,
    ),
    udp: cells(
      ADDRESS,
      NO_SIGN_IN,
      'C the look-up asks for it',
      'C the look-up is answered with it, and the datagrams go to it',
      '- a datagram of an echo has neither',
      'C the datagrams are not encrypted',
      SHAPE,
      NO_TLS,
    ),
  },
  'http-proxy': {
    http: cells(
      ADDRESS,
      BASIC,
      'C the request line holds the whole URL',
      RESOLVABLE,
      HTTP_OPEN,
      HTTP_OPEN,
      SHAPE,
      NO_TLS,
    ),
    https: cells(
      ADDRESS,
      BASIC,
      'C CONNECT names it in clear, and the ClientHello repeats it (SNI)',
      RESOLVABLE,
      SITE_TLS,
      SITE_TLS,
      SHAPE,
      HELLO,
    ),
    tls12: cells(
      ADDRESS,
      BASIC,
      "C CONNECT, the ClientHello (SNI) and the site's certificate, which TLS 1.2 sends in clear, all say it",
      RESOLVABLE,
      SITE_TLS,
      SITE_TLS,
      SHAPE,
      HELLO,
    ),
  },
  socks5: {
    http: cells(
      ADDRESS,
      SOCKS_PASSWORD,
      'C the client looks it up itself, and the Host field repeats it',
      'C the client sends it in the SOCKS request',
      HTTP_OPEN,
      HTTP_OPEN,
      SHAPE,
      NO_TLS,
    ),
    https: cells(
      ADDRESS,
      SOCKS_PASSWORD,
      'C the client looks it up itself, and the ClientHello repeats it (SNI)',
      'C the client sends it in the SOCKS request',
      SITE_TLS,
      SITE_TLS,
      SHAPE,
      HELLO,
    ),
  },
  socks5h: {
    http: cells(
      ADDRESS,
      SOCKS_PASSWORD,
      'C the SOCKS request names it in clear, and the Host field repeats it',
      RESOLVABLE,
      HTTP_OPEN,
      HTTP_OPEN,
      SHAPE,
      NO_TLS,
    ),
    https: cells(
      ADDRESS,
      SOCKS_PASSWORD,
      'C the SOCKS request names it in clear, and the ClientHello repeats it (SNI)',
      RESOLVABLE,
      SITE_TLS,
      SITE_TLS,
      SHAPE,
      HELLO,
    ),
    tls12: cells(
      ADDRESS,
      SOCKS_PASSWORD,
      "C the SOCKS request, the ClientHello (SNI) and the site's certificate, which TLS 1.2 sends in clear, all say it",
      RESOLVABLE,
      SITE_TLS,
      SITE_TLS,
      SHAPE,
      HELLO,
    ),
    udp: cells(
      ADDRESS,
      SOCKS_PASSWORD,
      'C the DNS query passes through the association in clear',
      'C the DNS answer holds it, and so does the header of each datagram to it',
      '- a datagram of an echo has neither',
      'C the datagrams are not encrypted, nor is the association',
      SHAPE,
      NO_TLS,
    ),
  },
  'https-proxy': {
    http: cells(
      ADDRESS,
      PROXY_TLS,
      PROXY_TLS,
      NOT_SENT,
      PROXY_TLS,
      PROXY_TLS,
      SHAPE,
      "C the ClientHello to the proxy is the application's own",
    ),
    https: cells(
      ADDRESS,
      PROXY_TLS,
      PROXY_TLS,
      NOT_SENT,
      BOTH_TLS,
      BOTH_TLS,
      SHAPE,
      "C the ClientHello to the proxy is the application's own, as is that to the site, which is sealed in it",
    ),
    tls12: cells(
      ADDRESS,
      PROXY_TLS,
      "S what TLS 1.2 sends in clear, the site's certificate among it, runs inside the TLS of the link to the proxy",
      NOT_SENT,
      BOTH_TLS,
      BOTH_TLS,
      SHAPE,
      "C the ClientHello to the proxy is the application's own",
    ),
  },
  tunnel: {
    http: cells(
      ADDRESS,
      'S TLS 1.3 sends the client certificate encrypted',
      TUNNEL_TLS,
      NOT_SENT,
      TUNNEL_TLS,
      TUNNEL_TLS,
      SHAPE,
      "- the application speaks no TLS; the ClientHello on the wire is the tunnel client's",
    ),
    https: cells(
      ADDRESS,
      'S TLS 1.3 sends the client certificate encrypted',
      TUNNEL_TLS,
      NOT_SENT,
      "S it runs inside the site's TLS, and that inside the tunnel's",
      "S it runs inside the site's TLS, and that inside the tunnel's",
      SHAPE,
      "S the application's ClientHello runs inside the tunnel; the one on the wire is the tunnel client's",
    ),
    tls12: cells(
      ADDRESS,
      'S TLS 1.3 sends the client certificate encrypted, whatever the site speaks',
      "S what TLS 1.2 sends in clear, the site's certificate among it, runs inside the TLS of the tunnel",
      NOT_SENT,
      "S it runs inside the site's TLS, and that inside the tunnel's",
      "S it runs inside the site's TLS, and that inside the tunnel's",
      SHAPE,
      "S the application's ClientHello runs inside the tunnel; the one on the wire is the tunnel client's",
    ),
    udp: cells(
      ADDRESS,
      'S TLS 1.3 sends the client certificate encrypted',
      'S the DNS query runs inside the tunnel',
      'S the DNS answer holds it, and the address before each datagram; both run inside the tunnel',
      '- a datagram of an echo has neither',
      TUNNEL_TLS,
      SHAPE,
      "- the application speaks no TLS; the ClientHello on the wire is the tunnel client's",
    ),
  },
} as const
