/**
 * A backup that Barman keeps as directories: the data directory, and one for each tablespace beside
 * it.
 */
import type { Stats } from 'node:fs'
import { lstat } from 'node:fs/promises'
import { join } from 'node:path'
import { BackstayError } from '../../errors/backstay-error.ts'
import { isExcludedFromBackup } from '../../postgres/relation-path.ts'
import type { BaseBackupEntry, BaseBackupSink } from '../../wire/base-backup-sink.ts'
import type { BarmanBackup } from './barman-backup.ts'
import { unreadable } from './barman-place.ts'
import { type DirectoryItem, filePath, readItems } from '../../util/byte-path.ts'
import { openRegular } from '../../util/read-regular.ts'

const CHUNK_BYTES = 1024 * 1024

/**
 * Barman's own, and what a restore makes anew. backup_label is among the excluded files because a
 * server writes its own.
 */
const LEFT_OUT: ReadonlySet<string> = new Set([
  'backup_manifest',
  'tablespace_map',
  '.barman-recover.info',
])

/** What is walked through. */
interface Tree {
  readonly root: string
  readonly tablespaceOid: number | undefined
  readonly sink: BaseBackupSink
  readonly signal: AbortSignal
  readonly buffer: Buffer
}

/**
 * Gives everything below `data`, and the tablespaces beside it, to `sink`.
 * @throws {BackstayError} FAILED, HOST_PRIVILEGE; what the sink throws.
 */
export async function feedDirectories(
  backup: BarmanBackup,
  data: string,
  to: { readonly sink: BaseBackupSink; readonly signal: AbortSignal },
): Promise<void> {
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES)
  for (const { oid } of backup.tablespaces) {
    const root = await tablespaceRoot(backup, data, oid)
    await walk({ ...to, buffer, root, tablespaceOid: oid }, '')
  }
  await walk({ ...to, buffer, root: data, tablespaceOid: undefined }, '')
}

/** Beside the data, or as in old backups inside it. */
async function tablespaceRoot(backup: BarmanBackup, data: string, oid: number): Promise<string> {
  for (const path of [join(backup.directory, String(oid)), join(data, 'pg_tblspc', String(oid))]) {
    const found = await lstat(path).catch(() => undefined)
    if (found?.isDirectory() === true) return path
  }
  throw new BackstayError('FAILED', `Cannot find tablespace ${oid} in "${backup.directory}"`)
}

async function walk(tree: Tree, folder: string): Promise<void> {
  const { root, tablespaceOid } = tree
  for (const found of await list(join(root, folder))) {
    tree.signal.throwIfAborted()
    const path = folder === '' ? found.name : `${folder}/${found.name}`
    if (tablespaceOid === undefined && isLeftOut(path)) continue
    if (tablespaceOid !== undefined && found.name.startsWith('pgsql_tmp')) continue
    await give(tree, found, path)
  }
}

function isLeftOut(path: string): boolean {
  if (path === 'backup_label') return false
  return LEFT_OUT.has(path) || /^pg_tblspc\/./.test(path) || isExcludedFromBackup(path)
}

async function give(tree: Tree, found: DirectoryItem, path: string): Promise<void> {
  const whole = join(tree.root, path)
  const facts = await lstat(filePath(whole))
  if (found.isDirectory()) {
    await tree.sink.entry({ ...entryOf(tree, path, facts), kind: 'directory', sizeBytes: 0 })
    return await walk(tree, path)
  }
  if (found.isFile()) return await giveFile(tree, path, facts)
  // pg_wal may have been a link; what it held comes its own way.
  if (found.isSymbolicLink() && path === 'pg_wal') {
    const entry = { ...entryOf(tree, path, facts), kind: 'directory', sizeBytes: 0 } as const
    return await tree.sink.entry({ ...entry, mode: 0o700 })
  }
  throw new BackstayError('FAILED', `Cannot read "${whole}": it is neither file nor directory`)
}

async function giveFile(tree: Tree, path: string, facts: Stats): Promise<void> {
  const { sink, root, buffer } = tree
  const whole = join(root, path)
  await sink.entry(entryOf(tree, path, facts))
  await using file = await openRegular(whole).catch((error: unknown) => {
    throw unreadable(whole, error)
  })
  let position = 0
  while (position < facts.size) {
    const length = Math.min(buffer.length, facts.size - position)
    const { bytesRead } = await file.read(buffer, 0, length, position)
    if (bytesRead === 0) {
      throw new BackstayError('FAILED', `Cannot read "${whole}": it ends after ${position} bytes`)
    }
    await sink.data(buffer.subarray(0, bytesRead))
    position += bytesRead
  }
  await sink.endFile()
}

function entryOf({ tablespaceOid }: Tree, path: string, facts: Stats): BaseBackupEntry {
  return {
    kind: 'file',
    tablespaceOid,
    path,
    sizeBytes: facts.size,
    mode: facts.mode & 0o7777,
    modifiedAtMs: Math.floor(facts.mtimeMs / 1000) * 1000,
    target: undefined,
  }
}

async function list(directory: string): Promise<DirectoryItem[]> {
  try {
    const found = await readItems(directory)
    return found.sort((a, b) => (a.name < b.name ? -1 : 1))
  } catch (error) {
    throw unreadable(directory, error)
  }
}
