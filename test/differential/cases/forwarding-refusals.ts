// Cases of absolute-form requests that go nowhere, or should not: RFC 9112 sections 3 and 6.3, RFC 9110 section 7.6.2.
import { answer, head, originSend, request, send, type Case } from '../script.ts'
import { HOST, OK, judged, refused } from './forwarding-steps.ts'

export const REFUSED_REQUESTS: readonly Case[] = [
  {
    name: 'a fragment',
    script: judged(head('GET http://$ORIGIN/a#b HTTP/1.1', HOST)),
    outcome: { request: 'none', status: '400' },
    differs: {
      squid: { request: 'target-grammar', status: 'target-grammar' },
      tinyproxy: { request: 'target-grammar', status: 'target-grammar' },
    },
  },
  {
    name: 'a user and password in the target',
    script: judged(head('GET http://ada:lace@$ORIGIN/ HTTP/1.1', HOST), 'authorization?'),
    outcome: { request: 'none', status: '400' },
    differs: {
      squid: { request: 'target-grammar', status: 'target-grammar' },
      tinyproxy: { request: 'target-grammar', status: 'target-grammar' },
    },
  },
  {
    name: 'no Host',
    script: judged(head('GET http://$ORIGIN/ HTTP/1.1'), 'host'),
    outcome: { request: 'none', status: '400' },
    differs: {
      squid: { request: 'host-required', status: 'host-required' },
      tinyproxy: { request: 'host-required', status: 'host-required' },
    },
  },
  {
    name: 'two Host fields',
    script: judged(head('GET http://$ORIGIN/ HTTP/1.1', HOST, 'Host: other.invalid'), 'host'),
    outcome: { request: 'none', status: '400' },
    differs: {
      squid: { request: 'one-host', status: 'one-host' },
      tinyproxy: { request: 'one-host', status: 'one-host' },
    },
  },
  {
    name: 'a length and chunks at once',
    script: judged(
      `${head('POST http://$ORIGIN/ HTTP/1.1', HOST, 'Content-Length: 4', 'Transfer-Encoding: chunked')}0\r\n\r\n`,
    ),
    outcome: { request: 'none', status: '400' },
    differs: {
      squid: { request: 'framing-conflict', status: 'framing-conflict' },
      tinyproxy: { request: 'framing-conflict' },
    },
  },
  {
    name: 'two lengths that differ',
    script: judged(
      `${head('POST http://$ORIGIN/ HTTP/1.1', HOST, 'Content-Length: 4', 'Content-Length: 5')}body!`,
    ),
    outcome: { request: 'none', status: '400' },
    differs: {
      squid: { status: 'framing-conflict' },
      tinyproxy: { request: 'framing-conflict', status: 'framing-conflict' },
    },
  },
  {
    name: 'a method that nobody has registered',
    script: judged(head('INVENTED http://$ORIGIN/x HTTP/1.1', HOST)),
    outcome: { request: 'none', status: '400' },
    differs: {
      squid: { request: 'unknown-method', status: 'unknown-method' },
      tinyproxy: { request: 'unknown-method', status: 'unknown-method' },
    },
  },
  {
    name: 'OPTIONS in asterisk form',
    script: refused(head('OPTIONS * HTTP/1.1', HOST)),
    outcome: { status: '400', dialled: '0' },
    differs: { squid: { status: 'options-of-the-proxy' } },
  },
  {
    name: 'TRACE with Max-Forwards: 0',
    script: [
      send(head('TRACE http://$ORIGIN/ HTTP/1.1', HOST, 'Max-Forwards: 0')),
      request('max-forwards'),
      originSend(OK),
      answer(),
    ],
    outcome: { request: 'none', status: '501' },
    differs: {
      squid: { status: 'max-forwards' },
      tinyproxy: { request: 'max-forwards', status: 'max-forwards' },
    },
  },
  {
    name: 'https in the target',
    script: [send(head('GET https://127.0.0.1:$CLOSED/ HTTP/1.1', 'Host: x')), answer()],
    outcome: { status: '400' },
    differs: { squid: { status: 'other-schemes' }, tinyproxy: { status: 'other-schemes' } },
  },
  {
    name: 'ftp in the target',
    script: [send(head('GET ftp://127.0.0.1:$CLOSED/ HTTP/1.1', 'Host: x')), answer()],
    outcome: { status: '400' },
    differs: { squid: { status: 'other-schemes' }, tinyproxy: { status: 'other-schemes' } },
  },
  {
    name: 'the origin form',
    script: [send(head('GET / HTTP/1.1', HOST)), answer()],
    outcome: { status: '200' },
    differs: { squid: { status: 'own-page' }, tinyproxy: { status: 'own-page' } },
  },
  {
    name: 'a name that does not exist',
    peers: ['tinyproxy'],
    script: refused(head('GET http://nothing.invalid/ HTTP/1.1', 'Host: nothing.invalid')),
    outcome: { status: '502', dialled: '0' },
    differs: { tinyproxy: { status: 'gateway-status' } },
  },
  {
    name: 'refused by the destination',
    script: refused(head('GET http://127.0.0.1:$CLOSED/ HTTP/1.1', 'Host: x')),
    outcome: { status: '502', dialled: '0' },
    differs: { squid: { status: 'gateway-status' }, tinyproxy: { status: 'gateway-status' } },
  },
  {
    name: 'a denied address',
    script: refused(head('GET http://127.0.0.9:$PORT/ HTTP/1.1', 'Host: x')),
    outcome: { status: '403', dialled: '0' },
  },
  {
    name: 'HTTP/2.0',
    script: judged(head('GET http://$ORIGIN/ HTTP/2.0', HOST)),
    outcome: { request: 'none', status: '400' },
    differs: {
      squid: { status: 'http-version' },
      tinyproxy: { request: 'http-version', status: 'http-version' },
    },
  },
  {
    name: 'OPTIONS with Max-Forwards: 0',
    script: [
      send(head('OPTIONS http://$ORIGIN/ HTTP/1.1', HOST, 'Max-Forwards: 0')),
      request('max-forwards'),
      originSend(OK),
      answer(),
    ],
    outcome: { request: 'none', status: '200' },
    differs: { squid: { status: 'max-forwards' }, tinyproxy: { request: 'max-forwards' } },
  },
  {
    name: 'a target port that is too large',
    script: refused(head('GET http://127.0.0.1:65536/ HTTP/1.1', 'Host: x')),
    outcome: { status: '400', dialled: '0' },
    differs: { tinyproxy: { status: 'target-grammar' } },
  },
]
