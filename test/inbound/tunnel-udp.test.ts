// The client's end of an association that came through a tunnel, against a client's session in memory: when it begins, what
// ends it, and with which code.
import { describe, expect, it } from 'vitest'
import { GatewayError } from '../../src/errors.ts'
import { tunnelAssociation } from '../../src/inbound/tunnel-udp.ts'
import type { AssociationClient, AssociationRequest } from '../../src/protocol/association.ts'
import { Pair, type StreamEnd } from '../support/mux-pair.ts'

const PEER = { host: '192.0.2.53', port: 53 }

/** An association that was asked for, and everything that the pipeline hears of it. */
class Bench {
  readonly pair = new Pair({ autoAccept: false })
  readonly near: StreamEnd
  readonly request: AssociationRequest
  readonly heard: string[] = []

  constructor() {
    this.near = this.pair.open({ host: '0.0.0.0', port: 0 }, 'udp')
    this.pair.settle()
    const { stream } = this.pair.accepted[0]!
    this.request = tunnelAssociation(this.pair.gateway, stream, { kind: 'certificate', name: 'alice' })
  }

  async confirm(): Promise<AssociationClient> {
    const client = await this.request.confirm({
      message: ({ host, port }, payload) =>
        this.heard.push(`${Buffer.from(payload).toString()} to ${host}:${port}`),
      dropped: (reason) => this.heard.push(`dropped ${reason}`),
      closed: (outcome) => this.heard.push(`closed ${outcome}`),
    })
    this.pair.settle()
    return client
  }
}

describe('an association of a tunnel', () => {
  it('begins with OPENED, and what came before it is dropped', async () => {
    const bench = new Bench()
    bench.near.throw(PEER, 'early')
    bench.pair.settle()
    expect(bench.near.heard).toEqual([])
    const client = await bench.confirm()
    expect(bench.near.heard).toEqual(['opened 0.0.0.0:0'])
    bench.near.throw(PEER, 'question')
    client.send({ address: '192.0.2.53', port: 53 }, Buffer.from('answer'))
    bench.pair.settle()
    expect(bench.heard).toEqual(['question to 192.0.2.53:53'])
    expect(bench.near.datagrams).toEqual(['192.0.2.53:53 answer'])
    expect(bench.request).toMatchObject({ mode: 'tunnel', sentCredential: true })
  })

  it('ends in order with FIN, which is answered', async () => {
    const bench = new Bench()
    const client = await bench.confirm()
    bench.near.finish()
    bench.pair.settle()
    client.close(undefined)
    bench.pair.settle()
    expect([bench.heard, bench.near.heard]).toEqual([['closed ok'], ['opened 0.0.0.0:0', 'fin']])
    expect([bench.pair.client.streamCount, bench.pair.gateway.streamCount]).toEqual([0, 0])
  })

  it('ends with the code of a RESET, and with that of its session', async () => {
    for (const end of [
      (bench: Bench) => bench.near.stream.reset('idle-timeout'),
      (bench: Bench) => bench.pair.gateway.end('idle-timeout'),
    ]) {
      const bench = new Bench()
      await bench.confirm()
      end(bench)
      bench.pair.settle()
      expect(bench.heard).toEqual(['closed idle-timeout'])
      expect(bench.pair.gateway.streamCount).toBe(0)
    }
  })

  it('is ended from here with a RESET that says why, and hears nothing after', async () => {
    const bench = new Bench()
    const client = await bench.confirm()
    client.close(new GatewayError('quota-exceeded'))
    bench.near.throw(PEER, 'late')
    client.send({ address: '192.0.2.53', port: 53 }, Buffer.from('late'))
    bench.pair.settle()
    expect(bench.near.heard).toEqual(['opened 0.0.0.0:0', 'reset quota-exceeded'])
    expect([bench.heard, bench.near.datagrams]).toEqual([[], []])
  })

  it('is given up where its stream ends before it stands', () => {
    const bench = new Bench()
    expect(bench.request.signal.aborted).toBe(false)
    bench.near.stream.reset('stream-cancelled')
    bench.pair.settle()
    expect(bench.request.signal.aborted).toBe(true)
  })

  it('is refused with its code and its reference', () => {
    const bench = new Bench()
    bench.request.refuse(new GatewayError('too-many-associations'), 'ab12')
    bench.pair.settle()
    expect(bench.near.heard).toEqual(['refused too-many-associations ab12'])
  })

  it('drops what the client grants no credit for, and says so', async () => {
    const bench = new Bench()
    const client = await bench.confirm()
    bench.near.reading = false
    for (let sent = 0; sent < 3; sent += 1) {
      client.send({ address: '192.0.2.53', port: 53 }, Buffer.alloc(60_000))
      bench.pair.settle()
    }
    expect(bench.heard).toEqual(['dropped no-credit'])
    expect(bench.near.datagrams).toHaveLength(2)
  })
})
