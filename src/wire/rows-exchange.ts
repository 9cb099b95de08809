/**
 * An exchange that only gathers rows: the simple replication commands.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import { decodeColumnNames, decodeDataRow } from './backend-messages.ts'
import { type Exchange, unexpectedMessage } from './conversation.ts'
import { BACKEND } from './message-types.ts'

/** The most rows a replication command may answer with. */
const MAX_ROWS = 10_000
/** And the most bytes: a history file is the longest value, and has a few kilobytes. */
const MAX_BYTES = 16 * 1024 * 1024

/** A row by column name; undefined for NULL. */
export type Row = ReadonlyMap<string, Buffer | undefined>

/** Gathers the rows of all results of one command. */
export class RowsExchange implements Exchange {
  readonly action: string
  readonly rows: Row[] = []
  #columns: readonly string[] = []
  #bytes = 0

  constructor(action: string) {
    this.action = action
  }

  message(type: number, payload: Buffer): void {
    switch (type) {
      case BACKEND.rowDescription:
        this.#columns = decodeColumnNames(payload)
        return
      case BACKEND.dataRow:
        this.#bytes += payload.length
        if (this.rows.length >= MAX_ROWS || this.#bytes > MAX_BYTES) throw this.#tooMuch()
        this.rows.push(rowOf(this.#columns, payload))
        return
      case BACKEND.commandComplete:
      case BACKEND.emptyQueryResponse:
        return
      default:
        throw unexpectedMessage(this.action, type)
    }
  }

  #tooMuch(): BackstayError {
    return new BackstayError('POSTGRES_PROTOCOL', `${this.action}: the answer has no end`)
  }
}

/**
 * A DataRow with its column names.
 * @throws {BackstayError} POSTGRES_PROTOCOL when it has not a value for each
 */
export function rowOf(columns: readonly string[], payload: Buffer): Row {
  const values = decodeDataRow(payload)
  if (values.length !== columns.length) {
    throw new BackstayError(
      'POSTGRES_PROTOCOL',
      `Cannot read a row of the server: it has ${values.length} values, and there are ${columns.length} columns`,
    )
  }
  return new Map(columns.map((name, index) => [name, values[index]]))
}
