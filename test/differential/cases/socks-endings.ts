// Cases of half-close, reset and slow peers over SOCKS, whose streams have no frame of their own: an end is all that
// tells half from whole.
import {
  awaits,
  bytes,
  drip,
  echo,
  ending,
  fin,
  originAccept,
  originAwaits,
  originDrip,
  originEnding,
  originFin,
  originReset,
  originSend,
  read,
  reply5,
  reset,
  send,
  type Case,
  type Step,
} from '../script.ts'

const ASKED: readonly Step[] = [
  bytes('05 01 00'),
  read('method', 2),
  bytes('05 01 00 03 09 "127.0.0.1" $PORT'),
  reply5,
]
const OPENED: readonly Step[] = [...ASKED, echo]

export const SOCKS_ENDINGS: readonly Case[] = [
  {
    name: 'SOCKS: the client ends, then the origin answers and ends',
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
      method: '05 00',
      reply: '05 00 00',
      echo: 'yes',
      question: 'yes',
      'origin-ending': 'end',
      answer: 'yes',
      ending: 'end',
    },
    differs: { microsocks: { answer: 'half-close' } },
  },
  {
    name: 'SOCKS: the origin ends, then the client goes on',
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
    outcome: {
      method: '05 00',
      reply: '05 00 00',
      echo: 'yes',
      bye: 'yes',
      ending: 'end',
      more: 'yes',
      'origin-ending': 'end',
    },
    differs: { microsocks: { more: 'half-close' } },
  },
  {
    name: 'SOCKS: both end',
    script: [...OPENED, fin, originEnding, originFin, ending],
    outcome: { method: '05 00', reply: '05 00 00', echo: 'yes', 'origin-ending': 'end', ending: 'end' },
  },
  {
    name: 'SOCKS: the origin resets',
    script: [...OPENED, originReset, ending],
    outcome: { method: '05 00', reply: '05 00 00', echo: 'yes', ending: 'reset' },
    differs: { dante: { ending: 'reset-passed-on' }, microsocks: { ending: 'reset-passed-on' } },
  },
  {
    name: 'SOCKS: the client resets',
    script: [...OPENED, reset, originEnding],
    outcome: { method: '05 00', reply: '05 00 00', echo: 'yes', 'origin-ending': 'reset' },
    differs: {
      dante: { 'origin-ending': 'reset-passed-on' },
      microsocks: { 'origin-ending': 'reset-passed-on' },
    },
  },
  {
    name: 'SOCKS: the origin sends and resets',
    script: [...OPENED, originSend('part'), awaits('part', 'part'), originReset, ending],
    outcome: { method: '05 00', reply: '05 00 00', echo: 'yes', part: 'yes', ending: 'reset' },
    differs: { dante: { ending: 'reset-passed-on' }, microsocks: { ending: 'reset-passed-on' } },
  },
  {
    name: 'SOCKS: the client sends byte by byte',
    script: [...OPENED, drip('slowly'), originAwaits('slowly', 'slowly')],
    outcome: { method: '05 00', reply: '05 00 00', echo: 'yes', slowly: 'yes' },
  },
  {
    name: 'SOCKS: the origin sends byte by byte',
    script: [...OPENED, originDrip('slowly'), awaits('slowly', 'slowly')],
    outcome: { method: '05 00', reply: '05 00 00', echo: 'yes', slowly: 'yes' },
  },
  {
    name: 'SOCKS: the origin speaks first and ends',
    script: [
      ...ASKED,
      originAccept,
      originSend('220 hello'),
      originFin,
      awaits('banner', '220 hello'),
      ending,
    ],
    outcome: { method: '05 00', reply: '05 00 00', banner: 'yes', ending: 'end' },
  },
]
