/**
 * The status screen: one verdict, the servers, the slots, the backup server.
 */
import type { BackupStatus, ClusterStatus, RecoverableWindow } from '../../cluster/status.ts'
import type { ServerStatus, SlotStatus } from '../../cluster/server-status.ts'
import { formatDuration } from '../../util/duration.ts'
import { formatSize } from '../../util/size.ts'
import type { Colour } from '../output/colour.ts'
import { type Column, renderTable } from '../output/table.ts'

/** How it is shown. */
export interface StatusLook {
  readonly colour: Colour
  readonly columns: number | undefined
}

const NOTHING = '-'

/** Renders the status for a person. */
export function renderStatus(status: ClusterStatus, look: StatusLook): string {
  const { colour, columns } = look
  const mark = status.verdict === 'ok' ? colour.good('ok') : colour.bad(status.verdict)
  const identity =
    status.systemIdentifier === undefined ? '' : `  system identifier ${status.systemIdentifier}`
  return [
    `Cluster ${status.cluster}: ${mark}${identity}\n`,
    ...(status.unfinished === undefined ? [] : [`${colour.bad(status.unfinished)}\n`]),
    ...(status.undecided === undefined ? [] : [`${colour.bad(status.undecided)}\n`]),
    `${status.takeover}\n`,
    ...(status.wayBack === undefined ? [] : [`${status.wayBack}\n`]),
    '\n',
    renderTable(SERVER_COLUMNS, status.servers, columns),
    ...status.servers.flatMap(({ name, reason }) =>
      reason === undefined ? [] : [`  ${name}: ${reason}\n`],
    ),
    ...roleLines(status),
    ...slotLines(status.otherSlots),
    ...backupLines(status.backup),
  ].join('')
}

/** What is found wins over the file, and that is said. */
function roleLines({ primary, servers }: ClusterStatus): string[] {
  const first = servers.find(({ wantedRole }) => wantedRole === 'primary')?.name
  return primary === undefined || first === primary
    ? []
    : [
        `  ${primary} is the primary since roles were changed; the cluster file says what was built first\n`,
      ]
}

const SERVER_COLUMNS: readonly Column<ServerStatus>[] = [
  { title: 'server', value: (row) => row.name },
  { title: 'role', value: (row) => row.role ?? `${row.wantedRole}?` },
  { title: 'state', value: (row) => row.state },
  { title: 'address', value: (row) => `${row.address}:${row.port}` },
  { title: 'version', value: (row) => row.version?.split(' ')[0] ?? NOTHING },
  { title: 'tl', value: (row) => String(row.timeline ?? NOTHING), align: 'right' },
  { title: 'lsn', value: (row) => row.lsn ?? NOTHING, align: 'right' },
  {
    title: 'lag',
    value: (row) => (row.role === 'primary' ? NOTHING : bytes(row.replayLagBytes)),
    align: 'right',
  },
  {
    title: 'delay',
    value: (row) => (row.role === 'primary' ? NOTHING : time(row.replayLagMs)),
    align: 'right',
  },
  { title: 'sync', value: (row) => row.syncState ?? NOTHING },
  { title: 'slot', value: (row) => (row.slot === undefined ? NOTHING : slotText(row.slot)) },
]

function slotLines(slots: readonly SlotStatus[]): string[] {
  return slots.length === 0
    ? []
    : ['\nOther slots on the primary:\n', ...slots.map((slot) => `  ${slotText(slot)}\n`)]
}

function slotText(slot: SlotStatus): string {
  const use = slot.isActive ? 'active' : 'inactive'
  const lost = slot.walStatus === 'lost' ? ', lost' : ''
  return `${slot.name} (${use}${lost}, keeps ${bytes(slot.retainedBytes)})`
}

function backupLines(backup: BackupStatus | undefined): string[] {
  if (backup === undefined) return []
  const { receiver, lastBackup, window } = backup
  const received =
    receiver === undefined
      ? 'no WAL receiver runs'
      : `WAL receiver ${receiver.state}, durable to ${receiver.flushedLsn ?? NOTHING}, lag ${bytes(receiver.lagBytes)}`
  const last =
    lastBackup === undefined
      ? 'no backup yet'
      : `last backup ${lastBackup.id} (${lastBackup.status}), ended ${lastBackup.endedAt}`
  return [
    `\nBackup server ${backup.server}: ${received}\n`,
    `  ${last}\n`,
    ...(window === undefined ? [] : [windowLine(window)]),
    ...backup.problems.map((problem) => `  ! ${problem}\n`),
  ]
}

function windowLine({ from, fromTime, to, ageMs }: RecoverableWindow): string {
  const age = ageMs === undefined ? '' : ` (${formatDuration(ageMs)} ago)`
  return `  recoverable from ${from}, ${fromTime}, to ${to}${age}\n`
}

function bytes(value: number | undefined): string {
  return value === undefined ? NOTHING : formatSize(value)
}

function time(ms: number | undefined): string {
  return ms === undefined ? NOTHING : formatDuration(ms)
}
