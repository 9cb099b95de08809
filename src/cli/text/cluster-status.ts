/**
 * The status screen: one verdict, the servers, the slots, the backup server.
 */
import type { BackupSideStatus, ClusterStatus, WindowStatus } from '../../report/status.ts'
import type { ServerStatus, SlotStatus } from '../../report/server-status.ts'
import { formatDuration } from '../../util/duration.ts'
import { spellIsoTime } from '../../util/local-time.ts'
import { formatSize } from '../../util/size.ts'
import type { Colour } from '../output/colour.ts'
import { displayWidth } from '../output/display-width.ts'
import { type Column, renderTable } from '../output/table.ts'
import { greatest } from '../../util/greatest.ts'

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
    serverTable(status, columns),
    ...status.servers.flatMap(({ name, reason }) =>
      reason === undefined ? [] : [`  ${name}: ${reason}\n`],
    ),
    ...roleLines(status),
    ...slotLines(status.otherSlots),
    ...status.slotsAtRisk.map((text) => `  ! ${text}\n`),
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

/**
 * Of a server that does not say what it is, only what it last was is known: the file says what was
 * built first.
 */
const serverColumns = ({ lastPrimary }: ClusterStatus): readonly Column<ServerStatus>[] => [
  { title: 'server', value: (row) => row.name },
  { title: 'role', value: (row) => row.role ?? (row.name === lastPrimary ? 'primary?' : '?') },
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

/**
 * What does not fit into the terminal beside the rest stands below it, whole: a row that wraps
 * reads badly, half a slot not at all.
 */
const BELOW: ReadonlySet<string> = new Set(['address', 'version', 'slot'])

function serverTable(status: ClusterStatus, columns: number | undefined): string {
  const { servers } = status
  const all = serverColumns(status)
  const whole = renderTable(all, servers)
  const widest = greatest(whole.split('\n').map(displayWidth), 0)
  if (columns === undefined || widest <= columns) return whole
  const beside = all.filter(({ title }) => !BELOW.has(title))
  return `${renderTable(beside, servers, columns)}\n${servers.flatMap(placeLines).join('')}`
}

function placeLines({ name, address, port, version, slot }: ServerStatus): string[] {
  const about = version === undefined ? '' : `, PostgreSQL ${version.split(' ')[0] ?? ''}`
  return [
    `  ${name}: ${address}:${port}${about}\n`,
    ...(slot === undefined ? [] : [`    slot ${slotText(slot)}\n`]),
  ]
}

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

function backupLines(backup: BackupSideStatus | undefined): string[] {
  if (backup === undefined) return []
  const { receiver, lastBackup, window } = backup
  const received =
    receiver === undefined
      ? 'no WAL receiver runs'
      : `WAL receiver ${receiver.state}, durable to ${receiver.flushedLsn ?? NOTHING}, lag ${bytes(receiver.lagBytes)}`
  const last =
    lastBackup === undefined
      ? 'no backup yet'
      : `last backup ${lastBackup.id} (${lastBackup.status}), ended ${spellIsoTime(lastBackup.endedAt)}`
  return [
    `\nBackup server ${backup.server}: ${received}\n`,
    ...(backup.service?.unit === undefined || backup.service.problem !== undefined
      ? []
      : [`  run by ${backup.service.unit}, also after a reboot\n`]),
    `  ${last}\n`,
    ...(backup.nextBackupAt === undefined
      ? []
      : [`  next scheduled backup ${spellIsoTime(backup.nextBackupAt)}\n`]),
    ...(window === undefined ? [] : [windowLine(window)]),
    ...backup.problems.map((problem) => `  ! ${problem}\n`),
  ]
}

function windowLine({ from, fromTime, to, toTime, ageMs }: WindowStatus): string {
  const age = ageMs === undefined ? '' : ` (${formatDuration(ageMs)} ago)`
  const about = toTime === undefined ? '' : `, about ${spellIsoTime(toTime)}`
  return `  recoverable from ${spellIsoTime(fromTime)}, ${from}, to the last record${about}, ${to}${age}\n`
}

function bytes(value: number | undefined): string {
  return value === undefined ? NOTHING : formatSize(value)
}

function time(ms: number | undefined): string {
  return ms === undefined ? NOTHING : formatDuration(ms)
}
