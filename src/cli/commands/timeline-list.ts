/**
 * `backstay timeline list`: the tree of timelines, and where production is in it.
 */
import { formatLsn, type Lsn } from '../../postgres/lsn.ts'
import { isAncestor } from '../../postgres/timeline.ts'
import { loadSources } from '../../restore/load-sources.ts'
import type { RestoreSources } from '../../restore/restore-sources.ts'
import { birthOf } from '../../restore/rival-lines.ts'
import { isoTimeUs } from '../../restore/target-time.ts'
import { historyOrOwn } from '../../restore/timeline-path.ts'
import { spellIsoTime } from '../../util/local-time.ts'
import { timelinesOf } from '../../wal/production-line.ts'
import type { CommandContext, CommandResult } from '../context.ts'
import { defineCommand } from '../define-command.ts'
import { type Column, renderTable } from '../output/table.ts'
import { openWalPlace } from '../session/wal-place.ts'
import type { WalPlaceOptions } from './wal-options.ts'
import { WAL_PLACE_OPTIONS } from './wal-options.ts'

export default defineCommand({
  description:
    'Ends with 3 when it cannot be told which timeline production is on: `restore latest` asks then as well.',
  options: WAL_PLACE_OPTIONS,
  exits: ['REPOSITORY_MISSING', 'CHECK_FAILED'],
  runsOn: 'backup server',
  run,
})

/**
 * `possible`: it cannot be told whether production is on it; `past`: production came through it.
 */
type LineState = 'production' | 'possible' | 'past' | 'branch' | 'abandoned'

interface TimelineRow {
  readonly timeline: number
  readonly parent: number | null
  readonly leftAt: Lsn | null
  readonly bornAt: string | null
  readonly heldTo: Lsn | null
  readonly backups: number
  readonly state: LineState
}

const COLUMNS: readonly Column<TimelineRow>[] = [
  { title: 'timeline', value: ({ timeline }) => String(timeline), align: 'right' },
  {
    title: 'from',
    value: ({ parent, leftAt }) => (leftAt === null ? '-' : `${parent} at ${formatLsn(leftAt)}`),
  },
  { title: 'born', value: ({ bornAt }) => (bornAt === null ? '-' : spellIsoTime(bornAt)) },
  { title: 'held to', value: ({ heldTo }) => (heldTo === null ? '-' : formatLsn(heldTo)) },
  { title: 'backups', value: ({ backups }) => String(backups), align: 'right' },
  { title: 'state', value: ({ state }) => state, shrinks: true },
]

/**
 * Ends with 3 when production may be on several.
 * @throws {BackstayError} REPOSITORY_MISSING, USAGE, CONFIG_MISSING
 */
async function run(context: CommandContext<WalPlaceOptions>): Promise<CommandResult> {
  const repository = await openWalPlace(context)
  const sources = await loadSources(repository, context.signal)
  const known = timelinesOf(sources.map, sources.backups)
  const rows: TimelineRow[] = []
  for (const timeline of known) rows.push(await rowOf(timeline, sources, known))
  const isClear = (sources.lines?.current.length ?? 0) < 2
  return {
    data: {
      cluster: repository.identity.cluster,
      timelines: rows.map((row) => ({
        ...row,
        leftAt: row.leftAt && formatLsn(row.leftAt),
        heldTo: row.heldTo && formatLsn(row.heldTo),
      })),
    },
    text: () =>
      rows.length === 0
        ? 'There is no timeline yet.'
        : renderTable(COLUMNS, rows, context.output.columns),
    exitCode: isClear ? 0 : 3,
  }
}

async function rowOf(
  timeline: number,
  sources: RestoreSources,
  known: readonly number[],
): Promise<TimelineRow> {
  const { map, wal, backups } = sources
  const left = historyOrOwn(map, timeline).switches.at(-1)
  const bornUs = left && (await birthOf(timeline, left.switchLsn, { map, wal, known }))
  return {
    timeline,
    parent: left?.timeline ?? null,
    leftAt: left?.switchLsn ?? null,
    bornAt: bornUs === undefined ? null : isoTimeUs(bornUs),
    heldTo: map.ranges.get(timeline)?.at(-1)?.endLsn ?? null,
    backups: backups.filter((backup) => backup.timeline === timeline).length,
    state: stateOf(timeline, sources),
  }
}

function stateOf(timeline: number, { lines }: RestoreSources): LineState {
  if (lines?.abandoned.has(timeline) === true) return 'abandoned'
  const current = lines?.current ?? []
  if (current.some((line) => line.timeline === timeline)) {
    return current.length === 1 ? 'production' : 'possible'
  }
  return current.some((line) => isAncestor(line, timeline)) ? 'past' : 'branch'
}
