/**
 * An exchange that only gathers rows: the simple replication commands.
 */
import { decodeColumnNames, decodeDataRow } from './backend-messages.ts'
import { type Exchange, unexpectedMessage } from './conversation.ts'
import { BACKEND } from './message-types.ts'

/** The most rows a replication command may answer with. */
const MAX_ROWS = 10_000

/** A row by column name; undefined for NULL. */
export type Row = ReadonlyMap<string, Buffer | undefined>

/** Gathers the rows of all results of one command. */
export class RowsExchange implements Exchange {
  readonly action: string
  readonly rows: Row[] = []
  #columns: readonly string[] = []

  constructor(action: string) {
    this.action = action
  }

  message(type: number, payload: Buffer): void {
    switch (type) {
      case BACKEND.rowDescription:
        this.#columns = decodeColumnNames(payload)
        return
      case BACKEND.dataRow:
        if (this.rows.length >= MAX_ROWS) throw unexpectedMessage(this.action, type)
        this.rows.push(rowOf(this.#columns, payload))
        return
      case BACKEND.commandComplete:
      case BACKEND.emptyQueryResponse:
        return
      default:
        throw unexpectedMessage(this.action, type)
    }
  }
}

/** A DataRow with its column names. */
export function rowOf(columns: readonly string[], payload: Buffer): Row {
  const values = decodeDataRow(payload)
  return new Map(columns.map((name, index) => [name, values[index]]))
}
