// Names to addresses, with the operating system's resolver (hosts file, search order, all of it). Rule: a
// look-up ends by its deadline even if the resolver does not.
import { lookup } from 'node:dns/promises'
import { GatewayError, toGatewayError } from '../errors.ts'

/** Gives every address of a name, in the order to try them. Errors: `name-not-found`, `name-lookup-failed`. */
export type Resolve = (name: string, deadlineMs: number) => Promise<readonly string[]>

export const resolveBySystem: Resolve = async (name, deadlineMs) => {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new GatewayError('name-lookup-failed', { side: 'upstream' })), deadlineMs)
  })
  try {
    const answers = await Promise.race([lookup(name, { all: true, order: 'verbatim' }), late])
    return answers.map((answer) => answer.address)
  } catch (thrown) {
    throw toGatewayError(thrown, 'upstream', 'name-lookup-failed')
  } finally {
    clearTimeout(timer)
  }
}
