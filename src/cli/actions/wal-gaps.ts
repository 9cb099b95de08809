/**
 * Shows which WAL is missing between what is held.
 */
import { formatLsn } from '../../postgres/lsn.ts'
import { formatSize } from '../../util/size.ts'
import { findGaps } from '../../wal/continuity.ts'
import { listGaps, type WalGap } from '../../wal/gaps.ts'
import { loadContinuity } from '../../wal/load-continuity.ts'
import type { WalRange } from '../../wal/wal-position.ts'
import type { WalPlaceOptions } from '../commands/wal-options.ts'
import type { CommandContext, CommandResult } from '../context.ts'
import { type Column, renderTable } from '../output/table.ts'
import { openWalPlace } from './wal-place.ts'

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
  { title: 'recorded', value: ({ recordedAt }) => recordedAt ?? '-' },
  { title: 'why', value: ({ reason }) => reason ?? 'not there', shrinks: true },
]

/** Ends with 3 when there are gaps. @throws {BackstayError} REPOSITORY_MISSING, USAGE, CONFIG_MISSING */
export async function run(context: CommandContext<WalPlaceOptions>): Promise<CommandResult> {
  const repository = await openWalPlace(context)
  const gaps = explain(findGaps(await loadContinuity(repository)), await listGaps(repository))
  return {
    data: {
      cluster: repository.identity.cluster,
      gaps: gaps.map((gap) => ({
        ...gap,
        startLsn: formatLsn(gap.startLsn),
        endLsn: formatLsn(gap.endLsn),
      })),
    },
    text: () =>
      gaps.length === 0 ? 'No gaps.' : renderTable(COLUMNS, gaps, context.output.columns),
    exitCode: gaps.length === 0 ? 0 : 3,
  }
}

/** What is missing now, each with the record made of it when it was lost; a record whose range was filled since is not shown. */
function explain(found: readonly WalRange[], recorded: readonly WalGap[]): Gap[] {
  return found.map((gap) => {
    const record = recorded.find(
      ({ timeline, startLsn, endLsn }) =>
        timeline === gap.timeline && startLsn < gap.endLsn && gap.startLsn < endLsn,
    )
    return { ...gap, recordedAt: record?.recordedAt ?? null, reason: record?.reason ?? null }
  })
}
