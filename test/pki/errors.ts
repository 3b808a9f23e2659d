// Catches what a call throws and insists that it is the one error class.
import { GatewayError } from '../../src/errors.ts'

export async function errorOf(call: () => unknown): Promise<GatewayError> {
  try {
    await call()
  } catch (error) {
    if (error instanceof GatewayError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}
