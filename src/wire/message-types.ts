/**
 * Type bytes of the messages that a replication connection meets.
 * Source: PostgreSQL documentation, "Message Formats"; src/include/libpq/protocol.h.
 */

/** First byte of each message the server sends. */
export const BACKEND = {
  authentication: 0x52, // R
  backendKeyData: 0x4b, // K
  commandComplete: 0x43, // C
  copyBothResponse: 0x57, // W
  copyData: 0x64, // d
  copyDone: 0x63, // c
  copyInResponse: 0x47, // G
  copyOutResponse: 0x48, // H
  dataRow: 0x44, // D
  emptyQueryResponse: 0x49, // I
  errorResponse: 0x45, // E
  negotiateProtocolVersion: 0x76, // v
  noticeResponse: 0x4e, // N
  parameterStatus: 0x53, // S
  readyForQuery: 0x5a, // Z
  rowDescription: 0x54, // T
} as const

const KNOWN = new Set<number>(Object.values(BACKEND))

/** Whether a server may send a message of this type on a replication connection. */
export function isBackendType(type: number): boolean {
  return KNOWN.has(type)
}

/** A type byte for an error text: `"Z"`, or `0x00` when it is not printable. */
export function describeType(type: number): string {
  return type > 0x20 && type < 0x7f ? `"${String.fromCharCode(type)}"` : `0x${type.toString(16)}`
}
