/**
 * The messages inside the COPY of physical streaming: WAL data, keepalives, and the standby's
 * status. Source: PostgreSQL documentation, "Streaming Replication Protocol", START_REPLICATION.
 */
import { INVALID_LSN, type Lsn, toLsn } from '../postgres/lsn.ts'
import { MessageReader } from './message-reader.ts'

/** First byte of a message of WAL (XLogData). */
export const WAL_DATA = 0x77 // w
/** First byte of the server's sign of life (Primary keepalive message). */
export const KEEPALIVE = 0x6b // k
const STATUS = 0x72 // r

/** Bytes before the WAL itself, the letter included. */
export const WAL_DATA_HEADER_BYTES = 25
/** Bytes of a keepalive, the letter included. */
export const KEEPALIVE_BYTES = 18
const STATUS_BYTES = 34

/** PostgreSQL counts microseconds from 2000-01-01 UTC. */
const POSTGRES_EPOCH_MS = 946_684_800_000

/** Where a piece of WAL lies, and what the server said with it. */
export interface WalDataHeader {
  /** Position of the piece's first byte. */
  readonly startLsn: Lsn
  /** The server's own end of WAL when it sent. */
  readonly serverEndLsn: Lsn
  readonly sendTimeMs: number
}

/** A sign of life. */
export interface WalKeepalive {
  readonly serverEndLsn: Lsn
  readonly sendTimeMs: number
  /** The server wants a status at once, else it takes this side for dead. */
  readonly isReplyRequested: boolean
}

/** How far WAL has come on this side. Left out: not so far at all. */
export interface WalProgress {
  readonly writeLsn: Lsn
  /** Durable. The server drops WAL and releases waiting commits on this word. */
  readonly flushLsn: Lsn
  readonly applyLsn?: Lsn
}

/** Reads the header of WAL data, letter included. */
export function decodeWalHeader(header: Buffer): WalDataHeader {
  const reader = new MessageReader(header.subarray(1))
  return {
    startLsn: toLsn(reader.uint64()),
    serverEndLsn: toLsn(reader.uint64()),
    sendTimeMs: readTime(reader),
  }
}

/** Reads a keepalive, letter included. */
export function decodeKeepalive(message: Buffer): WalKeepalive {
  const reader = new MessageReader(message.subarray(1))
  return {
    serverEndLsn: toLsn(reader.uint64()),
    sendTimeMs: readTime(reader),
    isReplyRequested: reader.uint8() === 1,
  }
}

/** Standby status update, as the payload of a CopyData. */
export function encodeStatus(
  progress: WalProgress,
  moment: { readonly nowMs: number; readonly requestReply: boolean },
): Buffer {
  const bytes = Buffer.alloc(STATUS_BYTES)
  bytes.writeUInt8(STATUS, 0)
  bytes.writeBigUInt64BE(progress.writeLsn, 1)
  bytes.writeBigUInt64BE(progress.flushLsn, 9)
  bytes.writeBigUInt64BE(progress.applyLsn ?? INVALID_LSN, 17)
  bytes.writeBigInt64BE(BigInt(Math.round(moment.nowMs - POSTGRES_EPOCH_MS)) * 1000n, 25)
  bytes.writeUInt8(moment.requestReply ? 1 : 0, 33)
  return bytes
}

function readTime(reader: MessageReader): number {
  return Number(BigInt.asIntN(64, reader.uint64()) / 1000n) + POSTGRES_EPOCH_MS
}
