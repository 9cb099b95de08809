/**
 * A backup server in miniature for the restore's tests: repository, WAL receiver, backups, and WAL laid out for restore_command.
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { receivedWal } from '../../../src/backup/wal-availability.ts'
import { takeBackup } from '../../../src/backup/take/take-backup.ts'
import type { TakeBackupOptions } from '../../../src/backup/take/take-options.ts'
import { formatHistoryName, formatSegmentName } from '../../../src/postgres/segment-name.ts'
import type { BackupInfo } from '../../../src/repository/backup-info.ts'
import type { ClusterRepository } from '../../../src/repository/cluster-repository.ts'
import { systemClock } from '../../../src/util/clock.ts'
import { loadContinuity } from '../../../src/wal/load-continuity.ts'
import { readWalFile } from '../../../src/wal/read-wal-file.ts'
import { temporaryDirectory, type TestServer } from '../../harness/postgres.ts'
import { until } from '../../harness/until.ts'
import { claimFor, startReceiver, untilReceived } from '../wal/support.ts'

/** Repository and receiver of one cluster. */
export interface Vault extends AsyncDisposable {
  readonly repository: ClusterRepository
  /** A directory of the test's own; the repository is in it. */
  readonly base: string
  backup(options?: Partial<TakeBackupOptions>): Promise<BackupInfo>
  /** Receives from another server of the cluster from now on. */
  follow(server: TestServer): Promise<void>
  /** Resolves when all WAL of the server is held, and known to be. */
  caughtUp(): Promise<void>
  /** Ends receiving in order. */
  stop(): Promise<void>
  /** Lays out all WAL held at this moment in a directory, and returns the restore_command that reads it there. */
  layOutWal(): Promise<string>
}

/** Starts one beside `server`. */
export async function startVault(server: TestServer): Promise<Vault> {
  const base = temporaryDirectory()
  const repository = await claimFor(server, join(base.path, 'repository'))
  let source = server
  let receiver = startReceiver(server, repository)
  let layouts = 0
  const caughtUp = async (): Promise<void> => {
    const lsn = await untilReceived(source)
    await until('the receiver to publish what it holds', async () => {
      const status = await receiver.status()
      return status?.flushLsn !== undefined && status.flushLsn >= lsn
    })
  }
  // A checkpoint that runs while the slot is made can remove the WAL it reserves.
  await caughtUp()
  return {
    repository,
    base: base.path,
    backup: async (options = {}) =>
      await takeBackup({
        cluster: 'shop',
        store: repository.store,
        clock: systemClock,
        connection: source.connection,
        server: null,
        wal: receivedWal,
        label: null,
        full: false,
        workers: 2,
        walTimeoutMs: 30_000,
        createdBy: 'test',
        signal: new AbortController().signal,
        onEvent: () => {},
        ...options,
      }),
    follow: async (other) => {
      await receiver.stop()
      source = other
      receiver = startReceiver(other, repository)
      await caughtUp()
    },
    caughtUp,
    stop: async () => receiver.stop(),
    layOutWal: async () => {
      layouts += 1
      const directory = join(base.path, `wal-${layouts}`)
      await layOut(repository, directory)
      return `cp ${directory}/%f %p`
    },
    async [Symbol.asyncDispose]() {
      await receiver.stop()
      await base[Symbol.asyncDispose]()
    },
  }
}

async function layOut(repository: ClusterRepository, directory: string): Promise<void> {
  await mkdir(directory, { recursive: true })
  const map = await loadContinuity(repository)
  const { segmentBytes } = map
  const copy = async (name: string): Promise<void> => {
    const file = await readWalFile(repository, name)
    if (file !== undefined) await writeFile(join(directory, name), file.content, { mode: 0o644 })
  }
  for (const timeline of map.histories.keys()) await copy(formatHistoryName(timeline))
  for (const range of [...map.ranges.values()].flat()) {
    const first = range.startLsn / BigInt(segmentBytes)
    for (let number = first; number * BigInt(segmentBytes) < range.endLsn; number += 1n) {
      await copy(formatSegmentName({ timeline: range.timeline, number }, segmentBytes))
    }
  }
}
