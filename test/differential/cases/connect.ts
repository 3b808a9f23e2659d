// Cases of CONNECT: RFC 9110 section 9.3.6, the authority-form of RFC 9112 section 3.2.3.
import { answer, answerTo, dialled, drip, echo, ending, head, originAwaits, send, type Case, type Step } from '../script.ts'

const connects = (target: string, ...fields: string[]): string => head(`CONNECT ${target} HTTP/1.1`, ...fields)
const HOST = 'Host: $ORIGIN'

/** Sends a head, looks at the answer, and speaks through what was opened. */
const opens = (text: string, ...shows: string[]): readonly Step[] => [send(text), answerTo('CONNECT', ...shows), echo]
/** The same where it should go nowhere. */
const refused = (text: string): readonly Step[] => [send(text), answerTo('CONNECT'), dialled]

export const CONNECT: readonly Case[] = [
  { name: 'an IPv4 address', script: opens(connects('$ORIGIN', HOST)), outcome: {} },
  { name: 'an IPv6 address in brackets', script: opens(connects('$ORIGIN6', 'Host: $ORIGIN6')), outcome: {} },
  { name: 'an IPv6 address without brackets', script: refused(connects('::1:$PORT', 'Host: x')), outcome: {} },
  { name: 'a name', script: opens(connects('localhost:$PORT', 'Host: localhost:$PORT')), outcome: {} },
  { name: 'a name in capitals', script: opens(connects('LOCALHOST:$PORT', 'Host: LOCALHOST:$PORT')), outcome: {} },
  { name: 'first data right behind the head', script: [send(`${connects('$ORIGIN', HOST)}early`), answerTo('CONNECT'), originAwaits('early', 'early'), echo], outcome: {} },
  { name: 'byte by byte', script: [drip(connects('$ORIGIN', 'Host: x')), answerTo('CONNECT'), echo], outcome: {} },
  { name: 'HTTP/1.0', script: opens(head('CONNECT $ORIGIN HTTP/1.0')), outcome: {} },
  { name: 'HTTP/1.0, the version of the answer', script: [send(head('CONNECT $ORIGIN HTTP/1.0')), answerTo('CONNECT', 'version')], outcome: {} },
  { name: 'HTTP/1.1 without Host', script: opens(connects('$ORIGIN')), outcome: {} },
  { name: 'a Host that differs from the target', script: opens(connects('$ORIGIN', 'Host: other.invalid:1')), outcome: {} },
  { name: 'an empty Host', script: opens(connects('$ORIGIN', 'Host:')), outcome: {} },
  { name: 'two Host fields', script: opens(connects('$ORIGIN', HOST, 'Host: other.invalid:1')), outcome: {} },
  { name: 'the fields of the answer', script: [send(connects('$ORIGIN', HOST)), answerTo('CONNECT', 'version', 'content-length?', 'transfer-encoding?', 'connection?', 'via?', 'date?')], outcome: {} },
  { name: 'Connection: close in the request', script: opens(connects('$ORIGIN', HOST, 'Connection: close')), outcome: {} },
  { name: 'Proxy-Connection in the request', script: opens(connects('$ORIGIN', HOST, 'Proxy-Connection: keep-alive')), outcome: {} },
  { name: 'a Content-Length and a body', script: [send(`${connects('$ORIGIN', HOST, 'Content-Length: 4')}body`), answerTo('CONNECT'), originAwaits('body', 'body')], outcome: {} },
  { name: 'Transfer-Encoding: chunked and chunks', script: [send(`${connects('$ORIGIN', HOST, 'Transfer-Encoding: chunked')}4\r\nbody\r\n0\r\n\r\n`), answerTo('CONNECT'), originAwaits('chunks', '4\r\nbody\r\n0\r\n\r\n')], outcome: {} },
  { name: 'the method in small letters', script: refused(head('connect $ORIGIN HTTP/1.1', HOST)), outcome: {} },
  { name: 'no port', script: refused(connects('127.0.0.1', HOST)), outcome: {} },
  { name: 'an empty port', script: refused(connects('127.0.0.1:', HOST)), outcome: {} },
  { name: 'port 0', script: refused(connects('127.0.0.1:0', HOST)), outcome: {} },
  { name: 'port 65536', script: refused(connects('127.0.0.1:65536', HOST)), outcome: {} },
  { name: 'a port that is no number', script: refused(connects('127.0.0.1:http', HOST)), outcome: {} },
  { name: 'a port with a sign', script: refused(connects('127.0.0.1:+$PORT', HOST)), outcome: {} },
  { name: 'no host', script: refused(connects(':$PORT', HOST)), outcome: {} },
  { name: 'a user before the host', script: refused(connects('ada@$ORIGIN', HOST)), outcome: {} },
  { name: 'a path behind the port', script: refused(connects('$ORIGIN/path', HOST)), outcome: {} },
  { name: 'the absolute form', peers: ['squid'], script: refused(connects('http://$ORIGIN/', HOST)), outcome: {} },
  { name: 'the asterisk form', script: refused(connects('*', HOST)), outcome: {} },
  { name: 'no target', script: refused(head('CONNECT HTTP/1.1', HOST)), outcome: {} },
  { name: 'two blanks before the target', script: opens(connects(' $ORIGIN', HOST)), outcome: {} },
  { name: 'an empty line before the request', script: opens(`\r\n${connects('$ORIGIN', HOST)}`), outcome: {} },
  { name: 'lines that end with LF alone', script: refused(`CONNECT $ORIGIN HTTP/1.1\n${HOST}\n\n`), outcome: {} },
  { name: 'a field without a colon', script: refused(connects('$ORIGIN', HOST, 'nothing')), outcome: {} },
  { name: 'a blank before the colon of a field', script: refused(connects('$ORIGIN', HOST, 'X-Field : 1')), outcome: {} },
  { name: 'a field folded over two lines', script: refused(connects('$ORIGIN', HOST, 'X-Field: 1\r\n 2')), outcome: {} },
  { name: 'a head of 100 kB', script: refused(connects('$ORIGIN', HOST, `X-Field: ${'a'.repeat(100_000)}`)), outcome: {} },
  { name: 'HTTP/2.0', script: refused(head('CONNECT $ORIGIN HTTP/2.0', HOST)), outcome: {} },
  { name: 'refused by the destination', script: [send(connects('127.0.0.1:$CLOSED', 'Host: x')), answerTo('CONNECT', 'framing'), dialled], outcome: {} },
  { name: 'refused by the destination, by IPv6', script: refused(connects('[::1]:$CLOSED', 'Host: x')), outcome: {} },
  { name: 'refused, with first data behind the head', peers: ['squid'], script: [send(`${connects('127.0.0.1:$CLOSED', 'Host: x')}early`), answerTo('CONNECT'), dialled], outcome: {} },
  { name: 'refused, and asked again on the same connection', script: [send(connects('127.0.0.1:$CLOSED', 'Host: x')), answerTo('CONNECT', 'connection'), send(connects('$ORIGIN', HOST)), answer()], outcome: {} },
  { name: 'a name that does not exist', script: refused(connects('nothing.invalid:$PORT', 'Host: x')), outcome: {} },
  { name: 'an unreachable address', script: refused(connects('224.0.0.1:$PORT', 'Host: x')), outcome: {} },
  { name: 'a denied address', script: refused(connects('127.0.0.9:$PORT', 'Host: x')), outcome: {} },
  { name: 'a denied address in IPv6 form', script: refused(connects('[::ffff:127.0.0.9]:$PORT', 'Host: x')), outcome: {} },
  { name: 'refused by the destination, and how it ends', script: [send(connects('127.0.0.1:$CLOSED', 'Host: x', 'Connection: close')), answerTo('CONNECT'), ending], outcome: {} },
]
