// The site and its name server, a process of its own in the gateway's namespace: `node far-end.ts SITE RESOLVER CERTIFICATE KEY
// WORD`. http and https answer each request with WORD, an echo each datagram with itself; every name has the site's address. Says
// its ports in one line.
import dgram from 'node:dgram'
import { readFileSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import { dissectDns } from '../../../src/lab/dissect/dns.ts'
import * as dns from '../../lab/dissect/dns-builder.ts'

const HEADER_BYTES = 12
const TYPE_A = 1
const RESPONSE = 0x8580

const [site = '', resolver = '', certificate = '', key = '', word = ''] = process.argv.slice(2)

const answer: http.RequestListener = (request, response) => {
  request.resume().on('end', () => {
    response.writeHead(200, { 'content-type': 'text/plain', connection: 'close' })
    response.end(`${word}\n`)
  })
}
const plain = http.createServer(answer)
const secure = https.createServer({ cert: readFileSync(certificate), key: readFileSync(key) }, answer)
const names = dgram.createSocket('udp4')
const echo = dgram.createSocket('udp4')

names.on('message', (query, from) => {
  const { id, questions } = dissectDns(query)
  const [question] = questions
  if (question === undefined) return
  const asked = Buffer.from(query.subarray(question.offset, question.end))
  const address = Buffer.from(site.split('.').map(Number))
  const answers = question.type === TYPE_A ? [dns.record(dns.pointer(HEADER_BYTES), TYPE_A, address)] : []
  names.send(dns.message({ id, flags: RESPONSE, questions: [asked], answers }), from.port, from.address)
})

await new Promise<void>((resolve) => plain.listen(0, site, resolve))
await new Promise<void>((resolve) => secure.listen(0, site, resolve))
echo.on('message', (bytes, from) => echo.send(bytes, from.port, from.address))
await new Promise<void>((resolve) => echo.bind(0, site, resolve))
await new Promise<void>((resolve) => names.bind(53, resolver, resolve))
const portOf = (server: http.Server): number => (server.address() as AddressInfo).port
process.stdout.write(`listening http ${portOf(plain)} https ${portOf(secure)} echo ${echo.address().port}\n`)
