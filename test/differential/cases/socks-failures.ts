// Cases of SOCKS failures and replies: RFC 1928 sections 6 and 7, the reply codes of SOCKS4.
import {
  boundReply4,
  boundReply5,
  bytes,
  dialled,
  ending,
  fin,
  read,
  reply4,
  reply5,
  type Case,
  type Step,
} from '../script.ts'

const GREET: readonly Step[] = [bytes('05 01 00'), read('method', 2)]

/** Greets, asks, and waits for the reply and the end. */
const refused = (hex: string): readonly Step[] => [...GREET, bytes(hex), reply5, dialled, ending]
const refused4 = (hex: string): readonly Step[] => [bytes(hex), reply4, dialled, ending]
/** The same where the connection may stay. */
const replied = (hex: string): readonly Step[] => [...GREET, bytes(hex), reply5]

export const SOCKS_FAILURES: readonly Case[] = [
  {
    name: 'refused, by IPv4 address',
    script: refused('05 01 00 01 7f000001 $CLOSED'),
    outcome: { method: '05 00', reply: '05 05 00', dialled: '0', ending: 'end' },
  },
  {
    name: 'refused, by IPv6 address',
    script: refused('05 01 00 04 00*15 01 $CLOSED'),
    outcome: { method: '05 00', reply: '05 05 00', dialled: '0', ending: 'end' },
  },
  {
    name: 'refused, by IPv4 inside IPv6',
    script: refused('05 01 00 04 00*10 ffff 7f000001 $CLOSED'),
    outcome: { method: '05 00', reply: '05 05 00', dialled: '0', ending: 'end' },
  },
  {
    name: 'refused, by name',
    script: refused('05 01 00 03 09 "localhost" $CLOSED'),
    outcome: { method: '05 00', reply: '05 05 00', dialled: '0', ending: 'end' },
  },
  {
    name: 'refused, with first data behind the request',
    script: refused('05 01 00 01 7f000001 $CLOSED 61*4000'),
    outcome: { method: '05 00', reply: '05 05 00', dialled: '0', ending: 'end' },
    differs: { dante: { ending: 'refusal-is-read' }, microsocks: { ending: 'refusal-is-read' } },
  },
  {
    name: 'refused, and the client asks again',
    script: [
      ...replied('05 01 00 01 7f000001 $CLOSED'),
      bytes('05 01 00 01 7f000001 $PORT'),
      read('again', 1),
    ],
    outcome: { method: '05 00', reply: '05 05 00', again: 'gone' },
  },
  {
    name: 'refused, SOCKS4',
    script: refused4('04 01 $CLOSED 7f000001 00'),
    outcome: { reply: '00 5b', dialled: '0', ending: 'end' },
    differs: { microsocks: { reply: 'socks5-only' } },
  },
  {
    name: 'refused, SOCKS4a',
    script: refused4('04 01 $CLOSED 00000001 00 "localhost" 00'),
    outcome: { reply: '00 5b', dialled: '0', ending: 'end' },
    differs: { microsocks: { reply: 'socks5-only' } },
  },
  {
    name: 'a name that does not exist',
    script: refused('05 01 00 03 0f "nothing.invalid" $PORT'),
    outcome: { method: '05 00', reply: '05 04 00', dialled: '0', ending: 'end' },
    differs: { microsocks: { reply: 'name-not-found-reply' } },
  },
  {
    name: 'a name that does not exist, SOCKS4a',
    script: refused4('04 01 $PORT 00000001 00 "nothing.invalid" 00'),
    outcome: { reply: '00 5b', dialled: '0', ending: 'end' },
    differs: { microsocks: { reply: 'socks5-only' } },
  },
  {
    name: 'a name with a label of 64 bytes',
    script: refused('05 01 00 03 44 61*64 ".org" $PORT'),
    outcome: { method: '05 00', reply: '05 01 00', dialled: '0', ending: 'end' },
    differs: { dante: { reply: 'malformed-name' } },
  },
  {
    name: 'a name with a blank in it',
    script: refused('05 01 00 03 0a "local host" $PORT'),
    outcome: { method: '05 00', reply: '05 01 00', dialled: '0', ending: 'end' },
    differs: { dante: { reply: 'malformed-name' } },
  },
  {
    name: 'a name with bytes above 127',
    script: refused('05 01 00 03 05 "caf" c3a9 $PORT'),
    outcome: { method: '05 00', reply: '05 01 00', dialled: '0', ending: 'end' },
    differs: { dante: { reply: 'malformed-name' } },
  },
  {
    name: 'a multicast address',
    peers: ['microsocks'],
    script: refused('05 01 00 01 e0000001 $PORT'),
    outcome: { method: '05 00', reply: '05 03 00', dialled: '0', ending: 'end' },
  },
  {
    name: 'the broadcast address',
    peers: ['microsocks'],
    script: refused('05 01 00 01 ffffffff $PORT'),
    outcome: { method: '05 00', reply: '05 03 00', dialled: '0', ending: 'end' },
  },
  {
    name: 'a multicast address, SOCKS4',
    script: refused4('04 01 $PORT e0000001 00'),
    outcome: { reply: '00 5b', dialled: '0', ending: 'end' },
    differs: { microsocks: { reply: 'socks5-only' } },
  },
  {
    name: 'the address 0.0.0.0',
    script: replied('05 01 00 01 00000000 $PORT'),
    outcome: { method: '05 00', reply: '05 02 00' },
    differs: { dante: { reply: 'unspecified-address' }, microsocks: { reply: 'unspecified-address' } },
  },
  {
    name: 'the address ::',
    script: replied('05 01 00 04 00*16 $PORT'),
    outcome: { method: '05 00', reply: '05 02 00' },
    differs: { dante: { reply: 'unspecified-address' }, microsocks: { reply: 'unspecified-address' } },
  },
  {
    name: 'a denied address',
    peers: ['dante'],
    script: refused('05 01 00 01 7f000009 $PORT'),
    outcome: { method: '05 00', reply: '05 02 00', dialled: '0', ending: 'end' },
  },
  {
    name: 'a denied address, SOCKS4',
    peers: ['dante'],
    script: refused4('04 01 $PORT 7f000009 00'),
    outcome: { reply: '00 5b', dialled: '0', ending: 'end' },
  },
  {
    name: 'a denied address as a name',
    peers: ['dante'],
    script: refused('05 01 00 03 09 "127.0.0.9" $PORT'),
    outcome: { method: '05 00', reply: '05 02 00', dialled: '0', ending: 'end' },
  },
  {
    name: 'a denied address inside IPv6',
    peers: ['dante'],
    script: refused('05 01 00 04 00*10 ffff 7f000009 $PORT'),
    outcome: { method: '05 00', reply: '05 02 00', dialled: '0', ending: 'end' },
  },
  {
    name: 'BIND',
    script: replied('05 02 00 01 7f000001 $PORT'),
    outcome: { method: '05 00', reply: '05 07 00' },
    differs: { dante: { reply: 'bind' } },
  },
  {
    name: 'BIND, SOCKS4',
    script: [bytes('04 02 $PORT 7f000001 00'), reply4],
    outcome: { reply: '00 5b' },
    differs: { dante: { reply: 'bind' }, microsocks: { reply: 'socks5-only' } },
  },
  {
    name: 'UDP ASSOCIATE from an address not said',
    script: replied('05 03 00 01 00000000 00 00'),
    outcome: { method: '05 00', reply: '05 00 00' },
    differs: { microsocks: { reply: 'udp-associate' } },
  },
  {
    name: 'UDP ASSOCIATE, and the control connection ends',
    script: [...replied('05 03 00 01 00000000 00 00'), fin, ending],
    outcome: { method: '05 00', reply: '05 00 00', ending: 'end' },
    differs: { microsocks: { reply: 'udp-associate' } },
  },
  {
    name: 'command 4',
    script: refused('05 04 00 01 7f000001 $PORT'),
    outcome: { method: '05 00', reply: '05 07 00', dialled: '0', ending: 'end' },
    differs: { dante: { reply: 'unknown-command' } },
  },
  {
    name: 'command 0',
    script: refused('05 00 00 01 7f000001 $PORT'),
    outcome: { method: '05 00', reply: '05 07 00', dialled: '0', ending: 'end' },
    differs: { dante: { reply: 'unknown-command' } },
  },
  {
    name: 'command 3, SOCKS4',
    script: refused4('04 03 $PORT 7f000001 00'),
    outcome: { reply: '00 5b', dialled: '0', ending: 'end' },
    differs: { microsocks: { reply: 'socks5-only' } },
  },
  {
    name: 'address type 2',
    script: refused('05 01 00 02 7f000001 $PORT'),
    outcome: { method: '05 00', reply: '05 08 00', dialled: '0', ending: 'end' },
    differs: { dante: { reply: 'unknown-address-type' } },
  },
  {
    name: 'address type 0',
    script: refused('05 01 00 00 7f000001 $PORT'),
    outcome: { method: '05 00', reply: '05 08 00', dialled: '0', ending: 'end' },
    differs: { dante: { reply: 'unknown-address-type' } },
  },
  {
    name: 'port 0',
    script: refused('05 01 00 01 7f000001 00 00'),
    outcome: { method: '05 00', reply: '05 01 00', dialled: '0', ending: 'end' },
    differs: { dante: { reply: 'port-zero' }, microsocks: { reply: 'port-zero' } },
  },
  {
    name: 'port 0, SOCKS4',
    script: refused4('04 01 00 00 7f000001 00'),
    outcome: { reply: '00 5b', dialled: '0', ending: 'end' },
    differs: { microsocks: { reply: 'socks5-only' } },
  },
  { name: 'the greeting is cut short', script: [bytes('05 02 00'), fin, ending], outcome: { ending: 'end' } },
  {
    name: 'the request is cut short',
    script: [...GREET, bytes('05 01 00 01 7f00'), fin, ending, dialled],
    outcome: { method: '05 00', ending: 'end', dialled: '0' },
  },
  {
    name: 'a SOCKS4 request without the end of its user id',
    script: [bytes('04 01 $PORT 7f000001 "ada"'), fin, ending, dialled],
    outcome: { ending: 'end', dialled: '0' },
  },
  { name: 'the client says nothing and ends', script: [fin, ending], outcome: { ending: 'end' } },
  {
    name: 'the bound address, IPv4',
    script: [...GREET, bytes('05 01 00 01 7f000001 $PORT'), boundReply5],
    outcome: { method: '05 00', reply: '05 00 00', bound: 'dialled from' },
    differs: { microsocks: { bound: 'bound-address' } },
  },
  {
    name: 'the bound address, IPv6',
    script: [...GREET, bytes('05 01 00 04 00*15 01 $PORT'), boundReply5],
    outcome: { method: '05 00', reply: '05 00 00', bound: 'dialled from' },
    differs: { microsocks: { bound: 'bound-address' } },
  },
  {
    name: 'the bound address for a name',
    script: [...GREET, bytes('05 01 00 03 09 "127.0.0.1" $PORT'), boundReply5],
    outcome: { method: '05 00', reply: '05 00 00', bound: 'dialled from' },
    differs: { microsocks: { bound: 'bound-address' } },
  },
  {
    name: 'the bound address, SOCKS4',
    script: [bytes('04 01 $PORT 7f000001 00'), boundReply4],
    outcome: { reply: '00 5a', bound: 'dialled from' },
    differs: { microsocks: { reply: 'socks5-only' } },
  },
  {
    name: 'the bound address of UDP ASSOCIATE',
    script: [...GREET, bytes('05 03 00 01 00000000 00 00'), boundReply5],
    outcome: { method: '05 00', reply: '05 00 00', bound: '127.0.0.1:other' },
    differs: { microsocks: { reply: 'udp-associate' } },
  },
]
