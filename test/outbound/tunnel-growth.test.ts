// `connections: auto`: what makes a client want another connection, and what lets one go.
import { describe, expect, it } from 'vitest'
import { Growth, type Load } from '../../src/outbound/tunnel-growth.ts'

const BUSY: Load = { streams: 4, movedBytes: 1_000_000, blocked: false }
const IDLE: Load = { streams: 0, movedBytes: 0, blocked: false }

function look(growth: Growth, loads: readonly Load[], times: number): string[] {
  return Array.from({ length: times }, () => growth.look(loads))
}

describe('another connection', () => {
  it.each<[string, Load, boolean]>([
    ['four streams that move bytes', BUSY, true],
    ['three of them', { ...BUSY, streams: 3 }, false],
    ['four that move nothing', { ...BUSY, movedBytes: 0 }, false],
    ['four that wait to be sent', { streams: 4, movedBytes: 0, blocked: true }, true],
    ['no room for many more streams', { streams: 75, movedBytes: 0, blocked: false }, true],
    ['room for a quarter more', { streams: 74, movedBytes: 0, blocked: false }, false],
  ])('%s', (_name, load, isWanted) => {
    expect(look(new Growth(4, 100), [load], 3)).toEqual(['enough', isWanted ? 'more' : 'enough', 'enough'])
  })

  it('is wanted only while every one is busy, for two looks in a row', () => {
    const growth = new Growth(4, 100)
    expect(look(growth, [BUSY, IDLE], 5)).not.toContain('more')
    expect([growth.look([BUSY, BUSY]), growth.look([BUSY, IDLE]), growth.look([BUSY, BUSY])]).toEqual([
      'enough',
      'enough',
      'enough',
    ])
    expect(growth.look([BUSY, BUSY])).toBe('more')
  })

  it('is not wanted past the most there may be', () => {
    expect(look(new Growth(2, 100), [BUSY, BUSY], 10)).not.toContain('more')
  })

  it('is not asked for again at once where it could not be had', () => {
    const growth = new Growth(4, 100)
    growth.hold()
    const looks = look(growth, [BUSY], 70)
    expect(looks.indexOf('more')).toBe(59)
  })
})

describe('one connection less', () => {
  it('is enough when the others could have carried it all for a minute', () => {
    expect(look(new Growth(4, 100), [{ ...BUSY, streams: 3 }, IDLE], 61).indexOf('fewer')).toBe(59)
  })

  it('is not, while there is more than that', () => {
    expect(look(new Growth(4, 100), [BUSY, IDLE], 200)).not.toContain('fewer')
  })

  it('counts its minute anew after a busy moment', () => {
    const growth = new Growth(4, 100)
    look(growth, [IDLE, IDLE], 59)
    growth.look([BUSY, BUSY])
    expect(look(growth, [IDLE, IDLE], 59)).not.toContain('fewer')
    expect(growth.look([IDLE, IDLE])).toBe('fewer')
  })

  it('never goes below one', () => {
    expect(look(new Growth(4, 100), [IDLE], 200)).not.toContain('fewer')
  })
})
