/**
 * Text of BASE_BACKUP in both spellings: bare words up to 14, parenthesised options from 15.
 * Source: PostgreSQL documentation, "Streaming Replication Protocol", BASE_BACKUP (11 and 18).
 */
import { BackstayError } from '../errors/backstay-error.ts'
import { versionFacts } from '../postgres/version.ts'
import { quoteLiteral } from './replication-command.ts'

/** The algorithms MANIFEST_CHECKSUMS of BASE_BACKUP knows, in PostgreSQL's spelling. */
export const MANIFEST_CHECKSUMS = [
  'NONE',
  'CRC32C',
  'SHA224',
  'SHA256',
  'SHA384',
  'SHA512',
] as const

/** What the server is asked for. Everything may be left out. */
export interface BaseBackupOptions {
  /** Shown in backup_label and in the server's log. Default `backstay`. */
  readonly label?: string
  /**
   * `fast` starts at once, at the cost of a burst of writes; `spread` takes its time. Default
   * `fast`.
   */
  readonly checkpoint?: 'fast' | 'spread'
  /** Have the server estimate sizes before it starts (it walks all files). Default true. */
  readonly progress?: boolean
  /** Put the WAL needed into the archive (pg_basebackup's `-X fetch`). Default false. */
  readonly includeWal?: boolean
  /** Wait at the end until the WAL needed is archived. Default false. */
  readonly waitForArchive?: boolean
  /** Bytes a second at most, between 32 KiB and 1 GiB. */
  readonly maxRateBytes?: number
  /**
   * List tablespaces in the file tablespace_map instead of as links in the archive. Default true.
   */
  readonly tablespaceMap?: boolean
  /** Have the server verify page checksums as well. Default false: the receiver does it. */
  readonly verifyChecksums?: boolean
  /** Ask for backup_manifest where the server makes one (13+). Default true. */
  readonly manifest?: boolean
  /** Default CRC32C. */
  readonly manifestChecksums?: (typeof MANIFEST_CHECKSUMS)[number]
  /** Send only what changed since the manifest uploaded on this connection (17+). */
  readonly incremental?: boolean
}

const MIN_RATE_KIB = 32
const MAX_RATE_KIB = 1_048_576

/** One option in both spellings; the old one undefined where it has none. */
interface Spelling {
  readonly words: string | undefined
  readonly option: string
}

/**
 * The command for a server of `major`.
 * @throws {BackstayError} CONFIG_INVALID for a rate out of range; POSTGRES_VERSION for
 * `incremental` before 17.
 */
export function baseBackupCommand(options: BaseBackupOptions, major: number): string {
  const facts = versionFacts(major)
  if (options.incremental === true && !facts.incrementalBackup) {
    throw new BackstayError(
      'POSTGRES_VERSION',
      `Cannot take an incremental base backup from PostgreSQL ${major}: it needs 17`,
    )
  }
  const spellings = [...commonSpellings(options), ...manifestSpellings(options, major)]
  if (facts.baseBackupParentheses) {
    return `BASE_BACKUP (${spellings.map((spelling) => spelling.option).join(', ')})`
  }
  return ['BASE_BACKUP', ...spellings.flatMap((spelling) => spelling.words ?? [])].join(' ')
}

function commonSpellings(options: BaseBackupOptions): Spelling[] {
  const label = quoteLiteral(options.label ?? 'backstay')
  const rate = rateOf(options.maxRateBytes)
  const isFast = options.checkpoint !== 'spread'
  const waits = options.waitForArchive === true
  const verifies = options.verifyChecksums === true
  const includesWal = options.includeWal === true
  return [
    { words: `LABEL ${label}`, option: `LABEL ${label}` },
    ...(options.progress === false ? [] : [{ words: 'PROGRESS', option: 'PROGRESS' }]),
    { words: isFast ? 'FAST' : undefined, option: `CHECKPOINT '${isFast ? 'fast' : 'spread'}'` },
    { words: includesWal ? 'WAL' : undefined, option: `WAL ${includesWal}` },
    { words: waits ? undefined : 'NOWAIT', option: `WAIT ${waits}` },
    ...(rate === undefined ? [] : [{ words: `MAX_RATE ${rate}`, option: `MAX_RATE ${rate}` }]),
    ...(options.tablespaceMap === false
      ? []
      : [{ words: 'TABLESPACE_MAP', option: 'TABLESPACE_MAP' }]),
    {
      words: verifies ? undefined : 'NOVERIFY_CHECKSUMS',
      option: `VERIFY_CHECKSUMS ${verifies}`,
    },
  ]
}

function manifestSpellings(options: BaseBackupOptions, major: number): Spelling[] {
  if (options.manifest === false || !versionFacts(major).backupManifest) return []
  const checksums = `MANIFEST_CHECKSUMS '${options.manifestChecksums ?? 'CRC32C'}'`
  return [
    { words: "MANIFEST 'yes'", option: "MANIFEST 'yes'" },
    { words: checksums, option: checksums },
    ...(options.incremental === true ? [{ words: undefined, option: 'INCREMENTAL' }] : []),
  ]
}

function rateOf(maxRateBytes: number | undefined): number | undefined {
  if (maxRateBytes === undefined) return undefined
  const kib = Math.floor(maxRateBytes / 1024)
  if (kib >= MIN_RATE_KIB && kib <= MAX_RATE_KIB) return kib
  throw new BackstayError(
    'CONFIG_INVALID',
    `Cannot limit a base backup to ${maxRateBytes} bytes a second: PostgreSQL allows 32 kB to 1 GB`,
  )
}
