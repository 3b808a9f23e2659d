// Whose words and addresses a console plants: asked of it by a replay, as a page would.
import { EventReader } from './console-events.ts'
import { ORDER } from './console.ts'

/** The client's address as the access network of a replay's first way read it. */
export async function plantedClientAddress(port: number): Promise<string | undefined> {
  using reader = await EventReader.open(port)
  const origin = `http://127.0.0.1:${port}`
  const asked = await fetch(`${origin}/api/replay`, {
    method: 'POST',
    headers: { origin, 'content-type': 'application/json' },
    body: JSON.stringify(ORDER),
  })
  if (asked.status !== 202) throw new Error(`the console answered ${asked.status}`)
  const { run } = await reader.event('run', ({ pane }) => pane === 'left')
  const cell = run.cells.find(
    ({ observer, information }) => observer === 'access-network' && information === 'client-address',
  )
  return cell?.evidence[0]?.excerpt
}
