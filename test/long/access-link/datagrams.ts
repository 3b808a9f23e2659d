// The client's datagrams, a process of its own in the client's namespace: `node datagrams.ts RESOLVER NAME PORT WORD WAY [USER
// PASSWORD]`, where WAY is `direct` or a SOCKS5 listener. Looks NAME up, has the echo at PORT of it send WORD back, and says what
// came.
import { makeCanaries } from '../../../src/lab/canary.ts'
import { datagramOf, encodeQuestion, openAssociation, openDirectWay } from '../../../src/lab/datagrams.ts'
import { dissectDns } from '../../../src/lab/dissect/dns.ts'
import { parseListenAddress } from '../../../src/config/address.ts'
import type { Endpoint } from '../../../src/lab/capture.ts'
import { CLIENT } from '../link-cuts/network.ts'

const QUESTION_ID = 0x77

const [resolver = '', name = '', port = '', word = '', way = '', proxyUser, proxyPassword] =
  process.argv.slice(2)

const endpointOf = (text: string): Endpoint => {
  const parsed = parseListenAddress(text)
  if (parsed === undefined) throw new Error(`${text} is no address and port`)
  return { address: parsed.host, port: parsed.port }
}
const user = { proxyUser: proxyUser ?? '', proxyPassword: proxyPassword ?? '' }
const datagrams =
  way === 'direct'
    ? await openDirectWay(CLIENT, () => {})
    : await openAssociation({
        proxy: endpointOf(way),
        from: way.startsWith('127.') ? '127.0.0.1' : CLIENT,
        credentials: proxyUser === undefined ? undefined : { ...makeCanaries('no other word'), ...user },
        wireTo: async (relay) => relay,
      })
const found = dissectDns(await datagrams.ask(endpointOf(resolver), encodeQuestion(name, QUESTION_ID)))
const echo = { address: found.records[0]?.data ?? '', port: Number(port) }
const answer = await datagrams.ask(echo, datagramOf(word))
datagrams.close()
process.stdout.write(`${answer.toString('latin1').split(' ')[0]}\n`)
