// The datagrams of an audit: one that asks the probe's echo, through the SOCKS5 association of a proxy that takes one, and
// what passed on the link meanwhile. Rule: a datagram can be lost: it is sent again before the answer is no.
import dgram from 'node:dgram'
import type net from 'node:net'
import { decodeUdpMessage, encodeUdpHeader } from '../../protocol/socks/udp.ts'
import type { Endpoint } from '../capture.ts'
import type { UdpTap } from '../udp-tap.ts'
import type { Link, Passage } from './passage.ts'

export interface Datagrams {
  /** One came back as it was sent. */
  readonly carried: boolean
  readonly problem: string | undefined
  readonly link: Link
  /** What it was sent to. */
  readonly to: Endpoint
  readonly question: Buffer
}

const TRIES = 3
const WAIT_MS = 700
const NO_LINK: Link = { connections: [], keylog: '' }

export async function sendDatagrams(passage: Passage, to: Endpoint, question: Buffer): Promise<Datagrams> {
  const { scheme } = passage.proxy
  const sent = { to, question }
  if (!scheme.startsWith('socks5')) {
    const problem = scheme === 'socks4a' ? 'SOCKS4 has no way for it' : 'HTTP CONNECT carries TCP alone'
    return { ...sent, carried: false, problem, link: NO_LINK }
  }
  let association: { readonly control: net.Socket; readonly relay: UdpTap } | undefined
  passage.takeLink()
  try {
    association = await passage.associate()
    association.control.on('error', () => {})
    const carried = await echo(association.relay.address, sent)
    const problem = carried ? undefined : 'it took the association, and no datagram came back'
    return { ...sent, carried, problem, link: passage.takeLink() }
  } catch (thrown) {
    const problem = thrown instanceof Error ? thrown.message : 'no reason given'
    return { ...sent, carried: false, problem, link: passage.takeLink() }
  } finally {
    association?.control.destroy()
    association?.relay.close()
  }
}

async function echo(relay: Endpoint, { to, question }: Pick<Datagrams, 'to' | 'question'>): Promise<boolean> {
  const header = encodeUdpHeader(to)
  const socket = dgram.createSocket('udp4')
  const came = Promise.withResolvers<boolean>()
  socket.on('error', () => came.resolve(false))
  socket.on('message', (bytes) => {
    try {
      if (Buffer.from(decodeUdpMessage(bytes).payload).equals(question)) came.resolve(true)
    } catch {
      // What is no datagram of SOCKS is none of the probe's.
    }
  })
  const send = (): void => socket.send(Buffer.concat([header, question]), relay.port, relay.address, () => {})
  let tries = 1
  const timer = setInterval(() => {
    if (tries === TRIES) return came.resolve(false)
    tries += 1
    send()
  }, WAIT_MS)
  send()
  try {
    return await came.promise
  } finally {
    clearInterval(timer)
    socket.close()
  }
}
