/**
 * Backups and servers as values, for tests of pure decisions.
 */
import { type Lsn, parseLsn } from '../../../src/postgres/lsn.ts'
import {
  type BackupId,
  type BackupInfo,
  backupIdAt,
  type CataloguedBackup,
  type KeepTarget,
} from '../../../src/repository/backup-info.ts'

export const SEGMENT_BYTES = 16 * 1024 * 1024
export const DAY_MS = 86_400_000
export const NOW_MS = Date.parse('2026-11-22T12:00:00Z')

export function lsn(text: string): Lsn {
  const value = parseLsn(text)
  if (value === undefined) throw new Error(`not an LSN: ${text}`)
  return value
}

/** A backup finished `daysAgo` days before NOW_MS. */
export function backup(
  daysAgo: number,
  changes: Partial<BackupInfo> & { keep?: KeepTarget } = {},
): CataloguedBackup {
  const { keep, ...rest } = changes
  const finishedAt = NOW_MS - daysAgo * DAY_MS
  const id: BackupId = backupIdAt(finishedAt - 60_000)
  const at = 100 - daysAgo
  const info: BackupInfo = {
    id,
    cluster: 'shop',
    label: null,
    type: 'full',
    method: 'stream',
    reference: null,
    fullBecause: null,
    status: 'done',
    source: { role: 'primary', server: 'db1', host: 'db1', port: 5432 },
    postgres: {
      systemIdentifier: '7',
      major: 18,
      versionNumber: 180_004,
      segmentBytes: SEGMENT_BYTES,
      dataChecksums: true,
    },
    timeline: 1,
    startLsn: lsn(`0/${at.toString(16)}000028`),
    stopLsn: lsn(`0/${at.toString(16)}000100`),
    startedAt: new Date(finishedAt - 60_000).toISOString(),
    finishedAt: new Date(finishedAt).toISOString(),
    tablespaces: [],
    bytes: { database: 1, received: 1, changed: 1, stored: 1 },
    files: 1,
    manifest: { storedBytes: 1, sha256: '' },
    serverManifest: true,
    packs: [],
    badPages: { count: 0, list: [] },
    compression: { codec: 'zstd', level: 1 },
    createdBy: 'test',
    ...rest,
  }
  return {
    info,
    keep: keep === undefined ? undefined : { keptAt: '', reason: null, target: keep },
  }
}
