/**
 * Copies that `restore --start` opened to be looked at: a note in the directory says so, and lets
 * them be stopped and removed. Nothing else is: not a directory without a note, not one that has
 * become a server of a cluster.
 */
import { join } from 'node:path'
import { BackstayError } from '../errors/backstay-error.ts'
import type { Host } from '../host/host.ts'
import { ownerOfWay } from '../host/owner-of-way.ts'
import { findPostmaster } from '../host/postmaster.ts'
import { runChecked } from '../host/run-checked.ts'
import { removeTablespaceContent } from '../host/tablespace-content.ts'
import type { Clock } from '../util/clock.ts'
import { formatDuration } from '../util/duration.ts'
import { until } from '../util/until.ts'
import { RESTORE_MARK } from './left-settings.ts'
import { COPY_NOTE_NAME } from './marker.ts'
import type { RestorePlan } from './plan.ts'

const STOP_TIMEOUT_MS = 300_000
/**
 * Takes out of a directory of WAL what is PostgreSQL's: segments and histories, what PostgreSQL
 * keeps beside them, then the directory when nothing else is in it.
 */
const EMPTY_WAL =
  'if [ -d "$1" ]; then cd -- "$1" && rm -rf -- ' +
  `./${'[0-9A-F]'.repeat(24)}` +
  ' ./[0-9A-F]*.history ./[0-9A-F]*.partial ./[0-9A-F]*.backup ./xlogtemp.* ./archive_status ./summaries ./.backstay && cd / && { rmdir -- "$1" 2>/dev/null || :; }; fi'

/** A copy as its note says. */
export interface OpenedCopy {
  readonly directory: string
  readonly backup: string
  /** Of its tablespaces, where they were restored to. */
  readonly tablespaces: readonly string[]
  /** Of its WAL, when that is elsewhere. */
  readonly walDirectory?: string
  /**
   * OS user whose it is, and as whom all is done that its note says. Never root: no server runs as
   * root.
   */
  readonly owner: string
  /**
   * What keeps its backup and the WAL after it from expiring: absolute path of the lock's object.
   * Left out when nothing does.
   */
  readonly hold?: string | undefined
}

/** Notes that a copy is going to be opened. */
export async function noteCopy(
  host: Host,
  place: { readonly directory: string; readonly user: string },
  { backup, hold }: Pick<RestorePlan, 'backup'> & Pick<OpenedCopy, 'hold'>,
): Promise<void> {
  const { directory, user } = place
  const tablespaces: string[] = []
  for (const { oid } of backup.tablespaces) {
    const link = await host.inspect(join(directory, `pg_tblspc/${oid}`))
    if (link?.target !== undefined) tablespaces.push(link.target)
  }
  const wal = await host.inspect(join(directory, 'pg_wal'))
  const walDirectory = wal?.target === undefined ? {} : { walDirectory: wal.target }
  const note = { directory, backup: backup.id, tablespaces, hold, ...walDirectory }
  const text = `${JSON.stringify(note, undefined, 2)}\n`
  await host.writeFile(join(directory, COPY_NOTE_NAME), text, { mode: 0o600, owner: user })
}

/**
 * The copy in `directory`.
 * @throws {BackstayError} DIRECTORY_FOREIGN when no restore opened one there, or it is one no
 * longer; DIRECTORY_OWNER when it is root's, or the way there is in the hands of two users
 */
export async function findCopy(host: Host, directory: string): Promise<OpenedCopy> {
  // Before the note is read, which is that user's word; root reads it by his hands.
  const owner = await ownerOfWay(host, `${directory}/.`)
  const found = await host.inspect(directory)
  const note = await readNote(host, directory)
  if (owner === undefined || found?.kind !== 'directory' || note === undefined) {
    throw foreign(directory, 'no `restore --start` opened a copy there')
  }
  if (owner === 'root') throw rootsOwn(directory)
  const settings = await host.readFile(join(directory, 'postgresql.auto.conf'))
  if (settings !== undefined && !settings.includes(RESTORE_MARK)) {
    throw foreign(directory, 'it has become a server of its own since it was restored')
  }
  return { ...note, owner }
}

