// Cases of CONNECT: RFC 9110 section 9.3.6, the authority-form of RFC 9112 section 3.2.3.
import {
  answer,
  answerTo,
  dialled,
  drip,
  echo,
  ending,
  head,
  originAwaits,
  send,
  type Case,
  type Step,
} from '../script.ts'

const connects = (target: string, ...fields: string[]): string =>
  head(`CONNECT ${target} HTTP/1.1`, ...fields)
const HOST = 'Host: $ORIGIN'

/** Sends a head, looks at the answer, and speaks through what was opened. */
const opens = (text: string, ...shows: string[]): readonly Step[] => [
  send(text),
  answerTo('CONNECT', ...shows),
  echo,
]
/** The same where it should go nowhere. */
const refused = (text: string): readonly Step[] => [send(text), answerTo('CONNECT'), dialled]

export const CONNECT: readonly Case[] = [
  {
    name: 'an IPv4 address',
    script: opens(connects('$ORIGIN', HOST)),
    outcome: { status: '200', echo: 'yes' },
  },
  {
    name: 'an IPv6 address in brackets',
    script: opens(connects('$ORIGIN6', 'Host: $ORIGIN6')),
    outcome: { status: '200', echo: 'yes' },
  },
  {
    name: 'an IPv6 address without brackets',
    script: refused(connects('::1:$PORT', 'Host: x')),
    outcome: { status: '400', dialled: '0' },
    differs: { tinyproxy: { status: 'target-grammar', dialled: 'target-grammar' } },
  },
  {
    name: 'a name',
    script: opens(connects('localhost:$PORT', 'Host: localhost:$PORT')),
    outcome: { status: '200', echo: 'yes' },
  },
  {
    name: 'a name in capitals',
    script: opens(connects('LOCALHOST:$PORT', 'Host: LOCALHOST:$PORT')),
    outcome: { status: '200', echo: 'yes' },
  },
  {
    name: 'first data right behind the head',
    script: [
      send(`${connects('$ORIGIN', HOST)}early`),
      answerTo('CONNECT'),
      originAwaits('early', 'early'),
      echo,
    ],
    outcome: { status: '200', early: 'yes', echo: 'yes' },
  },
  {
    name: 'byte by byte',
    script: [drip(connects('$ORIGIN', 'Host: x')), answerTo('CONNECT'), echo],
    outcome: { status: '200', echo: 'yes' },
  },
  {
    name: 'HTTP/1.0',
    script: opens(head('CONNECT $ORIGIN HTTP/1.0')),
    outcome: { status: '200', echo: 'yes' },
  },
  {
    name: 'HTTP/1.0, the version of the answer',
    script: [send(head('CONNECT $ORIGIN HTTP/1.0')), answerTo('CONNECT', 'version')],
    outcome: { status: '200', 'answer.version': '1.1' },
    differs: { tinyproxy: { 'answer.version': 'own-version' } },
  },
  {
    name: 'HTTP/1.1 without Host',
    script: opens(connects('$ORIGIN')),
    outcome: { status: '200', echo: 'yes' },
  },
  {
    name: 'a Host that differs from the target',
    script: opens(connects('$ORIGIN', 'Host: other.invalid:1')),
    outcome: { status: '200', echo: 'yes' },
  },
  {
    name: 'an empty Host',
    script: opens(connects('$ORIGIN', 'Host:')),
    outcome: { status: '200', echo: 'yes' },
  },
  {
    name: 'two Host fields',
    script: opens(connects('$ORIGIN', HOST, 'Host: other.invalid:1')),
    outcome: { status: '400', echo: 'gone' },
    differs: {
      squid: { status: 'one-host', echo: 'one-host' },
      tinyproxy: { status: 'one-host', echo: 'one-host' },
    },
  },
  {
    name: 'the fields of the answer',
    script: [
      send(connects('$ORIGIN', HOST)),
      answerTo('CONNECT', 'version', 'content-length?', 'transfer-encoding?', 'connection?', 'via?', 'date?'),
    ],
    outcome: {
      status: '200',
      'answer.version': '1.1',
      'answer.content-length': 'absent',
      'answer.transfer-encoding': 'absent',
      'answer.connection': 'absent',
      'answer.via': 'absent',
      'answer.date': 'absent',
    },
    differs: { tinyproxy: { 'answer.version': 'own-version' } },
  },
  {
    name: 'Connection: close in the request',
    script: opens(connects('$ORIGIN', HOST, 'Connection: close')),
    outcome: { status: '200', echo: 'yes' },
  },
  {
    name: 'Proxy-Connection in the request',
    script: opens(connects('$ORIGIN', HOST, 'Proxy-Connection: keep-alive')),
    outcome: { status: '200', echo: 'yes' },
  },
  {
    name: 'a Content-Length and a body',
    script: [
      send(`${connects('$ORIGIN', HOST, 'Content-Length: 4')}body`),
      answerTo('CONNECT'),
      originAwaits('body', 'body'),
    ],
    outcome: { status: '200', body: 'yes' },
  },
  {
    name: 'Transfer-Encoding: chunked and chunks',
    script: [
      send(`${connects('$ORIGIN', HOST, 'Transfer-Encoding: chunked')}4\r\nbody\r\n0\r\n\r\n`),
      answerTo('CONNECT'),
      originAwaits('chunks', '4\r\nbody\r\n0\r\n\r\n'),
    ],
    outcome: { status: '200', chunks: 'yes' },
  },
  {
    name: 'the method in small letters',
    script: refused(head('connect $ORIGIN HTTP/1.1', HOST)),
    outcome: { status: '400', dialled: '0' },
    differs: { squid: { status: 'method-case', dialled: 'method-case' } },
  },
  {
    name: 'no port',
    script: refused(connects('127.0.0.1', HOST)),
    outcome: { status: '400', dialled: '0' },
    differs: { squid: { status: 'target-grammar' }, tinyproxy: { status: 'target-grammar' } },
  },
  {
    name: 'an empty port',
    script: refused(connects('127.0.0.1:', HOST)),
    outcome: { status: '400', dialled: '0' },
    differs: { squid: { status: 'target-grammar' }, tinyproxy: { status: 'target-grammar' } },
  },
  {
    name: 'port 0',
    script: refused(connects('127.0.0.1:0', HOST)),
    outcome: { status: '400', dialled: '0' },
    differs: { tinyproxy: { status: 'target-grammar' } },
  },
  {
    name: 'port 65536',
    script: refused(connects('127.0.0.1:65536', HOST)),
    outcome: { status: '400', dialled: '0' },
    differs: { tinyproxy: { status: 'target-grammar' } },
  },
  {
    name: 'a port that is no number',
    script: refused(connects('127.0.0.1:http', HOST)),
    outcome: { status: '400', dialled: '0' },
    differs: { squid: { status: 'target-grammar' }, tinyproxy: { status: 'target-grammar' } },
  },
  {
    name: 'a port with a sign',
    script: refused(connects('127.0.0.1:+$PORT', HOST)),
    outcome: { status: '400', dialled: '0' },
    differs: {
      squid: { status: 'target-grammar', dialled: 'target-grammar' },
      tinyproxy: { status: 'target-grammar', dialled: 'target-grammar' },
    },
  },
  {
    name: 'no host',
    script: refused(connects(':$PORT', HOST)),
    outcome: { status: '400', dialled: '0' },
    differs: { tinyproxy: { status: 'target-grammar' } },
  },
  {
    name: 'a user before the host',
    script: refused(connects('ada@$ORIGIN', HOST)),
    outcome: { status: '400', dialled: '0' },
    differs: {
      squid: { status: 'target-grammar' },
      tinyproxy: { status: 'target-grammar', dialled: 'target-grammar' },
    },
  },
  {
    name: 'a path behind the port',
    script: refused(connects('$ORIGIN/path', HOST)),
    outcome: { status: '400', dialled: '0' },
    differs: {
      squid: { status: 'target-grammar', dialled: 'target-grammar' },
      tinyproxy: { status: 'target-grammar', dialled: 'target-grammar' },
    },
  },
  {
    name: 'the absolute form',
    peers: ['squid'],
    script: refused(connects('http://$ORIGIN/', HOST)),
    outcome: { status: '400', dialled: '0' },
    differs: { squid: { status: 'target-grammar' } },
  },
  {
    name: 'the asterisk form',
    script: refused(connects('*', HOST)),
    outcome: { status: '400', dialled: '0' },
    differs: { squid: { status: 'target-grammar' }, tinyproxy: { status: 'target-grammar' } },
  },
  {
    name: 'no target',
    script: refused(head('CONNECT HTTP/1.1', HOST)),
    outcome: { status: '400', dialled: '0' },
  },
  {
    name: 'two blanks before the target',
    script: opens(connects(' $ORIGIN', HOST)),
    outcome: { status: '200', echo: 'yes' },
  },
  {
    name: 'an empty line before the request',
    script: opens(`\r\n${connects('$ORIGIN', HOST)}`),
    outcome: { status: '200', echo: 'yes' },
  },
  {
    name: 'lines that end with LF alone',
    script: refused(`CONNECT $ORIGIN HTTP/1.1\n${HOST}\n\n`),
    outcome: { status: '400', dialled: '0' },
    differs: {
      squid: { status: 'strict-lines', dialled: 'strict-lines' },
      tinyproxy: { status: 'strict-lines', dialled: 'strict-lines' },
    },
  },
  {
    name: 'a field without a colon',
    script: refused(connects('$ORIGIN', HOST, 'nothing')),
    outcome: { status: '400', dialled: '0' },
    differs: { tinyproxy: { status: 'strict-lines', dialled: 'strict-lines' } },
  },
  {
    name: 'a blank before the colon of a field',
    script: refused(connects('$ORIGIN', HOST, 'X-Field : 1')),
    outcome: { status: '400', dialled: '0' },
    differs: { tinyproxy: { status: 'strict-lines', dialled: 'strict-lines' } },
  },
  {
    name: 'a field folded over two lines',
    script: refused(connects('$ORIGIN', HOST, 'X-Field: 1\r\n 2')),
    outcome: { status: '400', dialled: '0' },
    differs: {
      squid: { status: 'strict-lines', dialled: 'strict-lines' },
      tinyproxy: { status: 'strict-lines', dialled: 'strict-lines' },
    },
  },
  {
    name: 'a head of 100 kB',
    script: refused(connects('$ORIGIN', HOST, `X-Field: ${'a'.repeat(100_000)}`)),
    outcome: { status: '431', dialled: '0' },
    differs: { tinyproxy: { status: 'head-size', dialled: 'head-size' } },
  },
  {
    name: 'HTTP/2.0',
    script: refused(head('CONNECT $ORIGIN HTTP/2.0', HOST)),
    outcome: { status: '400', dialled: '0' },
    differs: {
      squid: { status: 'http-version' },
      tinyproxy: { status: 'http-version', dialled: 'http-version' },
    },
  },
  {
    name: 'refused by the destination',
    script: [send(connects('127.0.0.1:$CLOSED', 'Host: x')), answerTo('CONNECT', 'framing'), dialled],
    outcome: { status: '502', 'answer.framing': 'length', dialled: '0' },
    differs: {
      squid: { status: 'gateway-status' },
      tinyproxy: { status: 'gateway-status', 'answer.framing': 'refusal-framing' },
    },
  },
  {
    name: 'refused by the destination, by IPv6',
    script: refused(connects('[::1]:$CLOSED', 'Host: x')),
    outcome: { status: '502', dialled: '0' },
    differs: { squid: { status: 'gateway-status' }, tinyproxy: { status: 'gateway-status' } },
  },
  {
    name: 'refused, with first data behind the head',
    peers: ['squid'],
    script: [send(`${connects('127.0.0.1:$CLOSED', 'Host: x')}early`), answerTo('CONNECT'), dialled],
    outcome: { status: '502', dialled: '0' },
    differs: { squid: { status: 'gateway-status' } },
  },
  {
    name: 'refused, and asked again on the same connection',
    script: [
      send(connects('127.0.0.1:$CLOSED', 'Host: x')),
      answerTo('CONNECT', 'connection'),
      send(connects('$ORIGIN', HOST)),
      answer(),
    ],
    outcome: { status: '502', 'answer.connection': 'close', 'status 2': 'gone' },
    differs: {
      squid: { status: 'gateway-status', 'answer.connection': 'refusal-framing' },
      tinyproxy: { status: 'gateway-status' },
    },
  },
  {
    name: 'a name that does not exist',
    peers: ['tinyproxy'],
    script: refused(connects('nothing.invalid:$PORT', 'Host: x')),
    outcome: { status: '502', dialled: '0' },
    differs: { tinyproxy: { status: 'gateway-status' } },
  },
  {
    name: 'an unreachable address',
    script: refused(connects('224.0.0.1:$PORT', 'Host: x')),
    outcome: { status: '502', dialled: '0' },
    differs: { squid: { status: 'gateway-status' }, tinyproxy: { status: 'gateway-status' } },
  },
  {
    name: 'a denied address',
    script: refused(connects('127.0.0.9:$PORT', 'Host: x')),
    outcome: { status: '403', dialled: '0' },
  },
  {
    name: 'a denied address in IPv6 form',
    script: refused(connects('[::ffff:127.0.0.9]:$PORT', 'Host: x')),
    outcome: { status: '403', dialled: '0' },
    differs: { tinyproxy: { status: 'denied-spelling' } },
  },
  {
    name: 'refused by the destination, and how it ends',
    script: [
      send(connects('127.0.0.1:$CLOSED', 'Host: x', 'Connection: close')),
      answerTo('CONNECT'),
      ending,
    ],
    outcome: { status: '502', ending: 'end' },
    differs: { squid: { status: 'gateway-status' }, tinyproxy: { status: 'gateway-status' } },
  },
]
