/**
 * Bounds what the rows of an answer unfold to: of few bytes a server can make many values, by a row
 * description of many columns and rows without a value. Looked at message by message, before `pg`
 * makes anything of it: while it does, no timer runs.
 */
import type { EventEmitter } from 'node:events'

/** More than any query of ours has. */
export const MOST_COLUMNS = 100
/** Values of one answer, NULL included: a row takes memory by its columns, whatever it holds. */
const MOST_VALUES = 4_000_000
/** Beginnings and ends of results of one query, which may be several statements. */
const MOST_RESULTS = 200

interface PgRows {
  readonly fields: readonly unknown[]
}

/**
 * Calls `exceeded` once, with why in words, and lets nothing more of the answers through. To be
 * called before `pg` begins to connect.
 */
export function limitRows(connection: EventEmitter, exceeded: (why: string) => void): void {
  let columns = 0
  let values = 0
  let results = 0
  const end = (why: string): void => {
    for (const event of ['rowDescription', 'dataRow', 'commandComplete']) {
      connection.removeAllListeners(event)
    }
    exceeded(why)
  }
  const count = (): void => {
    results += 1
    if (results > MOST_RESULTS) end(`it has more than ${MOST_RESULTS} results`)
  }
  connection.on('rowDescription', ({ fields }: PgRows) => {
    columns = fields.length
    if (columns > MOST_COLUMNS) end(`it has ${columns} columns`)
    else count()
  })
  connection.on('commandComplete', count)
  connection.on('dataRow', ({ fields }: PgRows) => {
    values += columns
    if (fields.length !== columns)
      end(`a row has ${fields.length} values, and there are ${columns} columns`)
    else if (values > MOST_VALUES) end(`it has more than ${MOST_VALUES} values`)
  })
  connection.on('readyForQuery', () => {
    values = 0
    results = 0
  })
}
