// The clicks of the lessons, one lesson after the other on one page, as a class does them.
import { expect, it } from 'vitest'
import { startSightline } from '../support/gateway-process.ts'
import {
  clickLessonFour,
  clickLessonOne,
  clickLessonThree,
  clickLessonTwo,
} from '../support/lesson-clicks.ts'
import { openPage } from '../support/page.ts'
import { isMissing } from '../support/programs.ts'

it.skipIf(isMissing('chromium'))(
  'lessons 1 to 4: each label stands on the page, and what should be seen is seen (needs chromium)',
  async () => {
    await using served = await startSightline(['lab', 'serve', '--listen', '127.0.0.1:0'])
    const url = `http://127.0.0.1:${served.port('console')}/`
    await using open = await openPage({ url, width: 1440, withPolicy: true })
    await clickLessonOne(open.page)
    await clickLessonTwo(open.page)
    await clickLessonThree(open.page)
    await clickLessonFour(open.page)
    expect(open.complaints).toEqual([])
  },
  180_000,
)
