// curl through every mode: nothing, one byte, 1 MiB and a few MiB arrive as they were sent, down and up, from IPv4 and,
// where the protocol can name it, from IPv6. (test/long has 1 GiB and the slow reader.)
import { createHash } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { curlWays, download, upload, type CurlWay } from '../support/curl-ways.ts'
import { bytesHash, startOrigin, type Origin } from '../support/origin.ts'
import { isMissing } from '../support/programs.ts'
import { startStack, type Stack } from '../support/stacks.ts'

const SIZES = [0, 1, 1024 * 1024]
const NAMES = curlWays({ http: 0, https: 0, socks: 0, client: 0 }, '').map(({ name, ipv6 }) => ({
  name,
  ipv6,
}))

let stack: Stack
let origin: Origin
let origin6: Origin
beforeAll(async () => {
  stack = await startStack()
  origin = await startOrigin()
  origin6 = await startOrigin({ host: '::1' })
  for (const size of [...SIZES, 5_000_000]) await writeFile(stack.pki.file(`${size}`), pattern(size))
})
afterAll(async () => {
  await origin.close()
  await origin6.close()
  await stack[Symbol.asyncDispose]()
})

const pattern = (size: number): Buffer =>
  Buffer.from(Array.from({ length: size }, (_, index) => (index * 7 + (index >> 8)) & 0xff))
const way = (name: string): CurlWay =>
  curlWays(stack.ports, stack.pki.file('ca.crt')).find((each) => each.name === name)!

/** Gets and puts each size; gives what did not arrive as it was sent. */
async function damaged(name: string, base: string, sizes: readonly number[]): Promise<string[]> {
  const { options } = way(name)
  const wrong: string[] = []
  for (const size of sizes) {
    const down = await download(options, `${base}/bytes/${size}`)
    if (down.bytes !== size || down.hash !== bytesHash(size)) wrong.push(`${size} bytes down`)
    const file = stack.pki.file(`${size}`)
    const hash = createHash('sha256')
      .update(await readFile(file))
      .digest('hex')
    if ((await upload(options, `${base}/hash`, file)) !== `${hash} ${size}\n`) wrong.push(`${size} bytes up`)
  }
  return wrong
}

describe.skipIf(isMissing('curl'))('curl gets and puts whole files (needs curl)', () => {
  it.each(NAMES)('$name', async ({ name }) => {
    expect(await damaged(name, `http://localhost:${origin.port}`, SIZES)).toEqual([])
  })

  it.each(NAMES.filter(({ ipv6 }) => ipv6))('$name, IPv6', async ({ name }) => {
    expect(await damaged(name, `http://[::1]:${origin6.port}`, [1, 1024 * 1024])).toEqual([])
  })

  it('tunnel client, --socks5-hostname, 5 MB', async () => {
    const base = `http://127.0.0.1:${origin.port}`
    expect(await damaged('tunnel client, --socks5-hostname', base, [5_000_000])).toEqual([])
  })
})
