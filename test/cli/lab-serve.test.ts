// sightline lab serve: the console by itself, on loopback alone, until it is told to stop.
import { describe, expect, it } from 'vitest'
import { partiesOf } from '../../src/lab/parties.ts'
import { EventReader } from '../support/console-events.ts'
import { plantedClientAddress } from '../support/console-seed.ts'
import { startSightline } from '../support/gateway-process.ts'
import { type } from './terminal.ts'

describe('sightline lab serve', () => {
  it('--help says how', async () => {
    const { exit, out } = await type(['lab', 'serve', '--help'])
    expect(exit).toBe(0)
    await expect(`${out}\n`).toMatchFileSnapshot('transcripts/lab-serve-help.txt')
  })

  it('prints ready, serves the page without a gateway beside it, and ends with 0 on SIGTERM', async () => {
    await using served = await startSightline(['lab', 'serve', '--listen', '127.0.0.1:0', '--seed', 'maryam'])
    const port = served.port('console')
    await served.outLine(new RegExp(`^open http://127\\.0\\.0\\.1:${port}/; stop with control-c$`))
    const page = await fetch(`http://127.0.0.1:${port}/`)
    expect(await page.text()).toContain('<title>Sightline: who can read what</title>')
    using reader = await EventReader.open(port)
    expect((await reader.event('welcome')).welcome.gateway).toBe(false)
    expect(await plantedClientAddress(port)).toContain(partiesOf('maryam').client)
    served.kill('SIGTERM')
    expect(await served.exited).toBe(0)
    expect(served.err).toEqual([])
  })

  it.each(['0.0.0.0:9900', '[::]:9900', '10.0.0.1:9900', 'here'])('does not listen on %s', async (listen) => {
    const { exit, err } = await type(['lab', 'serve', '--listen', listen])
    expect([exit, err]).toEqual([
      2,
      `error: ${JSON.stringify(listen)} is no address of this machine alone; hint: sightline lab serve --help`,
    ])
  })
})
