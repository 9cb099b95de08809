/**
 * How the values of a SQL answer are read. Which type a column has the server says, and `pg` reads
 * what it likes then.
 */
import type { Client } from 'pg'
import { BackstayError } from '../errors/backstay-error.ts'
import { parseLsn } from '../postgres/lsn.ts'

const INT8 = 20
const PG_LSN = 3220
/**
 * date, timestamp, timestamptz, interval, and arrays of them. Their patterns try every division of
 * a long row of digits, and no timer runs meanwhile.
 */
const TIMES = [1082, 1114, 1184, 1186, 1182, 1115, 1185, 1187]
/** A time; no query of ours asks for an array. */
const LONGEST_TIME = 100

/** @param parserOf those of `pg`. */
export function setValueTypes(
  client: Client,
  parserOf: (oid: number) => (text: string) => unknown,
): void {
  client.setTypeParser(INT8, parseInt8)
  client.setTypeParser(PG_LSN, parseLsn)
  for (const oid of TIMES) {
    const parse = parserOf(oid)
    client.setTypeParser(oid, (text) => parse(checkTime(text)))
  }
}

function checkTime(text: string): string {
  if (text.length <= LONGEST_TIME) return text
  throw new BackstayError('POSTGRES_PROTOCOL', 'The answer is none: a time in it has no end')
}

/** A number where it is exact, else the text: a system identifier stays whole. */
function parseInt8(text: string): number | string {
  const value = Number(text)
  return Number.isSafeInteger(value) ? value : text
}
