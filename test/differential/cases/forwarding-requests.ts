// Cases of absolute-form requests as the origin reads them: RFC 9112 section 3.2.2, the forwarding rules of RFC 9110
// section 7.6.
import { head, type Case } from '../script.ts'
import { HOST, forwards, get } from './forwarding-steps.ts'

export const FORWARDED_REQUESTS: readonly Case[] = [
  {
    name: 'GET',
    script: forwards(get(), 'host', 'framing'),
    outcome: {
      request: 'GET / HTTP/1.1',
      'request.host': '127.0.0.1:$PORT',
      'request.framing': 'none',
      status: '200',
      'answer.body': 'ok',
    },
  },
  {
    name: 'GET by IPv6 address',
    script: forwards(head('GET http://$ORIGIN6/ HTTP/1.1', 'Host: $ORIGIN6'), 'host'),
    outcome: { request: 'GET / HTTP/1.1', 'request.host': '[::1]:$PORT', status: '200', 'answer.body': 'ok' },
  },
  {
    name: 'GET by name',
    script: forwards(head('GET http://localhost:$PORT/ HTTP/1.1', 'Host: localhost:$PORT'), 'host'),
    outcome: {
      request: 'GET / HTTP/1.1',
      'request.host': 'localhost:$PORT',
      status: '200',
      'answer.body': 'ok',
    },
  },
  {
    name: 'GET without a path',
    script: forwards(head('GET http://$ORIGIN HTTP/1.1', HOST)),
    outcome: { request: 'GET / HTTP/1.1', status: '200', 'answer.body': 'ok' },
  },
  {
    name: 'GET with a query and no path',
    script: forwards(head('GET http://$ORIGIN?a=1 HTTP/1.1', HOST)),
    outcome: { request: 'GET /?a=1 HTTP/1.1', status: '200', 'answer.body': 'ok' },
    differs: { tinyproxy: { request: 'query-kept' } },
  },
  {
    name: 'GET with the scheme in capitals',
    script: forwards(head('GET HTTP://$ORIGIN/ HTTP/1.1', HOST)),
    outcome: { request: 'GET / HTTP/1.1', status: '200', 'answer.body': 'ok' },
  },
  {
    name: 'a path with escapes, dots and a query',
    script: forwards(head('GET http://$ORIGIN/a%2Fb/../c//d;e?q=1&q=%20 HTTP/1.1', HOST)),
    outcome: { request: 'GET /a%2Fb/../c//d;e?q=1&q=%20 HTTP/1.1', status: '200', 'answer.body': 'ok' },
  },
  {
    name: 'a path with brackets and bars',
    script: forwards(head('GET http://$ORIGIN/a|b[c]{d}^`" HTTP/1.1', HOST)),
    outcome: { request: 'GET /a|b[c]{d}^`" HTTP/1.1', status: '200', 'answer.body': 'ok' },
  },
  {
    name: 'a Host that differs from the target',
    script: forwards(head('GET http://$ORIGIN/ HTTP/1.1', 'Host: other.invalid'), 'host'),
    outcome: {
      request: 'GET / HTTP/1.1',
      'request.host': '127.0.0.1:$PORT',
      status: '200',
      'answer.body': 'ok',
    },
  },
  {
    name: 'fields of one hop',
    script: forwards(
      get(
        'Connection: X-Hop',
        'X-Hop: 1',
        'Keep-Alive: timeout=5',
        'Proxy-Connection: keep-alive',
        'TE: trailers',
        'X-Kept: 2',
      ),
      'x-hop',
      'keep-alive',
      'proxy-connection',
      'te',
      'x-kept',
    ),
    outcome: {
      request: 'GET / HTTP/1.1',
      'request.x-hop': 'absent',
      'request.keep-alive': 'absent',
      'request.proxy-connection': 'absent',
      'request.te': 'absent',
      'request.x-kept': '2',
      status: '200',
      'answer.body': 'ok',
    },
  },
  {
    name: 'Proxy-Authorization',
    script: forwards(get('Proxy-Authorization: Basic eDp5'), 'proxy-authorization?'),
    outcome: {
      request: 'GET / HTTP/1.1',
      'request.proxy-authorization': 'absent',
      status: '200',
      'answer.body': 'ok',
    },
    differs: { tinyproxy: { 'request.proxy-authorization': 'credential-kept-back' } },
  },
  {
    name: 'Upgrade to something that is not WebSocket',
    script: forwards(get('Connection: Upgrade', 'Upgrade: h2c'), 'upgrade?'),
    outcome: { request: 'GET / HTTP/1.1', 'request.upgrade': 'absent', status: '200', 'answer.body': 'ok' },
  },
  {
    name: 'what the proxy adds to a request',
    script: forwards(get(), 'via?', 'x-forwarded-for?', 'forwarded?', 'cache-control?'),
    outcome: {
      request: 'GET / HTTP/1.1',
      'request.via': 'absent',
      'request.x-forwarded-for': 'absent',
      'request.forwarded': 'absent',
      'request.cache-control': 'absent',
      status: '200',
      'answer.body': 'ok',
    },
    differs: {
      squid: {
        'request.via': 'nothing-added',
        'request.x-forwarded-for': 'nothing-added',
        'request.cache-control': 'nothing-added',
      },
      tinyproxy: { 'request.via': 'nothing-added' },
    },
  },
  {
    name: 'fields sent twice keep their order',
    script: forwards(get('Cookie: a=1', 'Cookie: b=2', 'X-Twice: 1', 'X-Twice: 2'), 'cookie', 'x-twice'),
    outcome: {
      request: 'GET / HTTP/1.1',
      'request.cookie': 'a=1 | b=2',
      'request.x-twice': '1 | 2',
      status: '200',
      'answer.body': 'ok',
    },
    differs: { tinyproxy: { 'request.cookie': 'repeated-fields', 'request.x-twice': 'repeated-fields' } },
  },
  {
    name: 'POST with a length',
    script: forwards(
      `${head('POST http://$ORIGIN/ HTTP/1.1', HOST, 'Content-Length: 4')}body`,
      'framing',
      'body',
    ),
    outcome: {
      request: 'POST / HTTP/1.1',
      'request.framing': 'length',
      'request.body': 'body',
      status: '200',
      'answer.body': 'ok',
    },
  },
  {
    name: 'POST with a length of 0',
    script: forwards(head('POST http://$ORIGIN/ HTTP/1.1', HOST, 'Content-Length: 0'), 'framing'),
    outcome: { request: 'POST / HTTP/1.1', 'request.framing': 'length', status: '200', 'answer.body': 'ok' },
  },
  {
    name: 'POST in chunks',
    script: forwards(
      `${head('POST http://$ORIGIN/ HTTP/1.1', HOST, 'Transfer-Encoding: chunked')}4\r\nbody\r\n0\r\n\r\n`,
      'framing',
      'body',
    ),
    outcome: {
      request: 'POST / HTTP/1.1',
      'request.framing': 'chunked',
      'request.body': 'body',
      status: '200',
      'answer.body': 'ok',
    },
    differs: { squid: { 'request.framing': 'framing-kept' } },
  },
  {
    name: 'POST in chunks with trailers',
    script: forwards(
      `${head('POST http://$ORIGIN/ HTTP/1.1', HOST, 'Trailer: X-Sum', 'Transfer-Encoding: chunked')}4\r\nbody\r\n0\r\nX-Sum: 1\r\n\r\n`,
      'body',
      'trailers',
    ),
    outcome: {
      request: 'POST / HTTP/1.1',
      'request.body': 'body',
      'request.trailers': 'X-Sum: 1',
      status: '200',
      'answer.body': 'ok',
    },
    differs: { squid: { 'request.trailers': 'trailers' }, tinyproxy: { request: 'trailers' } },
  },
  {
    name: 'PUT',
    script: forwards(`${head('PUT http://$ORIGIN/x HTTP/1.1', HOST, 'Content-Length: 1')}1`, 'body'),
    outcome: { request: 'PUT /x HTTP/1.1', 'request.body': '1', status: '200', 'answer.body': 'ok' },
  },
  {
    name: 'DELETE',
    script: forwards(head('DELETE http://$ORIGIN/x HTTP/1.1', HOST)),
    outcome: { request: 'DELETE /x HTTP/1.1', status: '200', 'answer.body': 'ok' },
  },
  {
    name: 'PROPFIND',
    script: forwards(head('PROPFIND http://$ORIGIN/x HTTP/1.1', HOST)),
    outcome: { request: 'PROPFIND /x HTTP/1.1', status: '200', 'answer.body': 'ok' },
  },
  {
    name: 'OPTIONS of the whole server',
    script: forwards(head('OPTIONS http://$ORIGIN HTTP/1.1', HOST)),
    outcome: { request: 'OPTIONS * HTTP/1.1', status: '200', 'answer.body': 'ok' },
    differs: { squid: { request: 'options-asterisk' }, tinyproxy: { request: 'options-asterisk' } },
  },
  {
    name: 'TRACE',
    script: forwards(head('TRACE http://$ORIGIN/ HTTP/1.1', HOST)),
    outcome: { request: 'TRACE / HTTP/1.1', status: '200', 'answer.body': 'ok' },
  },
  {
    name: 'OPTIONS with Max-Forwards: 5',
    script: forwards(head('OPTIONS http://$ORIGIN/ HTTP/1.1', HOST, 'Max-Forwards: 5'), 'max-forwards'),
    outcome: {
      request: 'OPTIONS / HTTP/1.1',
      'request.max-forwards': '4',
      status: '200',
      'answer.body': 'ok',
    },
    differs: { tinyproxy: { 'request.max-forwards': 'max-forwards' } },
  },
]
