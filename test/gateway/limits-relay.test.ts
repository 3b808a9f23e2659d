// How the relay keeps to a rate and to an end that comes from outside, with streams whose every step the test takes.
import { Duplex } from 'node:stream'
import { describe, expect, it, vi } from 'vitest'
import { GatewayError } from '../../src/errors.ts'
import { relay } from '../../src/gateway/relay.ts'
import { IdleSweep } from '../../src/transport/deadline.ts'

/** Gives what it is given with `push`; keeps what is written, and is full until `drained` is called. */
class End extends Duplex {
  written: string[] = []
  drained: (() => void) | undefined
  constructor(fullAt: number) {
    super({ writableHighWaterMark: fullAt, allowHalfOpen: true })
    this.on('error', () => {})
  }
  override _read(): void {}
  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.written.push(chunk.toString())
    this.drained = done
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('a direction that rests', () => {
  it('is not read before it has rested and its reader has drained, whichever comes first', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    try {
      for (const first of ['drained', 'rested']) {
        const [client, upstream] = [new End(1), new End(100)]
        void relay(client, upstream, { sweep: new IdleSweep(), idleMs: 1_000, moved: () => 500 })
        upstream.push('one')
        await turn()
        upstream.push('two')
        await turn()
        expect(client.written).toEqual(['one'])
        const steps = [() => client.drained?.(), () => vi.advanceTimersByTime(500)]
        for (const step of first === 'drained' ? steps : steps.toReversed()) {
          expect(client.written).toEqual(['one'])
          step()
          await turn()
        }
        expect(client.written).toEqual(['one', 'two'])
        client.destroy()
        await turn()
        expect(vi.getTimerCount()).toBe(0)
      }
    } finally {
      vi.useRealTimers()
    }
  })

  it('leaves the other direction alone', async () => {
    const [client, upstream] = [new End(100), new End(100)]
    const moved = (direction: string): number => (direction === 'down' ? 1e6 : 0)
    void relay(client, upstream, { sweep: new IdleSweep(), idleMs: 1_000, moved })
    upstream.push('one')
    for (const text of ['a', 'b', 'c']) {
      client.push(text)
      await turn()
      upstream.drained?.()
    }
    expect(upstream.written).toEqual(['a', 'b', 'c'])
    client.destroy()
  })
})

describe('an end from outside', () => {
  it.each(['before', 'while it runs'])('breaks both sides off with its code: %s', async (when) => {
    const [client, upstream] = [new End(100), new End(100)]
    const over = new AbortController()
    const end = (): void => over.abort(new GatewayError('lifetime-exceeded'))
    if (when === 'before') end()
    const outcome = relay(client, upstream, {
      sweep: new IdleSweep(),
      idleMs: 1_000,
      moved: () => 0,
      over: over.signal,
    })
    end()
    expect((await outcome)?.code).toBe('lifetime-exceeded')
    expect([client.destroyed, upstream.destroyed]).toEqual([true, true])
  })

  it('writes nothing on any more, not even the chunk that was too much', async () => {
    const [client, upstream] = [new End(100), new End(100)]
    const over = new AbortController()
    const moved = (): number => {
      over.abort(new GatewayError('quota-exceeded'))
      return 0
    }
    const outcome = relay(client, upstream, {
      sweep: new IdleSweep(),
      idleMs: 1_000,
      moved,
      over: over.signal,
    })
    upstream.push('one')
    expect((await outcome)?.code).toBe('quota-exceeded')
    expect(client.written).toEqual([])
  })
})
