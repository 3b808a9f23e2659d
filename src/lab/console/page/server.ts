// The page's side of the wire: events from the server, and what it can be asked to do.
import { useEffect, useReducer } from 'preact/hooks'
import type { ConsoleEvent, Cost, Order, OrderProblem } from '../wire.ts'
import { START, tell, type State } from './state.ts'

/** Everything the server tells, folded into one state; the browser connects anew by itself. */
export function useServer(): State {
  const [state, dispatch] = useReducer(tell, START)
  useEffect(() => {
    const source = new EventSource('/api/events')
    source.addEventListener('message', ({ data }: MessageEvent<string>) =>
      dispatch(JSON.parse(data) as ConsoleEvent),
    )
    source.addEventListener('error', () => dispatch({ type: 'lost' }))
    return () => source.close()
  }, [])
  return state
}

export type Asked = OrderProblem | { readonly problem: 'busy' | 'failed' } | undefined

/** Asks for a replay; what was wrong with the order, or undefined where it began. */
export async function askReplay(order: Order): Promise<Asked> {
  const response = await post('/api/replay', order)
  if (response === undefined) return { problem: 'failed' }
  if (response.ok) return undefined
  if (response.status !== 409 && response.status !== 422) return { problem: 'failed' }
  return (await response.json()) as Asked
}

/** Measures what each mode costs; undefined where that failed. */
export async function askCost(): Promise<readonly Cost[] | undefined> {
  const response = await post('/api/cost', {})
  return response?.ok === true ? ((await response.json()) as readonly Cost[]) : undefined
}

async function post(address: string, body: unknown): Promise<Response | undefined> {
  try {
    return await fetch(address, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
  } catch {
    return undefined
  }
}
