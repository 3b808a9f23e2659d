// What is said of two runs side by side, and of observers who put theirs together: from the cells alone.
import { describe, expect, it } from 'vitest'
import {
  changesOf,
  differs,
  observersOf,
  together,
  whoDidWhat,
} from '../../../../src/lab/console/page/compare.ts'
import { runOf } from '../../matrix/results.ts'

const PLAIN = runOf('http-proxy', null, 'http', {
  access: 'CCCICCC-',
  gateway: 'CCCCCCC-',
  destination: '--CCCCC-',
})
const TUNNEL = runOf('tunnel', null, 'http', {
  access: 'CSS-SSC-',
  gateway: 'CCCCCCC-',
  destination: '--CCCCC-',
})

describe('two runs side by side', () => {
  it('change the access network and not the operator', () => {
    expect(changesOf('access-network', PLAIN, TUNNEL)).toEqual([
      'client-identity',
      'destination-name',
      'destination-address',
      'url-and-headers',
      'content',
    ])
    expect(changesOf('gateway-operator', PLAIN, TUNNEL)).toEqual([])
  })

  it('say nothing of an observer that was not measured in both', () => {
    expect(observersOf(PLAIN, TUNNEL)).toEqual(['access-network', 'gateway-operator', 'destination'])
    expect(changesOf('exit-network', PLAIN, TUNNEL)).toBeUndefined()
    const [clear] = PLAIN.cells
    const unmeasured = clear && { ...clear, value: 'not-measured' as const }
    expect(differs(clear, unmeasured)).toBe(false)
    expect(differs(clear, clear && { ...clear, value: 'sealed' })).toBe(true)
  })
})

describe('observers together', () => {
  it('have of each information what tells most', () => {
    const members = ['access-network', 'destination'] as const
    expect(together(TUNNEL, members, 'client-address')?.value).toBe('clear')
    expect(together(TUNNEL, members, 'client-identity')?.value).toBe('sealed')
    expect(together(TUNNEL, members, 'content')?.value).toBe('clear')
    expect(together(TUNNEL, [], 'content')).toBeUndefined()
  })

  it('know who did what only where neither of them knew it alone', () => {
    const members = ['access-network', 'destination'] as const
    expect(whoDidWhat(PLAIN, members)).toEqual({ alone: ['access-network'], together: true })
    expect(whoDidWhat(TUNNEL, members)).toEqual({ alone: [], together: true })
    expect(whoDidWhat(TUNNEL, ['destination'])).toEqual({ alone: [], together: false })
  })
})
