/**
 * `backstay wal gaps`: which WAL is missing.
 */
import { formatLsn } from '../../postgres/lsn.ts'
import { spellIsoTime } from '../../util/local-time.ts'
import { formatSize } from '../../util/size.ts'
import { describeContested } from '../../wal/contested.ts'
import { findGaps, type FoundGap } from '../../work/find-gaps.ts'
import type { CommandContext, CommandResult } from '../context.ts'
import { defineCommand } from '../define-command.ts'
import { type Column, renderTable } from '../output/table.ts'
import { inSequence } from '../session/task-sequence.ts'
import { openWalPlace } from '../session/wal-place.ts'
import type { WalPlaceOptions } from './wal-options.ts'
import { WAL_PLACE_OPTIONS } from './wal-options.ts'

export default defineCommand({
  description:
    'Ends with 3 when there is a gap: no backup before it can be rolled forward across it. A repository of an earlier version is read whole once, to find WAL that was written under wal_level = minimal.',
  options: WAL_PLACE_OPTIONS,
  exits: ['REPOSITORY_MISSING', 'CHECK_FAILED'],
  runsOn: 'backup server',
  run,
})

const COLUMNS: readonly Column<FoundGap>[] = [
  { title: 'timeline', value: ({ timeline }) => String(timeline), align: 'right' },
  { title: 'from', value: ({ startLsn }) => formatLsn(startLsn) },
  { title: 'to', value: ({ endLsn }) => formatLsn(endLsn) },
  {
    title: 'size',
    value: ({ startLsn, endLsn }) => formatSize(Number(endLsn - startLsn)),
    align: 'right',
  },
  {
    title: 'recorded',
    value: ({ recordedAt }) => (recordedAt === null ? '-' : spellIsoTime(recordedAt)),
  },
  { title: 'why', value: ({ reason }) => reason ?? 'not there', shrinks: true },
]

/**
 * Ends with 3 when there are gaps, or anything else that somebody has to look at.
 * @throws {BackstayError} REPOSITORY_MISSING, USAGE, CONFIG_MISSING
 */
async function run(context: CommandContext<WalPlaceOptions>): Promise<CommandResult> {
  const repository = await openWalPlace(context)
  const { gaps, damaged, contested } = await inSequence(context.output.tasks, async (line) =>
    findGaps(repository, {
      signal: context.signal,
      on: () => line.begin('Examine WAL that an earlier version stored'),
    }),
  )
  return {
    data: {
      cluster: repository.identity.cluster,
      gaps: gaps.map((gap) => ({
        ...gap,
        startLsn: formatLsn(gap.startLsn),
        endLsn: formatLsn(gap.endLsn),
      })),
      damaged,
      contested,
    },
    text: () =>
      [
        gaps.length === 0 ? 'No gaps.' : renderTable(COLUMNS, gaps, context.output.columns),
        ...damaged.map((object) => `Damaged, and counted as not held: ${object}`),
        ...contested.map((one) => `Contested: ${describeContested(one)}.`),
      ].join('\n'),
    exitCode: gaps.length + damaged.length + contested.length === 0 ? 0 : 3,
  }
}
