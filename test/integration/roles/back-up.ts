/**
 * A backup of a server of a test's cluster, as the backup server takes it.
 */
import { join } from 'node:path'
import { receivedWal } from '../../../src/backup/wal-availability.ts'
import { takeBackup } from '../../../src/backup/take/take-backup.ts'
import type { BackupInfo } from '../../../src/repository/backup-info.ts'
import { systemClock } from '../../../src/util/clock.ts'
import type { House } from '../cluster/house.ts'
import type { Vault } from './support.ts'

/** Takes one. */
export async function backUp(house: House, vault: Vault, from: string): Promise<BackupInfo> {
  const { wanted } = house
  const server = wanted.servers.find(({ name }) => name === from)
  return await takeBackup({
    cluster: wanted.name,
    store: vault.repository.store,
    clock: systemClock,
    connection: {
      host: server?.address ?? '',
      port: server?.port ?? 0,
      user: wanted.backup?.backupRole ?? '',
      passfile: join(wanted.backup?.repository ?? '', '.pgpass'),
    },
    server: from,
    wal: receivedWal,
    label: null,
    full: false,
    workers: 2,
    createdBy: 'test',
    signal: AbortSignal.timeout(120_000),
    onEvent: () => undefined,
  })
}
