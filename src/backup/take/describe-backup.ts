/**
 * Puts together what backup.json says. Pure.
 */
import { BackstayError } from '../../errors/backstay-error.ts'
import type { BackupId, BackupInfo, BackupMethod, PackUse } from '../../repository/backup-info.ts'
import type { ReceivedBackup } from './backup-receiver.ts'
import { DEFAULT_LEVEL } from '../../repository/codec.ts'
import type { ReferenceChoice } from './choose-reference.ts'
import type { ResumedFulls } from './receive-backup.ts'
import type { BackedUpServer } from './backed-up-server.ts'
import type { TakeBackupOptions } from './take-options.ts'

/** Everything known of a backup when its last byte is stored. */
export interface TakenBackup {
  readonly id: BackupId
  readonly choice: ReferenceChoice
  readonly method: BackupMethod
  readonly server: BackedUpServer
  readonly received: ReceivedBackup & Pick<BackupInfo, 'tornPages'>
  /** Interrupted fulls that it went on with. */
  readonly resumed?: ResumedFulls | undefined
  /** Epoch milliseconds. */
  readonly startedAtMs: number
  readonly finishedAtMs: number
}

/** What is said of a backup by whoever wants it. */
export type BackupRecord = Pick<
  TakeBackupOptions,
  'cluster' | 'label' | 'server' | 'level' | 'createdBy'
> & { readonly connection: Pick<TakeBackupOptions['connection'], 'host' | 'port'> }

/** The backup as it will be listed. */
export function describeBackup(taken: TakenBackup, options: BackupRecord): BackupInfo {
  const { id, choice, method, server, received } = taken
  const { start, end, manifest, badPages } = received
  return {
    id,
    cluster: options.cluster,
    label: options.label,
    type: choice.type,
    method,
    reference: choice.type === 'full' ? null : choice.reference.id,
    fullBecause: choice.type === 'full' ? choice.because : null,
    status: badPages.count === 0 ? 'done' : 'bad-pages',
    source: {
      role: received.role,
      server: options.server,
      host: options.connection.host,
      port: options.connection.port,
    },
    postgres: {
      systemIdentifier: server.systemIdentifier,
      major: server.major,
      versionNumber: server.versionNumber,
      segmentBytes: server.segmentBytes,
      dataChecksums: server.dataChecksums,
    },
    timeline: start.timeline,
    startLsn: start.startLsn,
    stopLsn: end.endLsn,
    startedAt: new Date(taken.startedAtMs).toISOString(),
    finishedAt: new Date(taken.finishedAtMs).toISOString(),
    tablespaces: tablespacesOf(received),
    bytes: {
      database: manifest.totals.bytes,
      received: received.receivedBytes,
      changed: received.changedBytes,
      stored:
        manifest.storedBytes +
        received.pageCrcBytes +
        sum(received.packs.map((pack) => pack.storedBytes)),
    },
    files: manifest.totals.files,
    manifest: { storedBytes: manifest.storedBytes, sha256: manifest.sha256 },
    serverManifest: received.serverManifest,
    packs: packUses(taken),
    badPages,
    ...(method === 'incremental' && received.knewLimits ? { truePages: true } : {}),
    ...(received.tornPages?.length ? { tornPages: received.tornPages } : {}),
    ...(taken.resumed === undefined ? {} : { resumed: taken.resumed.ids }),
    compression: { codec: 'zstd', level: options.level ?? DEFAULT_LEVEL },
    createdBy: options.createdBy,
  }
}

function tablespacesOf({ start }: ReceivedBackup): BackupInfo['tablespaces'] {
  return start.tablespaces.flatMap(({ oid, location }) =>
    oid === undefined || location === undefined ? [] : [{ oid, location }],
  )
}

/** New packs and those of the reference that are still pointed into. */
function packUses({ received, choice, resumed }: TakenBackup): PackUse[] {
  const older = choice.type === 'full' ? (resumed?.packs ?? []) : choice.reference.packs
  const known = new Map([...older, ...received.packs].map((pack) => [pack.name, pack]))
  return [...received.liveBytes]
    .map(([name, liveBytes]) => {
      const pack = known.get(name)
      if (pack === undefined) throw new BackstayError('BUG', `No backup knows pack "${name}"`)
      return { name, storedBytes: pack.storedBytes, rawBytes: pack.rawBytes, liveBytes }
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
