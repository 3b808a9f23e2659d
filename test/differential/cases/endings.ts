// Cases of half-close, reset, truncation and slow peers over HTTP: RFC 9110 section 9.3.6 (the end of a tunnel), RFC
// 9112 sections 8 (incomplete messages) and 9.6 (tear-down).
import {
  answer,
  answerTo,
  awaits,
  drip,
  echo,
  ending,
  fin,
  head,
  originAccept,
  originAwaits,
  originDrip,
  originEnding,
  originFin,
  originReset,
  originSend,
  request,
  reset,
  send,
  type Case,
  type Step,
} from '../script.ts'

const OPENED: readonly Step[] = [
  send(head('CONNECT $ORIGIN HTTP/1.1', 'Host: $ORIGIN')),
  answerTo('CONNECT'),
  echo,
]
const GET = head('GET http://$ORIGIN/ HTTP/1.1', 'Host: $ORIGIN')
const ASKED: readonly Step[] = [send(GET), request()]
const post = (...fields: string[]): string =>
  head('POST http://$ORIGIN/ HTTP/1.1', 'Host: $ORIGIN', ...fields)
const OK = head('HTTP/1.1 200 OK', 'Content-Length: 2') + 'ok'

export const ENDINGS: readonly Case[] = [
  {
    name: 'CONNECT: the client ends, then the origin answers and ends',
    script: [
      ...OPENED,
      send('question'),
      fin,
      originAwaits('question', 'question'),
      originEnding,
      originSend('answer'),
      originFin,
      awaits('answer', 'answer'),
      ending,
    ],
    outcome: {
      status: '200',
      echo: 'yes',
      question: 'yes',
      'origin-ending': 'end',
      answer: 'yes',
      ending: 'end',
    },
    differs: { squid: { answer: 'half-close' }, tinyproxy: { answer: 'half-close' } },
  },
  {
    name: 'CONNECT: the origin ends, then the client goes on',
    script: [
      ...OPENED,
      originSend('bye'),
      originFin,
      awaits('bye', 'bye'),
      ending,
      send('more'),
      originAwaits('more', 'more'),
      fin,
      originEnding,
    ],
    outcome: { status: '200', echo: 'yes', bye: 'yes', ending: 'end', more: 'yes', 'origin-ending': 'end' },
    differs: { squid: { more: 'half-close' }, tinyproxy: { more: 'half-close' } },
  },
  {
    name: 'CONNECT: the origin ends without a word',
    script: [...OPENED, originFin, ending],
    outcome: { status: '200', echo: 'yes', ending: 'end' },
  },
  {
    name: 'CONNECT: both end',
    script: [...OPENED, fin, originEnding, originFin, ending],
    outcome: { status: '200', echo: 'yes', 'origin-ending': 'end', ending: 'end' },
  },
  {
    name: 'CONNECT: the origin resets',
    script: [...OPENED, originReset, ending],
    outcome: { status: '200', echo: 'yes', ending: 'reset' },
    differs: { squid: { ending: 'reset-passed-on' }, tinyproxy: { ending: 'reset-passed-on' } },
  },
  {
    name: 'CONNECT: the client resets',
    script: [...OPENED, reset, originEnding],
    outcome: { status: '200', echo: 'yes', 'origin-ending': 'reset' },
    differs: {
      squid: { 'origin-ending': 'reset-passed-on' },
      tinyproxy: { 'origin-ending': 'reset-passed-on' },
    },
  },
  {
    name: 'CONNECT: the origin sends and resets',
    script: [...OPENED, originSend('part'), awaits('part', 'part'), originReset, ending],
    outcome: { status: '200', echo: 'yes', part: 'yes', ending: 'reset' },
    differs: { squid: { ending: 'reset-passed-on' }, tinyproxy: { ending: 'reset-passed-on' } },
  },
  {
    name: 'CONNECT: the client ends, then the origin resets',
    script: [...OPENED, fin, originEnding, originReset, ending],
    outcome: { status: '200', echo: 'yes', 'origin-ending': 'end', ending: 'reset' },
    differs: { squid: { ending: 'reset-passed-on' }, tinyproxy: { ending: 'reset-passed-on' } },
  },
  {
    name: 'CONNECT: the client sends byte by byte',
    script: [...OPENED, drip('slowly'), originAwaits('slowly', 'slowly')],
    outcome: { status: '200', echo: 'yes', slowly: 'yes' },
  },
  {
    name: 'CONNECT: the origin sends byte by byte',
    script: [...OPENED, originDrip('slowly'), awaits('slowly', 'slowly')],
    outcome: { status: '200', echo: 'yes', slowly: 'yes' },
  },
  {
    name: 'CONNECT: the origin speaks first',
    script: [
      send(head('CONNECT $ORIGIN HTTP/1.1', 'Host: $ORIGIN')),
      answerTo('CONNECT'),
      originAccept,
      originSend('220 hello'),
      awaits('banner', '220 hello'),
    ],
    outcome: { status: '200', banner: 'yes' },
  },
  {
    name: 'CONNECT: the origin speaks first and ends',
    script: [
      send(head('CONNECT $ORIGIN HTTP/1.1', 'Host: $ORIGIN')),
      answerTo('CONNECT'),
      originAccept,
      originSend('220 hello'),
      originFin,
      awaits('banner', '220 hello'),
      ending,
    ],
    outcome: { status: '200', banner: 'yes', ending: 'end' },
  },
  {
    name: 'CONNECT: the client ends in the middle of the head',
    script: [send('CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost'), fin, ending],
    outcome: { ending: 'end' },
  },

  {
    name: 'GET: the client ends behind its request',
    script: [send(GET), fin, request(), originSend(OK), answer('body'), ending],
    outcome: { request: 'none', status: 'gone' },
    differs: { tinyproxy: { request: 'half-closed-http-client', status: 'half-closed-http-client' } },
  },
  {
    name: 'GET: the client resets while the origin works',
    script: [...ASKED, reset, originEnding],
    outcome: { request: 'GET / HTTP/1.1', 'origin-ending': 'reset' },
    differs: {
      squid: { 'origin-ending': 'reset-passed-on' },
      tinyproxy: { 'origin-ending': 'reset-passed-on' },
    },
  },
  {
    name: 'GET: the client sends its request byte by byte',
    script: [drip(GET), request(), originSend(OK), answer('body')],
    outcome: { request: 'GET / HTTP/1.1', status: '200', 'answer.body': 'ok' },
  },
  {
    name: 'GET: the origin answers byte by byte',
    script: [...ASKED, originDrip(OK), answer('body')],
    outcome: { request: 'GET / HTTP/1.1', status: '200', 'answer.body': 'ok' },
  },
  {
    name: 'GET: the origin answers chunks byte by byte',
    script: [
      ...ASKED,
      originDrip('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n'),
      answer('body'),
    ],
    outcome: { request: 'GET / HTTP/1.1', status: '200', 'answer.body': 'ok' },
  },
  {
    name: 'GET: the origin ends without an answer',
    script: [...ASKED, originFin, answer()],
    outcome: { request: 'GET / HTTP/1.1', status: '502' },
    differs: { tinyproxy: { status: 'no-answer' } },
  },
  {
    name: 'GET: the origin resets without an answer',
    script: [...ASKED, originReset, answer()],
    outcome: { request: 'GET / HTTP/1.1', status: '502' },
    differs: { tinyproxy: { status: 'no-answer' } },
  },
  {
    name: 'GET: the origin ends in the middle of the head',
    script: [...ASKED, originSend('HTTP/1.1 200 OK\r\nContent-'), originFin, answer()],
    outcome: { request: 'GET / HTTP/1.1', status: '502' },
    differs: { tinyproxy: { status: 'gateway-status' } },
  },
  {
    name: 'GET: the origin ends before its Content-Length',
    script: [
      ...ASKED,
      originSend(`${head('HTTP/1.1 200 OK', 'Content-Length: 9')}part`),
      awaits('part', 'part'),
      originFin,
      ending,
    ],
    outcome: { request: 'GET / HTTP/1.1', part: 'yes', ending: 'reset' },
    differs: { squid: { ending: 'truncation-is-a-reset' }, tinyproxy: { ending: 'truncation-is-a-reset' } },
  },
  {
    name: 'GET: the origin resets before its Content-Length',
    script: [
      ...ASKED,
      originSend(`${head('HTTP/1.1 200 OK', 'Content-Length: 9')}part`),
      awaits('part', 'part'),
      originReset,
      ending,
    ],
    outcome: { request: 'GET / HTTP/1.1', part: 'yes', ending: 'reset' },
    differs: { squid: { ending: 'truncation-is-a-reset' }, tinyproxy: { ending: 'truncation-is-a-reset' } },
  },
  {
    name: 'GET: the origin ends before its last chunk',
    script: [
      ...ASKED,
      originSend(`${head('HTTP/1.1 200 OK', 'Transfer-Encoding: chunked')}4\r\npart\r\n`),
      awaits('part', 'part'),
      originFin,
      ending,
    ],
    outcome: { request: 'GET / HTTP/1.1', part: 'yes', ending: 'reset' },
    differs: { squid: { ending: 'truncation-is-a-reset' }, tinyproxy: { ending: 'truncation-is-a-reset' } },
  },
  {
    name: 'GET: the origin ends in the middle of a chunk',
    script: [
      ...ASKED,
      originSend(`${head('HTTP/1.1 200 OK', 'Transfer-Encoding: chunked')}9\r\npart`),
      awaits('part', 'part'),
      originFin,
      ending,
    ],
    outcome: { request: 'GET / HTTP/1.1', part: 'yes', ending: 'reset' },
    differs: { squid: { ending: 'truncation-is-a-reset' }, tinyproxy: { ending: 'truncation-is-a-reset' } },
  },
  {
    name: 'GET: the origin resets an answer without a length',
    script: [
      ...ASKED,
      originSend('HTTP/1.1 200 OK\r\n\r\npart'),
      awaits('part', 'part'),
      originReset,
      ending,
    ],
    outcome: { request: 'GET / HTTP/1.1', part: 'yes', ending: 'reset' },
    differs: { squid: { ending: 'truncation-is-a-reset' }, tinyproxy: { ending: 'truncation-is-a-reset' } },
  },
  {
    name: 'GET by HTTP/1.0: the origin ends before its last chunk',
    script: [
      send(head('GET http://$ORIGIN/ HTTP/1.0')),
      request(),
      originSend(`${head('HTTP/1.1 200 OK', 'Transfer-Encoding: chunked')}4\r\npart\r\n`),
      awaits('part', 'part'),
      originFin,
      ending,
    ],
    outcome: { request: 'GET / HTTP/1.1', part: 'yes', ending: 'reset' },
    differs: {
      squid: { ending: 'truncation-is-a-reset' },
      tinyproxy: { request: 'own-version', ending: 'truncation-is-a-reset' },
    },
  },
  {
    name: 'GET: the origin sends what is not HTTP',
    script: [...ASKED, originSend('SSH-2.0-x\r\n\r\n'), answer()],
    outcome: { request: 'GET / HTTP/1.1', status: '502' },
    differs: { squid: { status: 'http-09-answer' }, tinyproxy: { status: 'http-09-answer' } },
  },
  {
    name: 'GET: more than the Content-Length comes',
    script: [...ASKED, originSend(`${OK}and more`), answer('body')],
    outcome: { request: 'GET / HTTP/1.1', status: '200', 'answer.body': 'ok' },
  },
  {
    name: 'GET: the origin answers in two parts, the first goes on at once',
    script: [
      ...ASKED,
      originSend(`${head('HTTP/1.1 200 OK', 'Content-Length: 9')}part`),
      awaits('part', 'part'),
      originSend('whole'),
      awaits('whole', 'whole'),
    ],
    outcome: { request: 'GET / HTTP/1.1', part: 'yes', whole: 'yes' },
  },

  {
    name: 'POST: the client ends before its Content-Length',
    script: [send(`${post('Content-Length: 9')}part`), originAwaits('part', 'part'), fin, originEnding],
    outcome: { part: 'yes', 'origin-ending': 'reset' },
    differs: {
      squid: { 'origin-ending': 'unfinished-request-is-a-reset' },
      tinyproxy: { 'origin-ending': 'unfinished-request-is-a-reset' },
    },
  },
  {
    name: 'POST: the client ends before its last chunk',
    script: [
      send(`${post('Transfer-Encoding: chunked')}4\r\npart\r\n`),
      originAwaits('part', 'part'),
      fin,
      originEnding,
    ],
    outcome: { part: 'yes', 'origin-ending': 'reset' },
    differs: {
      squid: { 'origin-ending': 'unfinished-request-is-a-reset' },
      tinyproxy: { 'origin-ending': 'unfinished-request-is-a-reset' },
    },
  },
  {
    name: 'POST: the client resets in its body',
    script: [send(`${post('Content-Length: 9')}part`), originAwaits('part', 'part'), reset, originEnding],
    outcome: { part: 'yes', 'origin-ending': 'reset' },
    differs: {
      squid: { 'origin-ending': 'reset-passed-on' },
      tinyproxy: { 'origin-ending': 'reset-passed-on' },
    },
  },
  {
    name: 'POST: the body comes byte by byte',
    script: [
      send(post('Content-Length: 6')),
      drip('slowly'),
      request('body'),
      originSend(OK),
      answer('body'),
    ],
    outcome: { request: 'POST / HTTP/1.1', 'request.body': 'slowly', status: '200', 'answer.body': 'ok' },
  },
  {
    name: 'POST: the origin answers before the body is there',
    script: [
      send(`${post('Content-Length: 9')}part`),
      originAwaits('part', 'part'),
      originSend(head('HTTP/1.1 413 Too Large', 'Content-Length: 2', 'Connection: close') + 'no'),
      answer('body'),
    ],
    outcome: { part: 'yes', status: '413', 'answer.body': 'no' },
    differs: { tinyproxy: { status: 'answer-before-body' } },
  },
  {
    name: 'POST: the origin answers early and takes the rest',
    script: [
      send(`${post('Content-Length: 8')}part`),
      originAwaits('part', 'part'),
      originSend(OK),
      answer('body'),
      send('rest'),
      originAwaits('rest', 'rest'),
    ],
    outcome: { part: 'yes', status: '200', 'answer.body': 'ok', rest: 'yes' },
    differs: { squid: { rest: 'answer-before-body' }, tinyproxy: { status: 'answer-before-body' } },
  },
]
