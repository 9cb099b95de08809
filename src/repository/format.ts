/**
 * The repository's format in constants and object names (docs/repository-format.md). No reading, no writing.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import { formatHistoryName } from '../postgres/segment-name.ts'
import type { BackupId } from './backup-info.ts'

/** The only format version this program reads and writes. */
export const FORMAT_VERSION = 1

/** Bytes of a page: PostgreSQL's BLCKSZ as it is built everywhere. */
export const PAGE_BYTES = 8192

/** Bytes of a unit before compression, at most. */
export const UNIT_BYTES = 64 * PAGE_BYTES

/** A pack is closed once it holds this many bytes. */
export const PACK_BYTES = 1024 ** 3

/** Magic number of the zstd skippable frame that heads a pack and ends a manifest. */
export const SKIPPABLE_MAGIC = 0x184d2a50

export const REPOSITORY_OBJECT = 'repository.json'

const CLUSTER_NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/

/** Returns `name` when it may name a cluster's folder. @throws {BackstayError} USAGE otherwise. */
function checkClusterName(name: string): string {
  if (CLUSTER_NAME.test(name)) return name
  throw new BackstayError('USAGE', `Cannot use "${name}" as the name of a cluster`, {
    hint: 'Use letters, digits, "_", "." and "-", beginning with a letter or digit.',
  })
}

/** Folders and objects of one cluster by name. */
export interface ClusterNames {
  readonly identity: string
  readonly wal: string
  readonly backups: string
  readonly packs: string
  readonly gaps: string
  readonly verified: string
  readonly locks: string
  /** The WAL receiver's own folder; not objects. */
  readonly spool: string
  backupFolder(id: BackupId): string
  backupInfo(id: BackupId): string
  manifest(id: BackupId): string
  keep(id: BackupId): string
  pack(packName: string): string
  /** `segment`: 24 hex digits. */
  walSegment(segment: string): string
  /** The folder that a segment's partials are in. */
  walPartials(segment: string): string
  walPartial(segment: string, bytes: number): string
  /** `name` as PostgreSQL archives it: `<segment>.<offset>.backup`. */
  walBackupHistory(name: string): string
  walHistory(timeline: number): string
}

/** The names of everything that belongs to `cluster`. */
export function clusterNames(cluster: string): ClusterNames {
  const root = checkClusterName(cluster)
  const wal = `${root}/wal`
  const walFolder = (segment: string): string =>
    `${wal}/${segment.slice(0, 8)}/${segment.slice(8, 16)}`
  return {
    identity: `${root}/identity.json`,
    wal,
    backups: `${root}/backups`,
    packs: `${root}/packs`,
    gaps: `${root}/gaps`,
    verified: `${root}/verified`,
    locks: `${root}/locks`,
    spool: `${root}/spool`,
    backupFolder: (id) => `${root}/backups/${id}`,
    backupInfo: (id) => `${root}/backups/${id}/backup.json`,
    manifest: (id) => `${root}/backups/${id}/manifest.zst`,
    keep: (id) => `${root}/backups/${id}/keep.json`,
    pack: (packName) => `${root}/packs/${packName}.pack`,
    walSegment: (segment) => `${walFolder(segment)}/${segment}.zst`,
    walPartials: walFolder,
    walPartial: (segment, bytes) =>
      `${walFolder(segment)}/${segment}.${bytes.toString(16).toUpperCase().padStart(8, '0')}.partial.zst`,
    walBackupHistory: (name) => `${walFolder(name)}/${name}.zst`,
    walHistory: (timeline) => `${wal}/${formatHistoryName(timeline)}.zst`,
  }
}

/** What a name that `walPartial` made says, with or without its folder; undefined for every other. */
export function parsePartialName(
  name: string,
): { readonly segment: string; readonly bytes: number } | undefined {
  const match = /(?:^|\/)([0-9A-F]{24})\.([0-9A-F]{8})\.partial\.zst$/.exec(name)
  if (match === null) return undefined
  return { segment: match[1] ?? '', bytes: Number.parseInt(match[2] ?? '', 16) }
}

/** Name of the `number`-th pack (from 1) of backup `id`. */
export function packName(id: BackupId, number: number): string {
  return `${id}-${String(number).padStart(6, '0')}`
}
