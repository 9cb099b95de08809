/**
 * Payloads of server messages as values. Nothing returned is a view: it may be kept.
 * Source: PostgreSQL documentation, "Message Formats", "Error and Notice Message Fields".
 */
import { BackstayError } from '../errors/backstay-error.ts'
import type { BackendKey } from './frontend-messages.ts'
import { MessageReader } from './message-reader.ts'
import { MOST_COLUMNS } from './row-limit.ts'

/** An ErrorResponse or NoticeResponse. */
export interface ServerMessage {
  /** Not localised (9.6+): ERROR, FATAL, PANIC, WARNING, NOTICE, … */
  readonly severity: string
  readonly sqlstate: string
  readonly message: string
  readonly detail: string | undefined
  readonly hint: string | undefined
}

/** Of a text for people this much is kept. */
export const MAX_TEXT_LENGTH = 8 * 1024

/** One row: the values as the server sent them (text format), undefined for NULL. */
export type RowValues = readonly (Buffer | undefined)[]

/** What the server asks for during login. */
export type AuthenticationRequest =
  | { readonly kind: 'ok' }
  | { readonly kind: 'cleartext' }
  | { readonly kind: 'md5'; readonly salt: Buffer }
  | { readonly kind: 'sasl'; readonly mechanisms: readonly string[] }
  | { readonly kind: 'sasl-continue'; readonly data: string }
  | { readonly kind: 'sasl-final'; readonly data: string }
  | { readonly kind: 'unsupported'; readonly number: number }

/**
 * The payload of an Authentication message of any kind; one we know nothing of is `unsupported`.
 */
export function decodeAuthentication(payload: Buffer): AuthenticationRequest {
  const reader = new MessageReader(payload)
  const number = reader.int32()
  switch (number) {
    case 0:
      return { kind: 'ok' }
    case 3:
      return { kind: 'cleartext' }
    case 5:
      return { kind: 'md5', salt: Buffer.from(reader.bytes(4)) }
    case 10:
      return { kind: 'sasl', mechanisms: readMechanisms(reader) }
    case 11:
      return { kind: 'sasl-continue', data: reader.bytes().toString() }
    case 12:
      return { kind: 'sasl-final', data: reader.bytes().toString() }
    default:
      return { kind: 'unsupported', number }
  }
}

function readMechanisms(reader: MessageReader): string[] {
  const mechanisms: string[] = []
  for (let name = reader.text(); name !== ''; name = reader.text()) mechanisms.push(name)
  return mechanisms
}

/**
 * The payload of ErrorResponse or NoticeResponse. Texts are cut to `MAX_TEXT_LENGTH`; without a
 * severity it is an ERROR, without a code XX000.
 */
export function decodeServerMessage(payload: Buffer): ServerMessage {
  const reader = new MessageReader(payload)
  const fields = new Map<string, string>()
  for (let code = reader.uint8(); code !== 0; code = reader.uint8()) {
    fields.set(String.fromCharCode(code), reader.text().slice(0, MAX_TEXT_LENGTH))
  }
  return {
    severity: fields.get('V') ?? fields.get('S') ?? 'ERROR',
    sqlstate: fields.get('C') ?? 'XX000',
    message: fields.get('M') ?? '',
    detail: fields.get('D'),
    hint: fields.get('H'),
  }
}

/** The payload of ParameterStatus: a setting that the server reports, and its value now. */
export function decodeParameterStatus(payload: Buffer): { name: string; value: string } {
  const reader = new MessageReader(payload)
  return { name: reader.text(), value: reader.text() }
}

/** The payload of BackendKeyData: what a CancelRequest has to show. */
export function decodeBackendKey(payload: Buffer): BackendKey {
  const reader = new MessageReader(payload)
  return { processId: reader.int32(), secret: Buffer.from(reader.bytes()) }
}

/**
 * RowDescription: the names of the columns.
 * @throws {BackstayError} POSTGRES_PROTOCOL for more than any command of ours answers with
 */
export function decodeColumnNames(payload: Buffer): string[] {
  const reader = new MessageReader(payload)
  const length = reader.int16() & 0xffff
  if (length > MOST_COLUMNS) {
    const text = `Cannot read a message of the server: it has ${length} columns`
    throw new BackstayError('POSTGRES_PROTOCOL', text)
  }
  return Array.from({ length }, () => {
    const name = reader.text()
    reader.bytes(18) // table, column, type, size, modifier, format
    return name
  })
}

/** The payload of DataRow, in the order of the columns. */
export function decodeDataRow(payload: Buffer): RowValues {
  const reader = new MessageReader(payload)
  return Array.from({ length: reader.int16() }, () => {
    const length = reader.int32()
    return length < 0 ? undefined : Buffer.from(reader.bytes(length))
  })
}
