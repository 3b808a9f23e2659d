// docs/who-sees-what.md is the truth table, cell by cell with its reason: `vitest --update` writes it anew from the data.
import { describe, expect, it } from 'vitest'
import { truthTablePage } from '../../../src/lab/report/truth-table-page.ts'
import { TRUTH_TABLE } from '../../../src/lab/truth-table.ts'
import { INFORMATION, OBSERVERS } from '../../../src/policy/exposure.ts'

describe('docs/who-sees-what.md', () => {
  it('says what the truth table says', async () => {
    await expect(truthTablePage(TRUTH_TABLE)).toMatchFileSnapshot('../../../docs/who-sees-what.md')
  })

  it('has every cell of every row, with a reason', () => {
    const page = truthTablePage(TRUTH_TABLE)
    const cells = page.match(/^\| [a-z-]+ \| (?:clear|sealed|inferable|absent|not-measured) \| \S.* \|$/gm)
    expect(cells).toHaveLength(TRUTH_TABLE.length * OBSERVERS.length * INFORMATION.length)
  })

  it('changes with the table', () => {
    const [first, ...rest] = TRUTH_TABLE
    const reason = 'a reason of this test'
    const cells = {
      ...first!.cells,
      destination: { ...first!.cells.destination, content: { value: 'sealed', reason } as const },
    }
    expect(truthTablePage([{ ...first!, cells }, ...rest])).toContain(`| content | sealed | ${reason} |`)
  })
})
