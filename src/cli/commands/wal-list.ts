/**
 * `backstay wal list`: which WAL is held.
 */
import { formatLsn } from '../../postgres/lsn.ts'
import { formatSize } from '../../util/size.ts'
import { loadContinuity } from '../../wal/load-continuity.ts'
import type { WalRange } from '../../wal/wal-position.ts'
import type { CommandContext, CommandResult } from '../context.ts'
import { defineCommand } from '../define-command.ts'
import { type Column, renderTable } from '../output/table.ts'
import { openWalPlace } from '../session/wal-place.ts'
import type { WalPlaceOptions } from './wal-options.ts'
import { WAL_PLACE_OPTIONS } from './wal-options.ts'

export default defineCommand({
  options: WAL_PLACE_OPTIONS,
  exits: ['REPOSITORY_MISSING'],
  runsOn: 'backup server',
  run,
})

const COLUMNS: readonly Column<WalRange>[] = [
  { title: 'timeline', value: ({ timeline }) => String(timeline), align: 'right' },
  { title: 'from', value: ({ startLsn }) => formatLsn(startLsn) },
  { title: 'to', value: ({ endLsn }) => formatLsn(endLsn) },
  { title: 'size', value: (range) => formatSize(sizeOf(range)), align: 'right' },
]

/** @throws {BackstayError} REPOSITORY_MISSING, USAGE, CONFIG_MISSING */
async function run(context: CommandContext<WalPlaceOptions>): Promise<CommandResult> {
  const repository = await openWalPlace(context)
  const map = await loadContinuity(repository)
  const ranges = [...map.ranges.values()].flat()
  return {
    data: {
      cluster: repository.identity.cluster,
      ranges: ranges.map((range) => ({
        timeline: range.timeline,
        startLsn: formatLsn(range.startLsn),
        endLsn: formatLsn(range.endLsn),
        sizeBytes: sizeOf(range),
      })),
    },
    text: () =>
      ranges.length === 0
        ? 'No WAL is held.'
        : renderTable(COLUMNS, ranges, context.output.columns),
  }
}

function sizeOf({ startLsn, endLsn }: WalRange): number {
  return Number(endLsn - startLsn)
}
