// Cases of SOCKS failures and replies: RFC 1928 sections 6 and 7, the reply codes of SOCKS4.
import { boundReply4, boundReply5, bytes, dialled, ending, fin, read, reply4, reply5, type Case, type Step } from '../script.ts'

const GREET: readonly Step[] = [bytes('05 01 00'), read('method', 2)]

/** Greets, asks, and waits for the reply and the end. */
const refused = (hex: string): readonly Step[] => [...GREET, bytes(hex), reply5, dialled, ending]
const refused4 = (hex: string): readonly Step[] => [bytes(hex), reply4, dialled, ending]
/** The same where the connection may stay. */
const replied = (hex: string): readonly Step[] => [...GREET, bytes(hex), reply5]

export const SOCKS_FAILURES: readonly Case[] = [
  { name: 'refused, by IPv4 address', script: refused('05 01 00 01 7f000001 $CLOSED'), outcome: {} },
  { name: 'refused, by IPv6 address', script: refused('05 01 00 04 00*15 01 $CLOSED'), outcome: {} },
  { name: 'refused, by IPv4 inside IPv6', script: refused('05 01 00 04 00*10 ffff 7f000001 $CLOSED'), outcome: {} },
  { name: 'refused, by name', script: refused('05 01 00 03 09 "localhost" $CLOSED'), outcome: {} },
  { name: 'refused, with first data behind the request', script: refused('05 01 00 01 7f000001 $CLOSED 61*4000'), outcome: {} },
  { name: 'refused, and the client asks again', script: [...replied('05 01 00 01 7f000001 $CLOSED'), bytes('05 01 00 01 7f000001 $PORT'), read('again', 1)], outcome: {} },
  { name: 'refused, SOCKS4', script: refused4('04 01 $CLOSED 7f000001 00'), outcome: {} },
  { name: 'refused, SOCKS4a', script: refused4('04 01 $CLOSED 00000001 00 "localhost" 00'), outcome: {} },
  { name: 'a name that does not exist', script: refused('05 01 00 03 0f "nothing.invalid" $PORT'), outcome: {} },
  { name: 'a name that does not exist, SOCKS4a', script: refused4('04 01 $PORT 00000001 00 "nothing.invalid" 00'), outcome: {} },
  { name: 'a name with a label of 64 bytes', script: refused('05 01 00 03 44 61*64 ".org" $PORT'), outcome: {} },
  { name: 'a name with a blank in it', script: refused('05 01 00 03 0a "local host" $PORT'), outcome: {} },
  { name: 'a name with bytes above 127', script: refused('05 01 00 03 05 "caf" c3a9 $PORT'), outcome: {} },
  { name: 'a multicast address', peers: ['microsocks'], script: refused('05 01 00 01 e0000001 $PORT'), outcome: {} },
  { name: 'the broadcast address', peers: ['microsocks'], script: refused('05 01 00 01 ffffffff $PORT'), outcome: {} },
  { name: 'a multicast address, SOCKS4', script: refused4('04 01 $PORT e0000001 00'), outcome: {} },
  { name: 'the address 0.0.0.0', script: replied('05 01 00 01 00000000 $PORT'), outcome: {} },
  { name: 'the address ::', script: replied('05 01 00 04 00*16 $PORT'), outcome: {} },
  { name: 'a denied address', peers: ['dante'], script: refused('05 01 00 01 7f000009 $PORT'), outcome: {} },
  { name: 'a denied address, SOCKS4', peers: ['dante'], script: refused4('04 01 $PORT 7f000009 00'), outcome: {} },
  { name: 'a denied address as a name', peers: ['dante'], script: refused('05 01 00 03 09 "127.0.0.9" $PORT'), outcome: {} },
  { name: 'a denied address inside IPv6', peers: ['dante'], script: refused('05 01 00 04 00*10 ffff 7f000009 $PORT'), outcome: {} },
  { name: 'BIND', script: replied('05 02 00 01 7f000001 $PORT'), outcome: {} },
  { name: 'BIND, SOCKS4', script: [bytes('04 02 $PORT 7f000001 00'), reply4], outcome: {} },
  { name: 'UDP ASSOCIATE from an address not said', script: replied('05 03 00 01 00000000 00 00'), outcome: {} },
  { name: 'UDP ASSOCIATE, and the control connection ends', script: [...replied('05 03 00 01 00000000 00 00'), fin, ending], outcome: {} },
  { name: 'command 4', script: refused('05 04 00 01 7f000001 $PORT'), outcome: {} },
  { name: 'command 0', script: refused('05 00 00 01 7f000001 $PORT'), outcome: {} },
  { name: 'command 3, SOCKS4', script: refused4('04 03 $PORT 7f000001 00'), outcome: {} },
  { name: 'address type 2', script: refused('05 01 00 02 7f000001 $PORT'), outcome: {} },
  { name: 'address type 0', script: refused('05 01 00 00 7f000001 $PORT'), outcome: {} },
  { name: 'port 0', script: refused('05 01 00 01 7f000001 00 00'), outcome: {} },
  { name: 'port 0, SOCKS4', script: refused4('04 01 00 00 7f000001 00'), outcome: {} },
  { name: 'the greeting is cut short', script: [bytes('05 02 00'), fin, ending], outcome: {} },
  { name: 'the request is cut short', script: [...GREET, bytes('05 01 00 01 7f00'), fin, ending, dialled], outcome: {} },
  { name: 'a SOCKS4 request without the end of its user id', script: [bytes('04 01 $PORT 7f000001 "ada"'), fin, ending, dialled], outcome: {} },
  { name: 'the client says nothing and ends', script: [fin, ending], outcome: {} },
  { name: 'the bound address, IPv4', script: [...GREET, bytes('05 01 00 01 7f000001 $PORT'), boundReply5], outcome: {} },
  { name: 'the bound address, IPv6', script: [...GREET, bytes('05 01 00 04 00*15 01 $PORT'), boundReply5], outcome: {} },
  { name: 'the bound address for a name', script: [...GREET, bytes('05 01 00 03 09 "127.0.0.1" $PORT'), boundReply5], outcome: {} },
  { name: 'the bound address, SOCKS4', script: [bytes('04 01 $PORT 7f000001 00'), boundReply4], outcome: {} },
  { name: 'the bound address of UDP ASSOCIATE', script: [...GREET, bytes('05 03 00 01 00000000 00 00'), boundReply5], outcome: {} },
]
