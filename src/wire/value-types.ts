/**
 * How the values of a SQL answer are read. Which type a column has the server says, and `pg` reads
 * what it likes then.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import { parseLsn } from '../postgres/lsn.ts'

type Parse = (text: string) => unknown

const INT8 = 20
const PG_LSN = 3220
const TEXTS = 1009
/** bool, int2, int4, oid, float4, float8: each a value of its own. */
const SMALL = [16, 21, 23, 26, 700, 701]
/**
 * date, timestamp, timestamptz, interval. Their patterns try every division of a long row of
 * digits, and no timer runs meanwhile.
 */
const TIMES = [1082, 1114, 1184, 1186]
/** A time, or one of the small ones. */
const LONGEST_WORD = 100
/** Names of roles and functions. */
const LONGEST_LIST = 1024 * 1024

/** How `pg` is told which types are read; every other stays text. */
export interface ValueTypes {
  getTypeParser(oid: number, format?: 'text' | 'binary'): Parse
}

/**
 * The types that queries of ours have, and no other: a server can call any column JSON or an array
 * of arrays, of which a few bytes become an object each.
 * @param parserOf those of `pg`.
 */
export function valueTypes(parserOf: (oid: number) => Parse): ValueTypes {
  const known = new Map<number, Parse>([
    [INT8, parseInt8],
    [PG_LSN, parseLsn],
    [TEXTS, limited(parserOf(TEXTS), LONGEST_LIST)],
    ...[...SMALL, ...TIMES].map(
      (oid) => [oid, limited(parserOf(oid), LONGEST_WORD)] satisfies [number, Parse],
    ),
  ])
  return { getTypeParser: (oid) => known.get(oid) ?? String }
}

function limited(parse: Parse, longest: number): Parse {
  return (text) => {
    if (text.length <= longest) return parse(text)
    throw new BackstayError('POSTGRES_PROTOCOL', 'The answer is none: a value in it has no end')
  }
}

/** A number where it is exact, else the text: a system identifier stays whole. */
function parseInt8(text: string): number | string {
  const value = Number(text)
  return Number.isSafeInteger(value) ? value : text
}
