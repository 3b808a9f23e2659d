// Cases of SOCKS negotiation and addresses: RFC 1928 sections 3 to 5, RFC 1929, SOCKS4 and 4a.
import {
  bytes,
  dripBytes,
  echo,
  ending,
  originAwaits,
  read,
  reply4,
  reply5,
  type Case,
  type Step,
} from '../script.ts'

const GREET: readonly Step[] = [bytes('05 01 00'), read('method', 2)]
const IPV4 = '05 01 00 01 7f000001 $PORT'

/** Greets, asks, and speaks through what was opened. */
const asks = (hex: string): readonly Step[] => [...GREET, bytes(hex), reply5, echo]
const asksForName = (length: string, name: string): readonly Step[] =>
  asks(`05 01 00 03 ${length} ${name} $PORT`)
/** Greets with a password and looks at the verdict. */
const signsIn = (hex: string): readonly Step[] => [
  bytes('05 01 02'),
  read('method', 2),
  bytes(hex),
  read('verdict', 2),
]

export const SOCKS_NEGOTIATION: readonly Case[] = [
  {
    name: 'no authentication is offered and taken',
    script: asks(IPV4),
    outcome: { method: '05 00', reply: '05 00 00', echo: 'yes' },
  },
  {
    name: 'no authentication is the last of three methods',
    script: [bytes('05 03 02 01 00'), read('method', 2), bytes(IPV4), reply5, echo],
    outcome: { method: '05 00', reply: '05 00 00', echo: 'yes' },
  },
  {
    name: 'one method twice',
    script: [bytes('05 02 00 00'), read('method', 2), bytes(IPV4), reply5, echo],
    outcome: { method: '05 00', reply: '05 00 00', echo: 'yes' },
  },
  {
    name: 'no authentication is the last of 255 methods',
    script: [bytes('05 ff 80*254 00'), read('method', 2), bytes(IPV4), reply5, echo],
    outcome: { method: '05 00', reply: '05 00 00', echo: 'yes' },
  },
  {
    name: 'a password alone is offered where none is asked for',
    script: [bytes('05 01 02'), read('method', 2), ending],
    outcome: { method: '05 ff', ending: 'end' },
  },
  {
    name: 'GSSAPI alone is offered',
    script: [bytes('05 01 01'), read('method', 2), ending],
    outcome: { method: '05 ff', ending: 'end' },
  },
  {
    name: 'no method at all is offered',
    script: [bytes('05 00'), read('method', 2), ending],
    outcome: { method: '05 ff', ending: 'end' },
  },
  {
    name: 'greeting and request byte by byte',
    script: [dripBytes('05 01 00'), read('method', 2), dripBytes(IPV4), reply5, echo],
    outcome: { method: '05 00', reply: '05 00 00', echo: 'yes' },
    differs: { microsocks: { method: 'message-in-parts', reply: 'message-in-parts' } },
  },
  {
    name: 'greeting and request in one write',
    script: [bytes(`05 01 00 ${IPV4}`), read('method', 2), reply5, echo],
    outcome: { method: '05 00', reply: '05 00 00', echo: 'yes' },
    differs: { microsocks: { reply: 'messages-together' } },
  },
  {
    name: 'greeting, request and first data in one write',
    script: [
      bytes(`05 01 00 ${IPV4} "early"`),
      read('method', 2),
      reply5,
      originAwaits('early', 'early'),
      echo,
    ],
    outcome: { method: '05 00', reply: '05 00 00', early: 'yes', echo: 'yes' },
    differs: { microsocks: { reply: 'messages-together' } },
  },
  {
    name: 'request and first data in one write',
    script: [...GREET, bytes(`${IPV4} "early"`), reply5, originAwaits('early', 'early'), echo],
    outcome: { method: '05 00', reply: '05 00 00', early: 'yes', echo: 'yes' },
    differs: { microsocks: { early: 'messages-together' } },
  },
  {
    name: 'an IPv6 address',
    script: asks('05 01 00 04 00*15 01 $PORT'),
    outcome: { method: '05 00', reply: '05 00 00', echo: 'yes' },
  },
  {
    name: 'an IPv4 address inside an IPv6 one',
    script: asks('05 01 00 04 00*10 ffff 7f000001 $PORT'),
    outcome: { method: '05 00', reply: '05 00 00', echo: 'yes' },
  },
  {
    name: 'a name',
    script: asksForName('09', '"localhost"'),
    outcome: { method: '05 00', reply: '05 00 00', echo: 'yes' },
  },
  {
    name: 'a name in capitals',
    script: asksForName('09', '"LOCALHOST"'),
    outcome: { method: '05 00', reply: '05 00 00', echo: 'yes' },
  },
  {
    name: 'a name that is an IPv4 address',
    script: asksForName('09', '"127.0.0.1"'),
    outcome: { method: '05 00', reply: '05 00 00', echo: 'yes' },
  },
  {
    name: 'a name that is an IPv4 address of three parts',
    script: asksForName('07', '"127.0.1"'),
    outcome: { method: '05 00', reply: '05 00 00', echo: 'yes' },
  },
  {
    name: 'a name that is an IPv6 address',
    script: asksForName('03', '"::1"'),
    outcome: { method: '05 00', reply: '05 00 00', echo: 'yes' },
  },
  {
    name: 'a name with a NUL in it',
    script: asksForName('11', '"localhost" 00 ".invalid"').slice(0, 4),
    outcome: { method: '05 00', reply: '05 01 00' },
    differs: { dante: { reply: 'name-with-nul' }, microsocks: { reply: 'name-with-nul' } },
  },
  {
    name: 'a name of no bytes',
    script: asksForName('00', '').slice(0, 4),
    outcome: { method: '05 00', reply: '05 01 00' },
    differs: { dante: { reply: 'malformed-name' } },
  },
  {
    name: 'a name of 255 bytes',
    script: asksForName('ff', '61*255').slice(0, 4),
    outcome: { method: '05 00', reply: '05 01 00' },
    differs: { dante: { reply: 'malformed-name' } },
  },
  {
    name: 'the reserved byte is not zero',
    script: asks('05 01 7f 01 7f000001 $PORT'),
    outcome: { method: '05 00', reply: '05 00 00', echo: 'yes' },
    differs: { microsocks: { reply: 'reserved-byte', echo: 'reserved-byte' } },
  },
  {
    name: 'the request has another version than the greeting',
    script: [...GREET, bytes('04 01 00 01 7f000001 $PORT'), reply5],
    outcome: { method: '05 00', reply: 'gone' },
    differs: { dante: { reply: 'request-version' }, microsocks: { reply: 'request-version' } },
  },
  {
    name: 'a greeting of version 6',
    script: [bytes('06 01 00'), read('method', 2)],
    outcome: { method: 'gone' },
    differs: { microsocks: { method: 'not-socks' }, 'tunnel client': { method: 'mixed-listener' } },
  },
  {
    name: 'a greeting of version 0',
    script: [bytes('00 01 00'), read('method', 2)],
    outcome: { method: 'gone' },
    differs: { microsocks: { method: 'not-socks' }, 'tunnel client': { method: 'mixed-listener' } },
  },
  {
    name: 'TLS instead of SOCKS',
    script: [bytes('16 03 01 00 05 01 00 00 01 03'), read('method', 2)],
    outcome: { method: 'gone' },
    differs: { microsocks: { method: 'not-socks' }, 'tunnel client': { method: 'mixed-listener' } },
  },
  {
    name: 'HTTP instead of SOCKS',
    script: [bytes('"CONNECT 127.0.0.1:1 HTTP/1.1" 0d0a0d0a'), read('method', 2)],
    outcome: { method: 'gone' },
    differs: { microsocks: { method: 'not-socks' }, 'tunnel client': { method: 'mixed-listener' } },
  },

  {
    name: 'SOCKS4',
    script: [bytes('04 01 $PORT 7f000001 00'), reply4, echo],
    outcome: { reply: '00 5a', echo: 'yes' },
    differs: { microsocks: { reply: 'socks5-only' } },
  },
  {
    name: 'SOCKS4 with a user id',
    script: [bytes('04 01 $PORT 7f000001 "ada" 00'), reply4, echo],
    outcome: { reply: '00 5a', echo: 'yes' },
    differs: { microsocks: { reply: 'socks5-only' } },
  },
  {
    name: 'SOCKS4 byte by byte',
    script: [dripBytes('04 01 $PORT 7f000001 "ada" 00'), reply4, echo],
    outcome: { reply: '00 5a', echo: 'yes' },
    differs: { microsocks: { reply: 'socks5-only' } },
  },
  {
    name: 'SOCKS4 with first data',
    script: [bytes('04 01 $PORT 7f000001 00 "early"'), reply4, originAwaits('early', 'early'), echo],
    outcome: { reply: '00 5a', early: 'yes', echo: 'yes' },
    differs: { microsocks: { reply: 'socks5-only' } },
  },
  {
    name: 'SOCKS4a',
    script: [bytes('04 01 $PORT 00000001 00 "localhost" 00'), reply4, echo],
    outcome: { reply: '00 5a', echo: 'yes' },
    differs: { dante: { reply: 'socks4a', echo: 'socks4a' }, microsocks: { reply: 'socks5-only' } },
  },
  {
    name: 'SOCKS4a with a user id and first data',
    script: [
      bytes('04 01 $PORT 000000ff "ada" 00 "localhost" 00 "early"'),
      reply4,
      originAwaits('early', 'early'),
      echo,
    ],
    outcome: { reply: '00 5a', early: 'yes', echo: 'yes' },
    differs: { dante: { reply: 'socks4a' }, microsocks: { reply: 'socks5-only' } },
  },
  {
    name: 'SOCKS4a with a name of no bytes',
    script: [bytes('04 01 $PORT 00000001 00 00'), reply4],
    outcome: { reply: '00 5b' },
    differs: { microsocks: { reply: 'socks5-only' } },
  },

  {
    name: 'the right user and password',
    auth: true,
    peers: ['microsocks'],
    script: [...signsIn('01 03 "ada" 04 "lace"'), bytes(IPV4), reply5, echo],
    outcome: { method: '05 02', verdict: '01 00', reply: '05 00 00', echo: 'yes' },
  },
  {
    name: 'the right user and password byte by byte',
    auth: true,
    peers: ['microsocks'],
    script: [
      dripBytes('05 01 02'),
      read('method', 2),
      dripBytes('01 03 "ada" 04 "lace"'),
      read('verdict', 2),
      dripBytes(IPV4),
      reply5,
      echo,
    ],
    outcome: { method: '05 02', verdict: '01 00', reply: '05 00 00', echo: 'yes' },
    differs: { microsocks: { method: 'message-in-parts', verdict: 'message-in-parts' } },
  },
  {
    name: 'greeting, password, request and first data in one write',
    auth: true,
    peers: ['microsocks'],
    script: [
      bytes(`05 01 02 01 03 "ada" 04 "lace" ${IPV4} "early"`),
      read('method', 2),
      read('verdict', 2),
      reply5,
      originAwaits('early', 'early'),
      echo,
    ],
    outcome: { method: '05 02', verdict: '01 00', reply: '05 00 00', early: 'yes', echo: 'yes' },
    differs: { microsocks: { verdict: 'messages-together' } },
  },
  {
    name: 'a password and no authentication are offered',
    auth: true,
    script: [bytes('05 02 00 02'), read('method', 2)],
    outcome: { method: '05 02' },
  },
  {
    name: 'no authentication alone is offered where a password is asked for',
    auth: true,
    script: [bytes('05 01 00'), read('method', 2), ending],
    outcome: { method: '05 ff', ending: 'end' },
  },
  {
    name: 'a wrong password',
    auth: true,
    script: [...signsIn('01 03 "ada" 05 "wrong"'), ending],
    outcome: { method: '05 02', verdict: '01 01', ending: 'end' },
    differs: { microsocks: { verdict: 'password-status' } },
  },
  {
    name: 'an unknown user',
    auth: true,
    script: [...signsIn('01 03 "eve" 04 "lace"'), ending],
    outcome: { method: '05 02', verdict: '01 01', ending: 'end' },
    differs: { microsocks: { verdict: 'password-status' } },
  },
  {
    name: 'a user of no bytes',
    auth: true,
    script: [...signsIn('01 00 04 "lace"'), ending],
    outcome: { method: '05 02', verdict: '01 01', ending: 'end' },
    differs: { microsocks: { verdict: 'password-status' } },
  },
  {
    name: 'a user and a password of 255 bytes',
    auth: true,
    script: [...signsIn('01 ff 61*255 ff 62*255'), ending],
    outcome: { method: '05 02', verdict: '01 01', ending: 'end' },
    differs: { microsocks: { verdict: 'password-status' } },
  },
  {
    name: 'the password message has version 5',
    auth: true,
    script: [...signsIn('05 03 "ada" 04 "lace"'), ending],
    outcome: { method: '05 02', verdict: 'gone' },
    differs: { microsocks: { verdict: 'password-version' } },
  },
  {
    name: 'the request comes without the password',
    auth: true,
    script: [bytes('05 01 02'), read('method', 2), bytes(IPV4), read('verdict', 2)],
    outcome: { method: '05 02', verdict: 'gone' },
    differs: { microsocks: { verdict: 'password-version' } },
  },
  {
    name: 'SOCKS4 where a password is asked for',
    auth: true,
    script: [bytes('04 01 $PORT 7f000001 "ada" 00'), reply4],
    outcome: { reply: '00 5b' },
    differs: { microsocks: { reply: 'socks5-only' } },
  },
]
