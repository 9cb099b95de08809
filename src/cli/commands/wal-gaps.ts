/**
 * `backstay wal gaps`: which WAL is missing.
 */
import { formatLsn } from '../../postgres/lsn.ts'
import { listBackups } from '../../repository/catalogue.ts'
import { spellIsoTime } from '../../util/local-time.ts'
import { formatSize } from '../../util/size.ts'
import { describeContested, listContested } from '../../wal/contested.ts'
import { listGaps, type WalGap } from '../../wal/gaps.ts'
import { loadContinuity } from '../../wal/load-continuity.ts'
import { loadLosses } from '../../wal/losses.ts'
import { examineHeld, hasUnexamined } from '../../wal/unexamined.ts'
import type { WalRange } from '../../wal/wal-position.ts'
import type { CommandContext, CommandResult } from '../context.ts'
import { defineCommand } from '../define-command.ts'
import { type Column, renderTable } from '../output/table.ts'
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

interface Gap extends WalRange {
  readonly recordedAt: string | null
  readonly reason: string | null
}

const COLUMNS: readonly Column<Gap>[] = [
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
  if (await hasUnexamined(repository)) {
    await context.output.tasks.task('Examine WAL that an earlier version stored', async () =>
      examineHeld(repository, context.signal),
    )
  }
  const map = await loadContinuity(repository)
  const backups = (await listBackups(repository)).map(({ info }) => info)
  const losses = await loadLosses(repository, map, backups)
  const gaps = explain(losses, await listGaps(repository))
  const { damaged = [] } = map
  const contested = await listContested(repository)
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

/**
 * What is missing now, each with the record made of it when it was lost; a record whose range was
 * filled since is not shown.
 */
function explain(found: readonly WalRange[], recorded: readonly WalGap[]): Gap[] {
  return found.map((gap) => {
    const record = recorded.find(
      ({ timeline, startLsn, endLsn }) =>
        timeline === gap.timeline && startLsn < gap.endLsn && gap.startLsn < endLsn,
    )
    return { ...gap, recordedAt: record?.recordedAt ?? null, reason: record?.reason ?? null }
  })
}
