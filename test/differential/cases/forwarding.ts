// Cases of absolute-form requests: RFC 9112 section 3.2.2, the forwarding rules of RFC 9110 section 7.6.
import { answer, answerTo, awaits, dialled, head, originAwaits, originFin, originSend, request, send, type Case, type Step } from '../script.ts'

const HOST = 'Host: $ORIGIN'
const get = (...fields: string[]): string => head('GET http://$ORIGIN/ HTTP/1.1', HOST, ...fields)
const OK = head('HTTP/1.1 200 OK', 'Content-Length: 2') + 'ok'

/** The request goes to the origin, whose answer goes back; `shows` is looked at in the request. */
const forwards = (text: string, ...shows: string[]): readonly Step[] => [send(text), request(...shows), originSend(OK), answer('body')]
/** The origin's answer is what is looked at. */
const answers = (text: string, ...shows: string[]): readonly Step[] => [send(get()), request(), originSend(text), answer(...shows)]
/** It should go nowhere. */
const refused = (text: string): readonly Step[] => [send(text), answer(), dialled]
/** It should be refused; where it is not, what the origin gets is looked at. */
const judged = (text: string, ...shows: string[]): readonly Step[] => [send(text), request(...shows), originSend(OK), answer()]

export const FORWARDING: readonly Case[] = [
  { name: 'GET', script: forwards(get(), 'host', 'framing'), outcome: {} },
  { name: 'GET by IPv6 address', script: forwards(head('GET http://$ORIGIN6/ HTTP/1.1', 'Host: $ORIGIN6'), 'host'), outcome: {} },
  { name: 'GET by name', script: forwards(head('GET http://localhost:$PORT/ HTTP/1.1', 'Host: localhost:$PORT'), 'host'), outcome: {} },
  { name: 'GET without a path', script: forwards(head('GET http://$ORIGIN HTTP/1.1', HOST)), outcome: {} },
  { name: 'GET with a query and no path', script: forwards(head('GET http://$ORIGIN?a=1 HTTP/1.1', HOST)), outcome: {} },
  { name: 'GET with the scheme in capitals', script: forwards(head('GET HTTP://$ORIGIN/ HTTP/1.1', HOST)), outcome: {} },
  { name: 'a path with escapes, dots and a query', script: forwards(head('GET http://$ORIGIN/a%2Fb/../c//d;e?q=1&q=%20 HTTP/1.1', HOST)), outcome: {} },
  { name: 'a path with brackets and bars', script: forwards(head('GET http://$ORIGIN/a|b[c]{d}^`" HTTP/1.1', HOST)), outcome: {} },
  { name: 'a fragment', script: judged(head('GET http://$ORIGIN/a#b HTTP/1.1', HOST)), outcome: {} },
  { name: 'a user and password in the target', script: judged(head('GET http://ada:lace@$ORIGIN/ HTTP/1.1', HOST), 'authorization?'), outcome: {} },
  { name: 'a Host that differs from the target', script: forwards(head('GET http://$ORIGIN/ HTTP/1.1', 'Host: other.invalid'), 'host'), outcome: {} },
  { name: 'no Host', script: judged(head('GET http://$ORIGIN/ HTTP/1.1'), 'host'), outcome: {} },
  { name: 'two Host fields', script: judged(head('GET http://$ORIGIN/ HTTP/1.1', HOST, 'Host: other.invalid'), 'host'), outcome: {} },
  { name: 'fields of one hop', script: forwards(get('Connection: X-Hop', 'X-Hop: 1', 'Keep-Alive: timeout=5', 'Proxy-Connection: keep-alive', 'TE: trailers', 'X-Kept: 2'), 'x-hop', 'keep-alive', 'proxy-connection', 'te', 'x-kept'), outcome: {} },
  { name: 'Proxy-Authorization', script: forwards(get('Proxy-Authorization: Basic eDp5'), 'proxy-authorization?'), outcome: {} },
  { name: 'Upgrade to something that is not WebSocket', script: forwards(get('Connection: Upgrade', 'Upgrade: h2c'), 'upgrade?'), outcome: {} },
  { name: 'what the proxy adds to a request', script: forwards(get(), 'via?', 'x-forwarded-for?', 'forwarded?', 'cache-control?'), outcome: {} },
  { name: 'fields sent twice keep their order', script: forwards(get('Cookie: a=1', 'Cookie: b=2', 'X-Twice: 1', 'X-Twice: 2'), 'cookie', 'x-twice'), outcome: {} },
  { name: 'POST with a length', script: forwards(`${head('POST http://$ORIGIN/ HTTP/1.1', HOST, 'Content-Length: 4')}body`, 'framing', 'body'), outcome: {} },
  { name: 'POST with a length of 0', script: forwards(head('POST http://$ORIGIN/ HTTP/1.1', HOST, 'Content-Length: 0'), 'framing'), outcome: {} },
  { name: 'POST in chunks', script: forwards(`${head('POST http://$ORIGIN/ HTTP/1.1', HOST, 'Transfer-Encoding: chunked')}4\r\nbody\r\n0\r\n\r\n`, 'framing', 'body'), outcome: {} },
  { name: 'POST in chunks with trailers', script: forwards(`${head('POST http://$ORIGIN/ HTTP/1.1', HOST, 'Trailer: X-Sum', 'Transfer-Encoding: chunked')}4\r\nbody\r\n0\r\nX-Sum: 1\r\n\r\n`, 'body', 'trailers'), outcome: {} },
  { name: 'a length and chunks at once', script: judged(`${head('POST http://$ORIGIN/ HTTP/1.1', HOST, 'Content-Length: 4', 'Transfer-Encoding: chunked')}0\r\n\r\n`), outcome: {} },
  { name: 'two lengths that differ', script: judged(`${head('POST http://$ORIGIN/ HTTP/1.1', HOST, 'Content-Length: 4', 'Content-Length: 5')}body!`), outcome: {} },
  { name: 'PUT', script: forwards(`${head('PUT http://$ORIGIN/x HTTP/1.1', HOST, 'Content-Length: 1')}1`, 'body'), outcome: {} },
  { name: 'DELETE', script: forwards(head('DELETE http://$ORIGIN/x HTTP/1.1', HOST)), outcome: {} },
  { name: 'PROPFIND', script: forwards(head('PROPFIND http://$ORIGIN/x HTTP/1.1', HOST)), outcome: {} },
  { name: 'a method that nobody has registered', script: judged(head('INVENTED http://$ORIGIN/x HTTP/1.1', HOST)), outcome: {} },
  { name: 'HEAD', script: [send(head('HEAD http://$ORIGIN/ HTTP/1.1', HOST)), request(), originSend(head('HTTP/1.1 200 OK', 'Content-Length: 9')), answerTo('HEAD', 'content-length')], outcome: {} },
  { name: 'OPTIONS of the whole server', script: forwards(head('OPTIONS http://$ORIGIN HTTP/1.1', HOST)), outcome: {} },
  { name: 'OPTIONS in asterisk form', script: refused(head('OPTIONS * HTTP/1.1', HOST)), outcome: {} },
  { name: 'TRACE', script: forwards(head('TRACE http://$ORIGIN/ HTTP/1.1', HOST)), outcome: {} },
  { name: 'TRACE with Max-Forwards: 0', script: [send(head('TRACE http://$ORIGIN/ HTTP/1.1', HOST, 'Max-Forwards: 0')), request('max-forwards'), originSend(OK), answer()], outcome: {} },
  { name: 'OPTIONS with Max-Forwards: 5', script: forwards(head('OPTIONS http://$ORIGIN/ HTTP/1.1', HOST, 'Max-Forwards: 5'), 'max-forwards'), outcome: {} },
  { name: 'an HTTP/1.0 client', script: [send(head('GET http://$ORIGIN/ HTTP/1.0')), request('host'), originSend(OK), answer('body', 'version')], outcome: {} },
  { name: 'an HTTP/1.0 client and an answer in chunks', script: [send(head('GET http://$ORIGIN/ HTTP/1.0')), request(), originSend(`${head('HTTP/1.1 200 OK', 'Transfer-Encoding: chunked')}2\r\nok\r\n0\r\n\r\n`), answer('framing', 'body')], outcome: {} },
  { name: 'a range', script: [send(get('Range: bytes=0-1')), request('range'), originSend(`${head('HTTP/1.1 206 Partial Content', 'Content-Range: bytes 0-1/9', 'Content-Length: 2')}ab`), answer('content-range', 'body')], outcome: {} },
  { name: 'a conditional request and 304', script: [send(get('If-None-Match: "a"')), request('if-none-match'), originSend(head('HTTP/1.1 304 Not Modified', 'ETag: "a"')), answer('etag')], outcome: {} },
  { name: '204', script: answers(head('HTTP/1.1 204 No Content'), 'framing', 'content-length'), outcome: {} },
  { name: 'an answer in chunks with trailers', script: answers(`${head('HTTP/1.1 200 OK', 'Trailer: X-Sum', 'Transfer-Encoding: chunked')}2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n`, 'framing', 'body', 'trailers'), outcome: {} },
  { name: 'fields of one hop in the answer', script: answers(`${head('HTTP/1.1 200 OK', 'Connection: X-Hop', 'X-Hop: 1', 'Keep-Alive: max=1', 'X-Kept: 2', 'Content-Length: 2')}ok`, 'x-hop', 'keep-alive', 'x-kept'), outcome: {} },
  { name: 'what the proxy adds to an answer', script: answers(OK, 'via?', 'x-cache?', 'date?', 'server?'), outcome: {} },
  { name: 'Set-Cookie twice', script: answers(`${head('HTTP/1.1 200 OK', 'Set-Cookie: a=1', 'Set-Cookie: b=2', 'Content-Length: 2')}ok`, 'set-cookie'), outcome: {} },
  { name: 'an answer up to the end of the connection', script: [...answers('HTTP/1.1 200 OK\r\n\r\nok').slice(0, -1), originFin, answer('body')], outcome: {} },
  { name: 'an HTTP/1.0 answer', script: [...answers('HTTP/1.0 200 OK\r\n\r\nok').slice(0, -1), originFin, answer('version', 'body')], outcome: {} },
  { name: 'an answer with a status of its own', script: answers(`${head('HTTP/1.1 599 Odd', 'Content-Length: 2')}ok`, 'body'), outcome: {} },
  { name: 'early hints before the answer', script: answers(head('HTTP/1.1 103 Early Hints', 'Link: </a>') + OK, 'interim', 'body'), outcome: {} },
  { name: 'Expect: 100-continue, and the origin says so', script: [send(head('POST http://$ORIGIN/ HTTP/1.1', HOST, 'Content-Length: 4', 'Expect: 100-continue')), originAwaits('head', '\r\n\r\n'), originSend('HTTP/1.1 100 Continue\r\n\r\n'), awaits('continue', '\r\n\r\n'), send('body'), originAwaits('body', 'body'), originSend(OK), answer('body')], outcome: {} },
  { name: 'Expect: 100-continue, and the origin refuses', script: [send(head('POST http://$ORIGIN/ HTTP/1.1', HOST, 'Content-Length: 4', 'Expect: 100-continue')), originAwaits('head', '\r\n\r\n'), originSend(head('HTTP/1.1 417 Expectation Failed', 'Content-Length: 0')), answer('interim')], outcome: {} },
  { name: 'two requests one after the other', script: [send(get()), request(), originSend(OK), answer('body'), send(get('X-Second: 2')), request('x-second'), originSend(OK), answer('body')], outcome: {} },
  { name: 'two requests in one write', script: [send(get() + get('X-Second: 2')), request(), originSend(OK), answer('body'), request('x-second'), originSend(OK), answer('body')], outcome: {} },
  { name: 'https in the target', script: [send(head('GET https://127.0.0.1:$CLOSED/ HTTP/1.1', 'Host: x')), answer()], outcome: {} },
  { name: 'ftp in the target', script: [send(head('GET ftp://127.0.0.1:$CLOSED/ HTTP/1.1', 'Host: x')), answer()], outcome: {} },
  { name: 'the origin form', script: [send(head('GET / HTTP/1.1', HOST)), answer()], outcome: {} },
  { name: 'a name that does not exist', script: refused(head('GET http://nothing.invalid/ HTTP/1.1', 'Host: nothing.invalid')), outcome: {} },
  { name: 'refused by the destination', script: refused(head('GET http://127.0.0.1:$CLOSED/ HTTP/1.1', 'Host: x')), outcome: {} },
  { name: 'a denied address', script: refused(head('GET http://127.0.0.9:$PORT/ HTTP/1.1', 'Host: x')), outcome: {} },
  { name: 'HTTP/2.0', script: judged(head('GET http://$ORIGIN/ HTTP/2.0', HOST)), outcome: {} },
  { name: 'OPTIONS with Max-Forwards: 0', script: [send(head('OPTIONS http://$ORIGIN/ HTTP/1.1', HOST, 'Max-Forwards: 0')), request('max-forwards'), originSend(OK), answer()], outcome: {} },
  { name: 'a target port that is too large', script: refused(head('GET http://127.0.0.1:65536/ HTTP/1.1', 'Host: x')), outcome: {} },
]
