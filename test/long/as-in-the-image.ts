// The image's settings for memory, for a process that is started without it.
import { readFile } from 'node:fs/promises'
import { expect } from 'vitest'

/** What the image sets for the process: `env` before it, with the Dockerfile's own words. */
export async function asInTheImage(): Promise<string[]> {
  const dockerfile = await readFile(new URL('../../Dockerfile', import.meta.url), 'utf8')
  const words = [...dockerfile.matchAll(/^ENV (.*)$/gm)].flatMap(([, line = '']) => line.split(' '))
  const memory = words.filter((word) => /^(LD_PRELOAD|MALLOC_CONF|NODE_OPTIONS)=/.test(word))
  expect(memory).toHaveLength(3)
  return ['env', ...memory.map((word) => word.replace('/usr/lib/', ''))]
}
