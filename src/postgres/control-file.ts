/**
 * `global/pg_control`: who a cluster is, in which state it stopped, from where it recovers.
 * PostgreSQL 11 to 18 on 64-bit little-endian machines. Reads only: nothing but PostgreSQL writes
 * this file. Source: PostgreSQL src/include/catalog/pg_control.h of each major; words as
 * pg_controldata prints them.
 */
import { crc32c } from '@node-rs/crc32'
import { BackstayError } from '../errors/backstay-error.ts'
import { type Lsn, toLsn } from './lsn.ts'
import { StructReader } from './struct-reader.ts'
import type { PostgresMajor } from './version.ts'

/** Where the file lies in the data directory. */
export const CONTROL_FILE_PATH = 'global/pg_control'

/** In the order of PostgreSQL's numbers. */
export const DATABASE_STATES = [
  'starting up',
  'shut down',
  'shut down in recovery',
  'shutting down',
  'in crash recovery',
  'in archive recovery',
  'in production',
] as const

/** The cluster's state when the file was last written. */
export type DatabaseState = (typeof DATABASE_STATES)[number]

/**
 * PostgreSQL's words of wal_level from least to most, in the order of their numbers in pg_control.
 */
export const WAL_LEVELS = ['minimal', 'replica', 'logical'] as const

/** How much WAL says. */
export type WalLevel = (typeof WAL_LEVELS)[number]

/** The latest checkpoint: where its record is, and what recovery begins with. */
interface ControlCheckpoint {
  /** Where its record starts (not ends). */
  readonly lsn: Lsn
  /** Where recovery from it starts. */
  readonly redoLsn: Lsn
  readonly timeline: number
  /** Differs from `timeline` only when the checkpoint begins a timeline. */
  readonly previousTimeline: number
  readonly fullPageWrites: boolean
  readonly nextXid: { readonly epoch: number; readonly xid: number }
  readonly nextOid: number
  readonly oldestXid: number
  /** Epoch milliseconds, whole seconds. */
  readonly timeMs: number
}

/** The settings a standby must not fall below, as the primary had them. */
export interface ControlParameters {
  readonly walLevel: WalLevel
  readonly walLogHints: boolean
  readonly maxConnections: number
  readonly maxWorkerProcesses: number
  /** Undefined up to PostgreSQL 11. */
  readonly maxWalSenders: number | undefined
  readonly maxPreparedTransactions: number
  readonly maxLocksPerTransaction: number
  readonly trackCommitTimestamp: boolean
}

/** What pg_control says. Positions that are not set are `INVALID_LSN`. */
export interface ControlFile {
  /** Decimal. */
  readonly systemIdentifier: string
  readonly controlVersion: number
  readonly catalogVersion: number
  /** Undefined for a development version. */
  readonly major: PostgresMajor | undefined
  readonly state: DatabaseState
  /** When the file was written; epoch milliseconds, whole seconds. */
  readonly modifiedAtMs: number
  readonly checkpoint: ControlCheckpoint
  /**
   * How far recovery must come before the cluster is consistent; set on standbys and while
   * recovering.
   */
  readonly minRecoveryLsn: Lsn
  readonly minRecoveryTimeline: number
  /** Set while recovering from a base backup whose end was not reached. */
  readonly backupStartLsn: Lsn
  readonly backupEndLsn: Lsn
  readonly backupEndRequired: boolean
  readonly parameters: ControlParameters
  readonly blockBytes: number
  readonly relationSegmentBlocks: number
  readonly walBlockBytes: number
  readonly segmentBytes: number
  /** 0: pages have no checksums. */
  readonly dataChecksumVersion: number
}

const CONTROL_VERSION_11 = 1100
const CONTROL_VERSION_12 = 1201
const CONTROL_VERSION_18 = 1800
const KNOWN_VERSIONS = [CONTROL_VERSION_11, CONTROL_VERSION_12, 1300, 1700, CONTROL_VERSION_18]
const NONCE_BYTES = 32
const FLOAT_FORMAT = 1234567

/** CATALOG_VERSION_NO of each major's releases. */
const MAJOR_OF_CATALOG: Readonly<Record<number, PostgresMajor>> = {
  201809051: 11,
  201909212: 12,
  202007201: 13,
  202107181: 14,
  202209061: 15,
  202307071: 16,
  202406281: 17,
  202506291: 18,
}

/**
 * Parses the file's content (8192 bytes; more than 300 are enough).
 * @throws {BackstayError} POSTGRES_FILE_INVALID when the version is unknown or the CRC is wrong. A
 * copy taken while the server was writing can be torn: read it again before believing that.
 */
export function parseControlFile(bytes: Uint8Array): ControlFile {
  const reader = new StructReader(bytes)
  try {
    return readControlFile(bytes, reader)
  } catch (error) {
    if (error instanceof RangeError) throw invalid(`it ends after ${bytes.length} bytes`)
    throw error
  }
}

