/**
 * What a base backup's stream is received with.
 */
import type { Lsn } from '../../postgres/lsn.ts'
import type { BackupId, BackupMethod } from '../../repository/backup-info.ts'
import type { ClusterRepository } from '../../repository/cluster-repository.ts'
import type { PackReader } from '../../repository/pack-reader.ts'
import type { EmptyingPlan } from './emptied-packs.ts'
import type { ReferenceIndex } from './reference-index.ts'

/** The backup whose unchanged pages are pointed at. */
export interface OpenReference {
  readonly index: ReferenceIndex
  /** Its start. */
  readonly startLsn: Lsn
  readonly emptying: EmptyingPlan
  readonly packs: PackReader
  /**
   * Whether a page with an older LSN than its start is byte for byte the same there (`has-same-pages.ts`). Where that is not
   * sure each page is compared.
   */
  readonly hasSamePages?: boolean
}

/** What is reported while data comes in. */
export interface ReceivedSoFar {
  readonly receivedBytes: number
  /** The server's estimate; undefined when it gave none. */
  readonly totalBytes: number | undefined
  readonly files: number
}

/** For `BackupReceiver`. */
export interface ReceiveOptions {
  readonly cluster: ClusterRepository
  readonly id: BackupId
  readonly method: BackupMethod
  /** Undefined for a full. */
  readonly reference: OpenReference | undefined
  /** Whether the cluster's pages carry checksums. */
  readonly dataChecksums: boolean
  /** zstd level. */
  readonly level: number
  /** Compression threads. */
  readonly workers: number
  /** Default 1 GiB. */
  readonly packBytes?: number
  /** Called often; must return at once. */
  readonly onProgress?: (soFar: ReceivedSoFar) => void
}
