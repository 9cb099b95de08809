/**
 * A minute of torture for one PostgreSQL; the suite has the oldest, the newest and one between, hours of it are run by hand
 * (docs/reliability.md). BACKSTAY_TORTURE_MINUTES and BACKSTAY_TORTURE_SEED ask for more, or for other steps.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { availableMajors } from '../harness/postgres.ts'
import type { PostgresMajor } from '../../src/postgres/version.ts'
import { tortureFor } from './torture-run.ts'

const MINUTES = Number(process.env['BACKSTAY_TORTURE_MINUTES'] ?? 1)
const SEED = Number(process.env['BACKSTAY_TORTURE_SEED'] ?? 1)

/** Defines the test; it is skipped where that version is not installed. */
export function tortureTest(major: PostgresMajor): void {
  const skip = !availableMajors().includes(major) && 'not installed'
  test(
    `PostgreSQL ${major}: under random work, faults and changes of roles every backup restores and no acknowledged row is lost`,
    { skip },
    async (t) => {
      const lines: string[] = []
      const say = (line: string): void => void lines.push(line)
      const { tally, wrong } = await tortureFor({ major, minutes: MINUTES, seed: SEED, say })
      t.diagnostic(JSON.stringify(tally))
      assert.equal(wrong, undefined, lines.join('\n'))
      assert.ok(tally.steps > 0 && tally.acknowledgedRows > 0)
    },
  )
}
