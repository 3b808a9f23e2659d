// A machine that has only 127.0.0.1: the lab measures all the same, with ports in the place of addresses, finds the same
// matrix, and says what stands for what.
import { describe, expect, it } from 'vitest'
import { allOn, hasAddressesFor, partiesOf } from '../../src/lab/parties.ts'
import { ONLY_ADDRESS } from '../../src/lab/stand-ins.ts'
import { measure, valueOf } from './measure.ts'

describe('runLab where there is only 127.0.0.1', () => {
  it('agrees with the truth table in every scenario, and says what is a stand-in', async () => {
    const { result, recordings } = await measure({ seed: 'only', onlyLocalhost: true })
    const parties = partiesOf('only')
    expect(result.runs.flatMap(({ findings }) => findings)).toEqual([])
    expect(result.runs).toHaveLength(20)
    expect(result.agreesWithTruthTable).toBe(true)
    expect(result.standIns).toEqual([
      'this machine has only 127.0.0.1: ports tell the parties apart, and the addresses shown stand for them',
      `${parties.client} stands for the client`,
      `${parties.gateway} stands for the gateway`,
      `${parties.resolver} stands for the resolver`,
      `${parties.destination} stands for the destination`,
      'an address that a message holds is known by the port behind it; one that stands in a text cannot be told apart',
    ])
    // What is written down are the stand-ins; no socket was on any of them.
    const ends = recordings.flatMap(({ access, exit, resolver }) =>
      [...access, ...exit, ...resolver].flatMap(({ from, to }) => [from.address, to.address]),
    )
    expect([...new Set(ends)].toSorted()).toEqual(
      [...Object.values(parties as unknown as Record<string, string>)].toSorted(),
    )
    const bytes = recordings.flatMap(({ access }) => access.flatMap(({ frames }) => frames))
    const binary = Buffer.from(parties.destination.split('.').map(Number))
    expect(bytes.some((frame) => frame.bytes.includes(binary))).toBe(false)
  })

  it('goes red for a tunnel without TLS as it does elsewhere', async () => {
    const { result } = await measure({
      modes: ['tunnel'],
      schemes: ['http'],
      variants: [],
      onlyLocalhost: true,
      faults: { tunnelWithoutTls: true },
    })
    const [run] = result.runs
    expect(run && valueOf(run, 'access-network', 'content')).toBe('clear')
    expect(result.agreesWithTruthTable).toBe(false)
  })

  it('says nothing of stand-ins where each party has its address', async () => {
    const { result } = await measure({ modes: ['direct'], schemes: ['http'], variants: [] })
    expect(result.standIns).toEqual([])
  })
})

describe('hasAddressesFor', () => {
  it('is true of addresses that this machine has, and false where one is missing', async () => {
    expect(await hasAddressesFor(allOn(ONLY_ADDRESS))).toBe(true)
    // RFC 5737: no machine has it.
    expect(await hasAddressesFor({ ...allOn(ONLY_ADDRESS), resolver: '192.0.2.1' })).toBe(false)
  })
})
