/**
 * What differs between PostgreSQL's major versions, as facts with names.
 */
export const SUPPORTED_MAJORS = [11, 12, 13, 14, 15, 16, 17, 18] as const

/** A major version Backstay works with. */
export type PostgresMajor = (typeof SUPPORTED_MAJORS)[number]

/** Narrows a number to a supported major version. */
export function isSupportedMajor(major: number): major is PostgresMajor {
  return (SUPPORTED_MAJORS as readonly number[]).includes(major)
}

/** The major version in `server_version_num` (`150018` → 15, `180004` → 18). */
export function majorOfVersionNumber(versionNumber: number): number {
  return Math.floor(versionNumber / 10_000)
}

/** What a major version can do and how it spells it. Keys are named after what they decide. */
export interface VersionFacts {
  /** Recovery is set up by recovery.conf (≤ 11) instead of settings and signal files (12+). */
  readonly recoveryConf: boolean
  /** `wal_keep_segments` (≤ 12) became `wal_keep_size` in 13. */
  readonly walKeepSetting: 'wal_keep_segments' | 'wal_keep_size'
  readonly maxSlotWalKeepSize: boolean
  /** `primary_conninfo` can change with a reload (13+). */
  readonly conninfoReloads: boolean
  readonly backupManifest: boolean
  /** backup_manifest names the system identifier (17+). */
  readonly manifestNamesSystem: boolean
  /** BASE_BACKUP takes parenthesised options and frames archives inside COPY data (15+). */
  readonly baseBackupParentheses: boolean
  /** pg_start_backup became pg_backup_start, and lost its exclusive mode (15+). */
  readonly backupStartFunctions: boolean
  /** UPLOAD_MANIFEST and BASE_BACKUP (INCREMENTAL) exist (17+). */
  readonly incrementalBackup: boolean
  /** `password_encryption` is scram-sha-256 out of the box (14+). */
  readonly scramByDefault: boolean
  readonly pgPromote: boolean
  /** initdb enables data checksums without being asked (18+). */
  readonly checksumsByDefault: boolean
}

/** The facts of one major version. */
export function versionFacts(major: number): VersionFacts {
  return {
    recoveryConf: major < 12,
    walKeepSetting: major < 13 ? 'wal_keep_segments' : 'wal_keep_size',
    maxSlotWalKeepSize: major >= 13,
    conninfoReloads: major >= 13,
    backupManifest: major >= 13,
    manifestNamesSystem: major >= 17,
    baseBackupParentheses: major >= 15,
    backupStartFunctions: major >= 15,
    incrementalBackup: major >= 17,
    scramByDefault: major >= 14,
    pgPromote: major >= 12,
    checksumsByDefault: major >= 18,
  }
}
