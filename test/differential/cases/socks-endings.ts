// Cases of half-close, reset and slow peers over SOCKS, whose streams have no frame of their own: an end is all that
// tells half from whole.
import { awaits, bytes, drip, echo, ending, fin, originAccept, originAwaits, originDrip, originEnding, originFin, originReset, originSend, read, reply5, reset, send, type Case, type Step } from '../script.ts'

const ASKED: readonly Step[] = [bytes('05 01 00'), read('method', 2), bytes('05 01 00 03 09 "127.0.0.1" $PORT'), reply5]
const OPENED: readonly Step[] = [...ASKED, echo]

export const SOCKS_ENDINGS: readonly Case[] = [
  { name: 'SOCKS: the client ends, then the origin answers and ends', script: [...OPENED, send('question'), fin, originAwaits('question', 'question'), originEnding, originSend('answer'), originFin, awaits('answer', 'answer'), ending], outcome: {} },
  { name: 'SOCKS: the origin ends, then the client goes on', script: [...OPENED, originSend('bye'), originFin, awaits('bye', 'bye'), ending, send('more'), originAwaits('more', 'more'), fin, originEnding], outcome: {} },
  { name: 'SOCKS: both end', script: [...OPENED, fin, originEnding, originFin, ending], outcome: {} },
  { name: 'SOCKS: the origin resets', script: [...OPENED, originReset, ending], outcome: {} },
  { name: 'SOCKS: the client resets', script: [...OPENED, reset, originEnding], outcome: {} },
  { name: 'SOCKS: the origin sends and resets', script: [...OPENED, originSend('part'), awaits('part', 'part'), originReset, ending], outcome: {} },
  { name: 'SOCKS: the client sends byte by byte', script: [...OPENED, drip('slowly'), originAwaits('slowly', 'slowly')], outcome: {} },
  { name: 'SOCKS: the origin sends byte by byte', script: [...OPENED, originDrip('slowly'), awaits('slowly', 'slowly')], outcome: {} },
  { name: 'SOCKS: the origin speaks first and ends', script: [...ASKED, originAccept, originSend('220 hello'), originFin, awaits('banner', '220 hello'), ending], outcome: {} },
]
