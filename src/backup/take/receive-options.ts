/**
 * What a base backup's stream is received with.
 */
import type { BlockMap } from '../../postgres/block-map.ts'
import type { Lsn } from '../../postgres/lsn.ts'
import type { BackupId, BackupMethod } from '../../repository/backup-info.ts'
import type { ClusterRepository } from '../../repository/cluster-repository.ts'
import type { PackReader } from '../../repository/pack-reader.ts'
import type { EmptyingPlan } from './emptied-packs.ts'
import type { BaseBackupStart } from '../../wire/base-backup-sink.ts'
import type { ReferenceFiles } from './reference-files.ts'
import type { LimitOf } from './relation-limits.ts'

/**
 * The backup whose unchanged pages are pointed at: an older one, or what an interrupted full left.
 */
export interface OpenReference {
  readonly files: Pick<ReferenceFiles, 'find'>
  /** Its start. */
  readonly startLsn: Lsn
  readonly emptying: EmptyingPlan
  readonly packs: PackReader
}

/** A map that vouches. */
export interface MappedBlocks {
  readonly map: BlockMap
  /** When the reference began: a file that was written since, and that no WAL names, is compared. */
  readonly sinceMs: number
}

/** What is told so that the next backup can go on should this one be interrupted. */
export interface PartsWish {
  /** A pack is closed when it is as old. */
  readonly packMs: number
}

/** What is reported while data comes in. */
export interface ReceivedSoFar {
  readonly receivedBytes: number
  /** The server's estimate; undefined when it gave none. */
  readonly totalBytes: number | undefined
  readonly files: number
}

/** What a `BackupReceiver` is told: which backup it makes, on what it builds, what it may use. */
export interface ReceiveOptions {
  readonly cluster: ClusterRepository
  readonly id: BackupId
  readonly method: BackupMethod
  /** Undefined for a full that begins anew. */
  readonly reference: OpenReference | undefined
  /**
   * With method `incremental`: to where relations were cut since the reference. Left out where
   * nobody can be asked any more: what stood behind a cut may then be taken over, as
   * pg_combinebackup does.
   */
  readonly limits?: (start: BaseBackupStart) => Promise<LimitOf>
  /** Whether the cluster's pages carry checksums. */
  readonly dataChecksums: boolean
  /** zstd level. */
  readonly level: number
  /** Compression threads. */
  readonly workers: number
  /** Undefined: an interrupted one is not gone on with. */
  readonly parts?: PartsWish
  /** Make a backup_manifest, because the server sends none. */
  readonly makesManifest?: boolean
  /** What the WAL since the reference names; left out: every page is compared. */
  readonly mapped?: MappedBlocks
  /** Told of bytes that were read here; holds back who reads too fast. */
  readonly pace?: (bytes: number) => Promise<void>
  /** Default 1 GiB. */
  readonly packBytes?: number
  /** Called often; must return at once. */
  readonly onProgress?: (soFar: ReceivedSoFar) => void
}