/** Stops its server (fast); false when none runs. @throws {BackstayError} TIMEOUT */
export async function stopCopy(
  host: Host,
  { directory, owner }: OpenedCopy,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<boolean> {
  const postmaster = await findPostmaster(host, directory)
  if (postmaster === undefined) return false
  // SIGINT is the fast shutdown; a postmaster that ends meanwhile is what is wanted.
  await host.run(['kill', '-INT', String(postmaster.pid)], { user: owner })
  const isGone = await until(async () => (await findPostmaster(host, directory)) === undefined, {
    clock,
    signal,
    timeoutMs: STOP_TIMEOUT_MS,
    intervalMs: 100,
  })
  if (isGone === true) return true
  throw new BackstayError(
    'TIMEOUT',
    `The server in "${directory}" did not stop within ${formatDuration(STOP_TIMEOUT_MS)}`,
    { details: { directory, pid: postmaster.pid } },
  )
}

/**
 * Removes a stopped copy and what is PostgreSQL's in its tablespaces; the note goes last, so that
 * it can be done again.
 */
export async function removeCopy(host: Host, copy: OpenedCopy): Promise<void> {
  const { directory, owner, tablespaces, walDirectory } = copy
  const major = (await host.readFile(join(directory, 'PG_VERSION')))?.toString().trim() ?? ''
  // It goes after they were emptied. Another major's cluster may lie beside this one's.
  for (const path of /^\d+$/.test(major) ? tablespaces : []) {
    await removeTablespaceContent(host, { path, major: Number(major), user: owner })
    // Stays when something else is in it.
    await host.run(['rmdir', '--', path], { user: owner })
  }
  if (walDirectory !== undefined) {
    await runChecked(host, ['sh', '-c', EMPTY_WAL, 'sh', walDirectory], { user: owner })
  }
  await host.remove(join(directory, 'global'))
  const names = (await host.list(directory)) ?? []
  for (const name of names) if (name !== COPY_NOTE_NAME) await host.remove(join(directory, name))
  await host.remove(directory)
}

/** A lock of a backup, and nothing else: the note is its owner's. */
const HOLD_OBJECT =
  /^\/.+\/[A-Za-z0-9][A-Za-z0-9_.-]{0,62}\/locks\/backup-\d{8}T\d{6}\/[0-9a-f-]{36}\.json$/

/** The lock's folder goes with its last lock. */
const END_HOLD = 'rm -- "$1" && { rmdir -- "${1%/*}" 2>/dev/null || :; }'

/**
 * Ends the hold of the restore that made the copy; false when there was none, or the copy's owner
 * may not end it.
 */
export async function releaseHold(host: Host, { hold, owner }: OpenedCopy): Promise<boolean> {
  if (hold === undefined || !HOLD_OBJECT.test(hold) || hold.includes('/../')) return false
  // As its owner, who took it: what the note names must not be root's to remove.
  const { exitCode } = await host.run(['sh', '-c', END_HOLD, 'sh', hold], { user: owner })
  return exitCode === 0
}

async function readNote(
  host: Host,
  directory: string,
): Promise<Omit<OpenedCopy, 'owner'> | undefined> {
  const content = await host.readFile(join(directory, COPY_NOTE_NAME))
  try {
    const note = JSON.parse(content?.toString() ?? 'null') as Partial<OpenedCopy> | null
    if (note?.directory !== directory || !Array.isArray(note.tablespaces)) return undefined
    const tablespaces = note.tablespaces.filter((path) => typeof path === 'string')
    const hold = typeof note.hold === 'string' ? note.hold : undefined
    const copy = { directory, backup: String(note.backup), tablespaces, hold }
    return typeof note.walDirectory === 'string'
      ? { ...copy, walDirectory: note.walDirectory }
      : copy
  } catch {
    return undefined
  }
}

function rootsOwn(directory: string): BackstayError {
  return new BackstayError(
    'DIRECTORY_OWNER',
    `Will not touch "${directory}": it is root's, and no server was ever opened there as root`,
    {
      hint: 'What a copy says of itself is done as its owner, and never as root. Look what it holds, and remove it yourself.',
      details: { directory },
    },
  )
}

function foreign(directory: string, why: string): BackstayError {
  return new BackstayError('DIRECTORY_FOREIGN', `Will not touch "${directory}": ${why}`, {
    hint: 'Only copies that `backstay restore --start` opened are stopped and removed.',
    details: { directory },
  })
}
