/**
 * Where one server's files are in a Barman home, and which backups lie there. Only reads.
 */
import { readdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { BarmanServer } from '../../config/barman/model.ts'
import { BackstayError } from '../../errors/backstay-error.ts'
import { SMALL_FILE_BYTES } from '../../host/read-limit.ts'
import type { KeepTarget } from '../../repository/backup-info.ts'
import { readRegular } from '../../util/read-regular.ts'
import { formatSize } from '../../util/size.ts'
import { type BarmanBackup, parseBarmanBackup } from './barman-backup.ts'

/** Of one backup.info: its label, and a line for each tablespace and configuration file. */
const INFO_BYTES_MAX = 4 * 1024 * 1024
/** Of all: what is read stays in memory. */
const INFOS_BYTES_MAX = 128 * 1024 * 1024

/** The directories of one server. Absolute. */
export interface BarmanPlace {
  readonly name: string
  readonly backupDirectory: string
  readonly basebackups: string
  readonly wals: string
  readonly incoming: string
  readonly streaming: string
  readonly xlogdb: string
  /** The operator's command, of his own files, that unpacks WAL of `compression = custom`. */
  readonly customFilter: string | undefined
}

/** A backup found; why it cannot be imported where its metadata already tells. */
export type FoundBarmanBackup =
  | { readonly id: string; readonly backup: BarmanBackup }
  | { readonly id: string; readonly why: string }

/**
 * As the configuration says. `customFilter` is not taken from it: who may set the other options
 * must not have it run.
 */
export function placeOfServer(server: BarmanServer, customFilter: string | undefined): BarmanPlace {
  const { name, backupDirectory, incomingDirectory, options } = server
  const standard = standardPlace(backupDirectory)
  const wals = options.get('wals_directory') ?? standard.wals
  return {
    name,
    backupDirectory,
    basebackups: options.get('basebackups_directory') ?? standard.basebackups,
    wals,
    incoming: incomingDirectory,
    streaming: options.get('streaming_wals_directory') ?? standard.streaming,
    xlogdb: options.get('xlogdb_directory') ?? wals,
    customFilter,
  }
}

/**
 * With every directory at its usual place below `backupDirectory`, which is called as the server
 * is.
 */
export function standardPlace(backupDirectory: string): BarmanPlace {
  const wals = join(backupDirectory, 'wals')
  return {
    name: basename(backupDirectory),
    backupDirectory,
    basebackups: join(backupDirectory, 'base'),
    wals,
    incoming: join(backupDirectory, 'incoming'),
    streaming: join(backupDirectory, 'streaming'),
    xlogdb: wals,
    customFilter: undefined,
  }
}

/** Every directory something is read from. */
export function allDirectories(place: BarmanPlace): readonly string[] {
  const { backupDirectory, basebackups, wals, incoming, streaming, xlogdb } = place
  const meta = metaDirectory(place)
  return [backupDirectory, meta, basebackups, wals, incoming, streaming, xlogdb]
}

function metaDirectory({ backupDirectory }: BarmanPlace): string {
  return join(backupDirectory, 'meta')
}

/**
 * The backups of both layouts, oldest first.
 * @throws {BackstayError} HOST_PRIVILEGE, FAILED when a directory cannot be read.
 */
export async function findBarmanBackups(place: BarmanPlace): Promise<FoundBarmanBackup[]> {
  const meta = metaDirectory(place)
  const inMeta = (await listOptional(meta)).flatMap((name) => {
    const [, id] = /^(\d{8}T\d{6})-backup\.info$/.exec(name) ?? []
    return id === undefined ? [] : [id]
  })
  const inBase = (await listOptional(place.basebackups)).filter((name) =>
    /^\d{8}T\d{6}$/.test(name),
  )
  const found: FoundBarmanBackup[] = []
  let bytes = 0
  for (const id of [...new Set([...inMeta, ...inBase])].sort()) {
    const { length, ...backup } = await readOne(place, id)
    bytes += length
    if (bytes > INFOS_BYTES_MAX) throw tooLong(place)
    found.push(backup)
  }
  return found
}

function tooLong({ name }: BarmanPlace): BackstayError {
  return new BackstayError(
    'FAILED',
    `Cannot import "${name}": what its home says of its backups is longer than the ${formatSize(INFOS_BYTES_MAX)} that are read`,
    {
      hint: 'Barman writes some kilobytes for each: look at its backup.info files, and at who wrote them.',
    },
  )
}

/** With the length of what was read. */
async function readOne(
  place: BarmanPlace,
  id: string,
): Promise<FoundBarmanBackup & { readonly length: number }> {
  const directory = join(place.basebackups, id)
  const meta = metaDirectory(place)
  const text =
    (await readOptional(join(meta, `${id}-backup.info`), INFO_BYTES_MAX)) ??
    (await readOptional(join(directory, 'backup.info'), INFO_BYTES_MAX))
  if (text === undefined) return { id, why: 'it has no backup.info', length: 0 }
  const keepText =
    (await readOptional(join(meta, `${id}-keep`), SMALL_FILE_BYTES)) ??
    (await readOptional(join(directory, 'annotations', 'keep'), SMALL_FILE_BYTES))
  const backup = parseBarmanBackup(text, { id, directory, keep: keepOf(keepText) })
  const { length } = text
  return typeof backup === 'string' ? { id, why: backup, length } : { id, backup, length }
}

function keepOf(text: string | undefined): KeepTarget | undefined {
  const word = text?.trim().toLowerCase()
  return word === 'full' || word === 'standalone' ? word : undefined
}

/** What identity.json says, for metadata that does not say it. */
export async function readBarmanIdentifier(place: BarmanPlace): Promise<string | undefined> {
  const text = await readOptional(join(place.backupDirectory, 'identity.json'), SMALL_FILE_BYTES)
  const [, systemIdentifier] = /"systemid"\s*:\s*"?(\d+)/.exec(text ?? '') ?? []
  return systemIdentifier
}

/** Names in a directory, sorted; none when it is not there. */
export async function listOptional(directory: string): Promise<string[]> {
  try {
    return (await readdir(directory)).sort()
  } catch (error) {
    if (isAbsent(error)) return []
    throw unreadable(directory, error)
  }
}

/** A file's text; undefined when it is not there. A longer one is no such file. */
async function readOptional(file: string, mostBytes: number): Promise<string | undefined> {
  try {
    return (await readRegular(file, mostBytes)).toString('utf8')
  } catch (error) {
    if (isAbsent(error)) return undefined
    throw unreadable(file, error)
  }
}

/** Whether a file is not there. */
export function isAbsent(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')
}

/** Something of Barman's that is there and cannot be read. */
export function unreadable(path: string, error: unknown): BackstayError {
  const { code, message } = error as NodeJS.ErrnoException
  return new BackstayError(
    code === 'EACCES' ? 'HOST_PRIVILEGE' : 'FAILED',
    `Cannot read "${path}": ${message}`,
    { cause: error },
  )
}
