// What the lessons ask: every question has an answer that a measurement really gives, and a wrong one is never right.
import { describe, expect, it } from 'vitest'
import { makeCanaries } from '../../src/lab/canary.ts'
import { grade, LESSONS, questionsOf, rightCell } from '../../src/lab/lessons.ts'
import { partiesOf } from '../../src/lab/parties.ts'
import { valueOf, measure } from './measure.ts'
import type { Information, Observer } from '../../src/policy/exposure.ts'

const CELLS = [...new Set(Object.values(LESSONS).flat())].filter((question) => question.includes(' '))

describe('the lessons', () => {
  it('ask of cells what a measurement of the same seed shows', async () => {
    const { result } = await measure({
      seed: 'maryam',
      modes: ['direct', 'http-proxy', 'https-proxy', 'socks-proxy', 'tunnel'],
    })
    const measured = CELLS.map((question) => {
      const [way = '', scheme, observer, information] = question.split(' ')
      const [mode, variant = null] = way.split('/')
      const run = result.runs.find(
        (one) => one.mode === mode && one.variant === variant && one.scheme === scheme,
      )
      return [question, run && valueOf(run, observer as Observer, information as Information)]
    })
    expect(measured).toEqual(CELLS.map((question) => [question, rightCell(question)]))
    expect(measured.length).toBeGreaterThan(25)
  })

  it('find every right answer right, in any case and in the words of the console', () => {
    const seed = 'maryam'
    const canaries = makeCanaries(seed, 'http-proxy, http')
    const parties = partiesOf(seed)
    const answers = {
      'client-address': parties.client,
      'gateway-address': parties.gateway,
      'destination-address': ` ${parties.destination} `,
      page: canaries.path,
      query: canaries.query.toUpperCase(),
      cookie: canaries.cookie,
      message: canaries.requestBody,
      'site-user': canaries.siteUser,
      'site-password': canaries.sitePassword,
      'proxy-user': canaries.proxyUser,
      'proxy-password': canaries.proxyPassword,
    }
    expect(grade({ lesson: 5, seed, answers })).toMatchObject({ right: 11 })
    const words = { clear: 'Readable', sealed: 'encrypted', inferable: 'worked out', absent: 'not there' }
    for (const lesson of [1, 2, 3, 6]) {
      const cells = Object.fromEntries(
        questionsOf(lesson).map((question) => [question, words[rightCell(question) as keyof typeof words]]),
      )
      expect(grade({ lesson, seed, answers: cells }).right).toBe(questionsOf(lesson).length)
    }
  })

  it("find another student's words wrong, and say where to look", () => {
    const { right, answers } = grade({
      lesson: 5,
      seed: 'maryam',
      answers: {
        cookie: makeCanaries('ali', 'http-proxy, http').cookie,
        page: makeCanaries('maryam', 'http-proxy, http').cookie,
      },
    })
    expect(right).toBe(0)
    expect(answers.find(({ question }) => question === 'cookie')).toEqual({
      question: 'cookie',
      verdict: 'wrong',
      hint: 'look at the head of the HTTP request',
    })
    expect(answers.filter(({ verdict }) => verdict === 'missing')).toHaveLength(9)
  })

  it.each(['sealed', 'yes', 'none', 'absent', 'constructor'])(
    '%j is no answer to what is readable',
    (given) => {
      const question = 'http-proxy http access-network content'
      const graded = grade({ lesson: 1, seed: 'x', answers: { [question]: given } })
      expect(graded.answers[0]).toMatchObject({ question, verdict: 'wrong' })
    },
  )

  it('are six; another one, or another question, is an error that names those there are', () => {
    expect(Object.keys(LESSONS)).toEqual(['1', '2', '3', '4', '5', '6'])
    expect(() => questionsOf(7)).toThrow(
      expect.objectContaining({ code: 'bad-request', hint: 'there are 1, 2, 3, 4, 5, 6' }),
    )
    expect(() => grade({ lesson: 4, seed: 'x', answers: { cookie: 'x' } })).toThrow(
      expect.objectContaining({ code: 'bad-request', message: 'lesson 4 does not ask for "cookie"' }),
    )
  })
})
