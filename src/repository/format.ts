/**
 * The repository's format in constants and object names (docs/repository-format.md). No reading, no
 * writing.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import { formatLsn, type Lsn } from '../postgres/lsn.ts'
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

/**
 * A pack is closed, too, once its units hold this many bytes before compression: what describes a
 * pack stays small.
 */
export const PACK_RAW_BYTES = 8 * 1024 ** 3

/** Magic number of the zstd skippable frame that heads a pack and ends a manifest. */
export const SKIPPABLE_MAGIC = 0x184d2a50

/** Name of the object that makes a folder a repository. */
export const REPOSITORY_OBJECT = 'repository.json'

const CLUSTER_NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/

/** Returns `name` when it may name a cluster's folder. @throws {BackstayError} USAGE otherwise. */
function checkClusterName(name: string): string {
  if (CLUSTER_NAME.test(name)) return name
  throw new BackstayError('USAGE', `Cannot use "${name}" as the name of a cluster`, {
    hint: 'Use letters, digits, "_", "." and "-", beginning with a letter or digit.',
  })
}

/** What the name of a partial says. */
export interface PartialName {
  /** 24 hex digits. */
  readonly segment: string
  /** Length of its content. */
  readonly bytes: number
  /** Of its content, 16 hex digits; objects of earlier versions have none. */
  readonly fingerprint?: string
}

/**
 * Why an object had to make room: it cannot be used, or it was pushed and is other than what the
 * primary streamed.
 */
export type AsideReason = 'damaged' | 'pushed'

/** Folders and objects of one cluster by name. */
export interface ClusterNames {
  readonly identity: string
  /** Says that all WAL is examined for wal_level when it is stored, or was. */
  readonly examined: string
  readonly wal: string
  readonly backups: string
  readonly packs: string
  readonly gaps: string
  readonly verified: string
  /** What verification found damaged. */
  readonly damaged: string
  readonly locks: string
  /** Where production was seen. */
  readonly lines: string
  /** Timelines declared dead. */
  readonly abandoned: string
  /** Holes that retention answers for. */
  readonly released: string
  /** Pushed WAL that turned out to be other than the primary's. */
  readonly contested: string
  /** The WAL receiver's own folder; not objects. */
  readonly spool: string
  backupFolder(id: BackupId): string
  backupInfo(id: BackupId): string
  manifest(id: BackupId): string
  /** CRCs of the backup's pages; derived, may be absent. */
  pageCrcs(id: BackupId): string
  keep(id: BackupId): string
  /** Present while the last verification of the backup found it damaged. */
  damage(id: BackupId): string
  /** Says that the `number`-th pack of a full backup that is being taken is finished. */
  part(id: BackupId, number: number): string
  /** What lies in that pack. */
  partManifest(id: BackupId, number: number): string
  partPageCrcs(id: BackupId, number: number): string
  /** Present while the last work of a kind failed. */
  failedJob(kind: string): string
  pack(packName: string): string
  /** `segment`: 24 hex digits. */
  walSegment(segment: string): string
  /** What a segment changes; derived, may be absent. */
  walBlocks(segment: string): string
  /** The folder that a segment's partials are in. */
  walPartials(segment: string): string
  walPartial(partial: PartialName): string
  /**
   * Says that WAL file `name` (a segment or a history file) was pushed, and that the receiver has
   * not seen it yet.
   */
  walPushed(name: string): string
  /**
   * Where the object of WAL file `name` is kept that had to make room; `fingerprint` of its bytes:
   * 16 hex digits.
   */
  walAside(name: string, why: AsideReason, fingerprint: string): string
  /** `name` as PostgreSQL archives it: `<segment>.<offset>.backup`. */
  walBackupHistory(name: string): string
  walHistory(timeline: number): string
  /**
   * Where WAL is kept that `server` wrote on `timeline` after the others had left it at `forkLsn`.
   */
  forkFolder(server: string, timeline: number, forkLsn: Lsn): string
}

/** The names of everything that belongs to `cluster`. */
export function clusterNames(cluster: string): ClusterNames {
  const root = checkClusterName(cluster)
  const wal = `${root}/wal`
  const walFolder = (segment: string): string =>
    `${wal}/${segment.slice(0, 8)}/${segment.slice(8, 16)}`
  const walFile = (name: string): string =>
    name.endsWith('.history') ? `${wal}/${name}` : `${walFolder(name)}/${name}`
  return {
    identity: `${root}/identity.json`,
    examined: `${root}/examined.json`,
    wal,
    backups: `${root}/backups`,
    packs: `${root}/packs`,
    gaps: `${root}/gaps`,
    verified: `${root}/verified`,
    damaged: `${root}/damaged`,
    locks: `${root}/locks`,
    lines: `${root}/lines`,
    abandoned: `${root}/abandoned`,
    released: `${root}/released`,
    contested: `${root}/contested`,
    spool: `${root}/spool`,
    backupFolder: (id) => `${root}/backups/${id}`,
    backupInfo: (id) => `${root}/backups/${id}/backup.json`,
    manifest: (id) => `${root}/backups/${id}/manifest.zst`,
    pageCrcs: (id) => `${root}/backups/${id}/pages.crc`,
    part: (id, number) => `${root}/backups/${id}/part-${sixDigits(number)}.json`,
    partManifest: (id, number) => `${root}/backups/${id}/part-${sixDigits(number)}.manifest.zst`,
    partPageCrcs: (id, number) => `${root}/backups/${id}/part-${sixDigits(number)}.pages.crc`,
    failedJob: (kind) => `${root}/failed/${kind}.json`,
    keep: (id) => `${root}/backups/${id}/keep.json`,
    damage: (id) => `${root}/damaged/${id}.json`,
    pack: (packName) => `${root}/packs/${packName}.pack`,
    walSegment: (segment) => `${walFolder(segment)}/${segment}.zst`,
    walBlocks: (segment) => `${walFolder(segment)}/${segment}.blocks.zst`,
    walPartials: walFolder,
    walPartial: ({ segment, bytes, fingerprint }) => {
      const length = bytes.toString(16).toUpperCase().padStart(8, '0')
      const mark = fingerprint === undefined ? '' : `-${fingerprint}`
      return `${walFolder(segment)}/${segment}.${length}${mark}.partial.zst`
    },
    walPushed: (name) => `${walFile(name)}.pushed.json`,
    walAside: (name, why, fingerprint) => `${walFile(name)}.${fingerprint}.${why}.zst`,
    walBackupHistory: (name) => `${walFolder(name)}/${name}.zst`,
    walHistory: (timeline) => `${wal}/${formatHistoryName(timeline)}.zst`,
    forkFolder: (server, timeline, forkLsn) =>
      `${root}/forks/${server}-${timeline}-${formatLsn(forkLsn).replace('/', '-')}`,
  }
}

/**
 * What a name that `walPartial` made says, with or without its folder; undefined for every other.
 */
export function parsePartialName(name: string): PartialName | undefined {
  const match = /(?:^|\/)([0-9A-F]{24})\.([0-9A-F]{8})(?:-([0-9A-F]{16}))?\.partial\.zst$/.exec(
    name,
  )
  if (match === null) return undefined
  const [, segment = '', length = '', fingerprint] = match
  const partial = { segment, bytes: Number.parseInt(length, 16) }
  return fingerprint === undefined ? partial : { ...partial, fingerprint }
}

/** Name of the `number`-th pack (from 1) of backup `id`. */
export function packName(id: BackupId, number: number): string {
  return `${id}-${sixDigits(number)}`
}

function sixDigits(number: number): string {
  return String(number).padStart(6, '0')
}
