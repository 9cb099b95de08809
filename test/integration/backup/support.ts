/**
 * Taking backups of test servers, and restoring them with the standalone reader.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { appendFile, chown, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { fetchedWal } from '../../../src/backup/fetched-wal.ts'
import { takeBackup } from '../../../src/backup/take/take-backup.ts'
import type { TakeBackupOptions } from '../../../src/backup/take/take-options.ts'
import { verifyBackup } from '../../../src/backup/verify/verify-backup.ts'
import type { BackupInfo } from '../../../src/repository/backup-info.ts'
import { listBackups } from '../../../src/repository/catalogue.ts'
import { openCluster } from '../../../src/repository/cluster-repository.ts'
import { DiskStore } from '../../../src/store/disk-store.ts'
import { systemClock } from '../../../src/util/clock.ts'
import { openPostgres, type TestServer } from '../../harness/postgres.ts'
import { isRoot, unprivilegedUser } from '../../harness/unprivileged-user.ts'

const run = promisify(execFile)
const READER = join(import.meta.dirname, '../../../scripts/read-repository.mjs')

/** Options for a backup of `pg` into the repository at `directory`; WAL is fetched over a connection of its own. */
export function backupOptions(
  pg: TestServer,
  directory: string,
  changes: Partial<TakeBackupOptions> = {},
): TakeBackupOptions {
  return {
    cluster: 'test',
    store: new DiskStore(directory),
    clock: systemClock,
    connection: pg.connection,
    server: null,
    wal: fetchedWal(pg.connection),
    label: null,
    full: false,
    workers: 2,
    createdBy: 'test',
    signal: AbortSignal.timeout(120_000),
    onEvent: () => {},
    ...changes,
  }
}

/** Takes a backup of `pg` into the repository at `directory`. */
export function backUp(
  pg: TestServer,
  directory: string,
  changes: Partial<TakeBackupOptions> = {},
): Promise<BackupInfo> {
  return takeBackup(backupOptions(pg, directory, changes))
}

/** Verifies every backup that is listed, all of it. */
export async function verifyAll(directory: string): Promise<void> {
  const cluster = await openCluster(new DiskStore(directory), 'test', systemClock)
  for (const { info } of await listBackups(cluster)) {
    const report = await verifyBackup(cluster, info.id, {
      samplePercent: 100,
      seed: 0,
      sinceMs: undefined,
      signal: AbortSignal.timeout(120_000),
      onProgress: () => {},
    })
    assert.deepEqual(report.problems, [])
  }
}

/** Restores with scripts/read-repository.mjs, as the OS user that servers run as. Returns what it printed. */
export async function readRepository(
  directory: string,
  ...args: readonly string[]
): Promise<string> {
  const { stdout } = await run(process.execPath, [READER, directory, ...args])
  return stdout
}

/** Gives a restored tree to the user that runs servers. */
export async function giveToServer(path: string): Promise<void> {
  if (!isRoot) return
  const { uid, gid } = unprivilegedUser
  await chown(path, uid, gid)
  for (const item of await readdir(path, { recursive: true, withFileTypes: true })) {
    if (!item.isSymbolicLink()) await chown(join(item.parentPath, item.name), uid, gid)
  }
}

/** Restores backup `id` into `target` and starts a server on it. */
export async function restoreAndOpen(
  pg: TestServer,
  place: { directory: string; id: string; target: string },
): Promise<TestServer> {
  await readRepository(place.directory, 'test', place.id, place.target)
  await giveToServer(place.target)
  return await openPostgres({ major: pg.major, directory: place.target })
}

/** A standby of `pg` made from backup `id` in the repository at `directory`. */
export async function standbyFrom(
  pg: TestServer,
  { directory, id, target }: { directory: string; id: string; target: string },
): Promise<TestServer> {
  await readRepository(directory, 'test', id, target)
  const conninfo = `host=${pg.host} port=${pg.port} user=postgres password=${pg.password}`
  await appendFile(join(target, 'postgresql.auto.conf'), `primary_conninfo = '${conninfo}'\n`)
  await writeFile(join(target, 'standby.signal'), '')
  await giveToServer(target)
  return await openPostgres({ major: pg.major, directory: target })
}
