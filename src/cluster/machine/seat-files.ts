/**
 * Barman's seat on the backup server's machine: the programs of its names and the configuration by
 * which they work on the cluster's own repository and slot. Pure: the texts and where they lie.
 */
import { posix } from 'node:path'
import { formatConninfo } from '../../postgres/conninfo.ts'
import { repositoryPassfileOf } from '../names.ts'
import { SERVICE_COMMAND } from './service-source.ts'
import type { BackupWanted, ClusterWanted, ServerWanted } from '../wanted.ts'

/** One file of the seat. */
export interface SeatFile {
  readonly path: string
  readonly content: string
  readonly mode: number
}

/**
 * Who the seat is made for: the machine's owner of the repository, and the primary of the moment.
 */
export interface SeatPlace {
  readonly backup: BackupWanted
  readonly osUser: string
  readonly primary: ServerWanted
}

const NAMES = ['barman', 'barman-wal-archive', 'barman-wal-restore'] as const
/** Where the names are found by every shell. */
export const PROGRAMS = '/usr/local/bin'
/** The first line that says so: what has none of these is somebody else's and is left alone. */
const MARKS = [
  '# Written by backstay install-names.',
  '# Written by backstay up.',
  '; Written by backstay up.',
] as const
/** The first line of a program that `up` wrote as a whole. */
export const SEAT_MARK = MARKS[1]
const DAY_MS = 86_400_000

/** Barman's main file; ours only where there is none. */
export const SEAT_MAIN_FILE = '/etc/barman.conf'
/** Where Debian's package of Barman has it. */
export const PACKAGED_MAIN_FILE = '/etc/barman/barman.conf'
/** What incoming files and the log of the programs lie in; never the repository. */
export const SEAT_HOME = '/var/lib/barman'

/** Whether a file was written by Backstay. */
export function isOurs(text: string): boolean {
  return MARKS.some((mark) => text.includes(mark))
}

/** Whether a program is that of `install-names`, which can do all that the others can. */
export function isFullProgram(text: string): boolean {
  return text.includes(MARKS[0])
}

/** All paths of the files, to be looked at. */
export function seatPaths(cluster: string): readonly string[] {
  return [...NAMES.map((name) => posix.join(PROGRAMS, name)), SEAT_MAIN_FILE, serverFileOf(cluster)]
}

/** The files as they have to be, the programs first. */
export function seatFiles(wanted: ClusterWanted, place: SeatPlace): readonly SeatFile[] {
  return [
    ...NAMES.map((name) => ({
      path: posix.join(PROGRAMS, name),
      content: programText(name),
      mode: 0o755,
    })),
    { path: SEAT_MAIN_FILE, content: mainText(place), mode: 0o644 },
    { path: serverFileOf(wanted.name), content: serverText(wanted, place), mode: 0o644 },
  ]
}

function serverFileOf(cluster: string): string {
  return `/etc/barman.d/${cluster}.conf`
}

function programText(name: string): string {
  const [node = '', program = ''] = SERVICE_COMMAND
  const script = posix.join(posix.dirname(program), `${name}.js`)
  return `#!/bin/sh\n${MARKS[0]}\nexec ${node} ${script} "$@"\n`
}

function mainText({ osUser }: SeatPlace): string {
  return `${MARKS[2]}
[barman]
barman_user = ${osUser}
barman_home = ${SEAT_HOME}
configuration_files_directory = /etc/barman.d
log_file = ${posix.join(SEAT_HOME, 'barman.log')}
`
}

function serverText(wanted: ClusterWanted, place: SeatPlace): string {
  const { backup } = place
  const retention = retentionText(backup)
  const options: readonly (readonly [string, string | undefined])[] = [
    ['description', `PostgreSQL cluster ${wanted.name}, kept by Backstay`],
    ['backstay_repository', backup.repository],
    ['backstay_service', 'on'],
    ['conninfo', conninfoOf(wanted, place)],
    ['backup_method', 'postgres'],
    ['streaming_archiver', 'on'],
    ['slot_name', backup.slot],
    ['minimum_redundancy', String(backup.retention.minimum)],
    ['retention_policy', retention],
  ]
  const lines = options.flatMap(([name, value]) =>
    value === undefined ? [] : [`${name} = ${value.replaceAll('%', '%%')}\n`],
  )
  return `${MARKS[2]}\n; What stands here follows from the cluster file: change it there.\n[${wanted.name}]\n${lines.join('')}`
}

/** Without a password: it is in the repository's own file. */
function conninfoOf({ ssl }: ClusterWanted, { backup, primary }: SeatPlace): string {
  return formatConninfo({
    host: primary.address,
    port: primary.port,
    user: backup.backupRole,
    dbname: 'postgres',
    passfile: repositoryPassfileOf(backup.repository),
    sslmode: ssl?.mode,
    sslrootcert: ssl?.rootCert,
    sslcert: ssl?.cert,
    sslkey: ssl?.key,
  })
}

/**
 * Barman knows a window in days or a number; where the file says both, neither alone is the truth,
 * and Backstay's service knows.
 */
function retentionText({ retention: { windowMs, count } }: BackupWanted): string | undefined {
  if (windowMs === undefined) return count === undefined ? undefined : `REDUNDANCY ${count}`
  if (count !== undefined || windowMs % DAY_MS !== 0) return undefined
  return `RECOVERY WINDOW OF ${windowMs / DAY_MS} DAYS`
}
