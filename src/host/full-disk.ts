/**
 * Whether a server has no room left: on the file systems it writes to, and by what its log says.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import { formatSize } from '../util/size.ts'
import type { Host } from './host.ts'
import type { PostgresInstance } from './postgres-instance.ts'

/** The fullest of the file systems a server writes to. */
export interface TightDisk {
  /** The directory of the server that lies on it, links resolved. */
  readonly directory: string
  /** For an ordinary user. */
  readonly freeBytes: number
}

/**
 * PostgreSQL makes WAL files of a segment each, whole; less room than that stops whoever writes
 * WAL.
 */
export const SEGMENT_BYTES = 16 * 1024 * 1024
/** With so little not even a log line is certain. */
const NEXT_TO_NOTHING_BYTES = 1024 * 1024

/** With so much, what the log says is of the past, or of another place. */
const PLENTY_BYTES = 1024 ** 3

const QUOTA = /Disk quota exceeded/
const NO_SPACE = /No space left on device|Disk quota exceeded|Check free disk space/
const DIED = /\b(?:FATAL|PANIC):/

/**
 * Data directory, WAL and tablespaces: three names that may be links to elsewhere. Prints blocks,
 * their size and the directory.
 */
const FREE = `
for place in "$1" "$1/pg_wal" "$1"/pg_tblspc/*; do
  [ -d "$place" ] || continue
  printf '%s %s\\n' "$(stat -f -c '%a %S' -- "$place")" "$(readlink -f -- "$place")"
done
`

/**
 * Looks at data directory, WAL and tablespaces; undefined when none can be looked at.
 * @throws HOST_UNREACHABLE
 */
export async function findTightDisk(host: Host, directory: string): Promise<TightDisk | undefined> {
  const { stdout } = await host.run(['sh', '-c', FREE, 'sh', directory])
  const disks = stdout.split('\n').flatMap((line) => {
    const [, blocks, size, path] = /^(\d+) (\d+) (\/.*)$/.exec(line) ?? []
    return path === undefined ? [] : [{ directory: path, freeBytes: Number(blocks) * Number(size) }]
  })
  return disks.toSorted((a, b) => a.freeBytes - b.freeBytes)[0]
}

/** Whether a log says that something could not be written for want of room. */
export function tellsNoSpace(log: string): boolean {
  return NO_SPACE.test(log)
}

/**
 * Whether a server that did not come up found no room. Pure. A log that could not be written says
 * nothing.
 */
export function isDiskFull(log: string, { freeBytes }: TightDisk): boolean {
  if (QUOTA.test(log)) return true
  if (tellsNoSpace(log)) return freeBytes < PLENTY_BYTES
  return freeBytes < NEXT_TO_NOTHING_BYTES && !DIED.test(log)
}

/** What is said of it: `0 B free in "/srv/db2/pg_wal"`. */
export function describeTightDisk({ directory, freeBytes }: TightDisk): string {
  return `${formatSize(freeBytes)} free in "${directory}"`
}

/** What to do about it, for hints and remedies. */
export function roomRemedy({ directory }: TightDisk): string {
  return `Free space in "${directory}", or make its file system larger, then run backstay up.`
}

/** What failed, and what is known of it. */
export interface NoRoom {
  /** `Cannot start "db2"` */
  readonly failed: string
  readonly disk: TightDisk
  /** What the server wrote. */
  readonly log: string
  /** Added to what to do. */
  readonly more?: string
}

/**
 * The error DISK_SPACE for a server that found no room: what its log says of it, how much is free
 * where, what to do.
 */
export function fullDiskError(
  { name, host }: Pick<PostgresInstance, 'name' | 'host'>,
  { failed, disk, log, more = '' }: NoRoom,
): BackstayError {
  const line = log.split('\n').findLast((text) => NO_SPACE.test(text) && !/HINT:/.test(text))
  const said = line === undefined ? '' : `; its log says: ${line.trim()}`
  return new BackstayError(
    'DISK_SPACE',
    `${failed}: there is no room on "${host.name}": ${describeTightDisk(disk)}${said}`,
    {
      hint: `${roomRemedy(disk)}${more}`,
      details: { server: name, host: host.name, ...disk },
    },
  )
}
