// 1 GiB through every mode, down and up, byte-identical by hash; and a reader that takes 1 MB/s gets identical bytes
// while the gateway's memory stays bounded. Prints the speeds: they are this machine's, and no test of it.
import { createHash } from 'node:crypto'
import { open } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { curlWays, download, upload, type CurlWay } from '../support/curl-ways.ts'
import { bytesHash, startOrigin, type Origin } from '../support/origin.ts'
import { startProcessStack, type ProcessStack } from '../support/process-stack.ts'

const GIB = 1024 ** 3
const MIB = 1024 ** 2
const SLOW_BYTES = 8 * MIB
const NAMES = curlWays({ http: 0, https: 0, socks: 0, client: 0 }, '').map(({ name }) => name)

let stack: ProcessStack
let origin: Origin
let file: string
let fileHash: string
beforeAll(async () => {
  stack = await startProcessStack()
  origin = await startOrigin()
  file = stack.pki.file('gib')
  fileHash = await writePattern(file, GIB)
})
afterAll(async () => {
  await origin.close()
  await stack[Symbol.asyncDispose]()
})

/** Blocks that differ from each other, so that one in the wrong place changes the hash. */
async function writePattern(path: string, size: number): Promise<string> {
  await using handle = await open(path, 'w')
  const hash = createHash('sha256')
  const block = Buffer.alloc(MIB, 'the quick brown fox jumps over the lazy dog ')
  for (let written = 0; written < size; written += block.length) {
    block.writeBigUInt64LE(BigInt(written), 0)
    hash.update(block)
    await handle.write(block)
  }
  return hash.digest('hex')
}

const way = (name: string): CurlWay =>
  curlWays(stack.ports, stack.pki.file('ca.crt')).find((each) => each.name === name)!
const url = (target: string): string => `http://localhost:${origin.port}${target}`

describe('1 GiB', () => {
  const expected = bytesHash(GIB)

  it.each(NAMES)('%s', async (name) => {
    const { options } = way(name)
    const down = await download(options, url(`/bytes/${GIB}`))
    expect(down).toMatchObject({ bytes: GIB, hash: expected })
    const startedMs = performance.now()
    expect(await upload(options, url('/hash'), file)).toBe(`${fileHash} ${GIB}\n`)
    const upSeconds = (performance.now() - startedMs) / 1000
    const speed = (seconds: number): string => `${Math.round(GIB / MIB / seconds)} MiB/s`
    console.log(
      `${name}: down ${speed(down.seconds)}, up ${speed(upSeconds)}, gateway ${Math.round(await stack.gateway.peakMemoryMiB())} MiB at most`,
    )
  })
})

describe('a reader of 1 MB/s', () => {
  it('gets identical bytes in every mode at once, in bounded memory', async () => {
    const expected = bytesHash(SLOW_BYTES)
    const before = await stack.gateway.memoryMiB()
    const transfers = NAMES.map((name) => download(way(name).options, url(`/bytes/${SLOW_BYTES}`), 1_000_000))
    const results = await Promise.all(transfers)
    for (const [index, result] of results.entries()) {
      expect(result, NAMES[index]).toMatchObject({ bytes: SLOW_BYTES, hash: expected })
      expect(result.seconds, NAMES[index]).toBeGreaterThan(7)
    }
    const after = await stack.gateway.memoryMiB()
    console.log(`slow readers: gateway ${Math.round(before)} MiB before, ${Math.round(after)} MiB after`)
    expect(after - before).toBeLessThan(50)
    // What eleven GiB left behind among it: V8 collects when 64 MiB of read buffers are dead, not before.
    expect(await stack.gateway.peakMemoryMiB()).toBeLessThan(350)
  })
})
