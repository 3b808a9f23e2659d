// Asks a person for a password. Rules: nothing of it is shown, the terminal is left as it was found whatever happens,
// and what was typed past the end of the line is kept for the next question.
import { GatewayError } from '../errors.ts'

/** What it needs of a terminal; process.stdin is one. */
export interface SecretInput {
  on(event: 'data', listener: (chunk: Buffer) => void): unknown
  off(event: 'data', listener: (chunk: Buffer) => void): unknown
  pause(): unknown
  resume(): unknown
  unshift(chunk: Buffer): unknown
  setRawMode(raw: boolean): unknown
}

const ENTER = /[\r\n]/
const INTERRUPT = '\u0003'
const END = '\u0004'
const BACKSPACE = /[\u007f\b]/

/** Undefined where the person gave up (control-c, or control-d on an empty line). */
export function askSecret(
  input: SecretInput,
  output: { write(text: string): unknown },
  prompt: string,
): Promise<string | undefined> {
  return new Promise((resolve) => {
    let typed: string[] = []
    const finish = (answer: string | undefined, rest: readonly string[]): void => {
      input.off('data', onData)
      input.setRawMode(false)
      input.pause()
      if (rest.length > 0) input.unshift(Buffer.from(rest.join('')))
      output.write('\n')
      resolve(answer)
    }
    const onData = (chunk: Buffer): void => {
      const keys = Array.from(chunk.toString())
      for (const [index, key] of keys.entries()) {
        const rest = keys.slice(index + 1)
        if (key === INTERRUPT || (key === END && typed.length === 0)) return finish(undefined, rest)
        if (ENTER.test(key) || key === END) return finish(typed.join(''), rest)
        if (BACKSPACE.test(key)) typed = typed.slice(0, -1)
        else typed.push(key)
      }
    }
    // First, so that what is typed on seeing the prompt is never shown.
    input.setRawMode(true)
    output.write(prompt)
    input.on('data', onData)
    input.resume()
  })
}

/** A person gave up when asked: nothing was changed, and nothing has to be said. */
export class GivenUp extends Error {}

export const EXIT_GIVEN_UP = 130

/** Asks twice for a secret that is new. Throws GivenUp, and `config-invalid` where the two differ. */
export async function askNewSecret(
  ask: (prompt: string) => Promise<string | undefined>,
  prompt: string,
  plural: 'passwords' | 'passphrases' = 'passwords',
): Promise<string> {
  const secret = await ask(prompt)
  if (secret === undefined) throw new GivenUp()
  if (secret === '') return secret
  const again = await ask('once more: ')
  if (again === undefined) throw new GivenUp()
  if (again === secret) return secret
  throw new GatewayError('config-invalid', {
    detail: `the two ${plural} differ`,
    hint: 'nothing was changed; try again',
  })
}