function readControlFile(bytes: Uint8Array, reader: StructReader): ControlFile {
  const systemIdentifier = reader.u64().toString()
  const controlVersion = reader.u32()
  if (!KNOWN_VERSIONS.includes(controlVersion)) {
    throw invalid(`its version is ${controlVersion}, not one of PostgreSQL 11 to 18`)
  }
  const catalogVersion = reader.u32()
  const state = word(DATABASE_STATES, reader.u32())
  const modifiedAtMs = seconds(reader)
  const checkpoint = readCheckpoint(reader, controlVersion)
  reader.u64() // unloggedLSN: meaningless outside the server.
  const recovery = readRecoveryPoints(reader)
  const parameters = readParameters(reader, controlVersion)
  const layout = readLayout(reader, controlVersion)
  assertCrc(bytes, reader)
  return {
    systemIdentifier,
    controlVersion,
    catalogVersion,
    major: MAJOR_OF_CATALOG[catalogVersion],
    state,
    modifiedAtMs,
    checkpoint,
    ...recovery,
    parameters,
    ...layout,
  }
}

function readCheckpoint(reader: StructReader, version: number): ControlCheckpoint {
  const lsn = toLsn(reader.u64())
  const redoLsn = toLsn(reader.u64())
  const timeline = reader.u32()
  const previousTimeline = reader.u32()
  const fullPageWrites = reader.bool()
  if (version >= CONTROL_VERSION_18) reader.i32() // wal_level, the same as in the parameters.
  const nextXid = readNextXid(reader, version)
  const nextOid = reader.u32()
  reader.skip(8) // nextMulti, nextMultiOffset
  const oldestXid = reader.u32()
  reader.skip(12) // oldestXidDB, oldestMulti, oldestMultiDB
  const timeMs = seconds(reader)
  reader.skip(12) // oldestCommitTsXid, newestCommitTsXid, oldestActiveXid
  reader.align(8)
  return {
    lsn,
    redoLsn,
    timeline,
    previousTimeline,
    fullPageWrites,
    nextXid,
    nextOid,
    oldestXid,
    timeMs,
  }
}

function readNextXid(reader: StructReader, version: number): ControlCheckpoint['nextXid'] {
  if (version === CONTROL_VERSION_11) return { epoch: reader.u32(), xid: reader.u32() }
  const full = reader.u64()
  return { epoch: Number(full >> 32n), xid: Number(full & 0xffffffffn) }
}

type RecoveryPoints = Pick<
  ControlFile,
  'minRecoveryLsn' | 'minRecoveryTimeline' | 'backupStartLsn' | 'backupEndLsn' | 'backupEndRequired'
>

function readRecoveryPoints(reader: StructReader): RecoveryPoints {
  return {
    minRecoveryLsn: toLsn(reader.u64()),
    minRecoveryTimeline: reader.u32(),
    backupStartLsn: toLsn(reader.u64()),
    backupEndLsn: toLsn(reader.u64()),
    backupEndRequired: reader.bool(),
  }
}

function readParameters(reader: StructReader, version: number): ControlParameters {
  return {
    walLevel: word(WAL_LEVELS, reader.i32()),
    walLogHints: reader.bool(),
    maxConnections: reader.i32(),
    maxWorkerProcesses: reader.i32(),
    maxWalSenders: version >= CONTROL_VERSION_12 ? reader.i32() : undefined,
    maxPreparedTransactions: reader.i32(),
    maxLocksPerTransaction: reader.i32(),
    trackCommitTimestamp: reader.bool(),
  }
}

type Layout = Pick<
  ControlFile,
  'blockBytes' | 'relationSegmentBlocks' | 'walBlockBytes' | 'segmentBytes' | 'dataChecksumVersion'
>

function readLayout(reader: StructReader, version: number): Layout {
  reader.u32() // maxAlign
  if (reader.f64() !== FLOAT_FORMAT) throw invalid('its floating-point format is unknown')
  const blockBytes = reader.u32()
  const relationSegmentBlocks = reader.u32()
  const walBlockBytes = reader.u32()
  const segmentBytes = reader.u32()
  reader.skip(16) // nameDataLen, indexMaxKeys, toast_max_chunk_size, loblksize
  reader.skip(2) // float8ByVal, before PostgreSQL 13 float4ByVal too; padding otherwise.
  const dataChecksumVersion = reader.u32()
  if (version >= CONTROL_VERSION_18) reader.bool() // default_char_signedness
  reader.skip(NONCE_BYTES)
  return { blockBytes, relationSegmentBlocks, walBlockBytes, segmentBytes, dataChecksumVersion }
}

function assertCrc(bytes: Uint8Array, reader: StructReader): void {
  reader.align(4)
  const computed = crc32c(bytes.subarray(0, reader.offset))
  if (computed !== reader.u32()) throw invalid('its CRC does not match its content')
}

function word<T extends string>(words: readonly T[], number: number): T {
  const found = words[number]
  if (found === undefined)
    throw invalid(`it holds ${number} where one of "${words.join('", "')}" belongs`)
  return found
}

function seconds(reader: StructReader): number {
  return Number(reader.i64()) * 1000
}

function invalid(problem: string): BackstayError {
  return new BackstayError('POSTGRES_FILE_INVALID', `Cannot read pg_control: ${problem}`, {
    hint: 'If the server runs, try again; otherwise the data directory is damaged: restore it or clone it anew.',
  })
}
