/**
 * Barman's xlog.db: one line for each file of WAL that it has archived. Of the lines only what is
 * asked for is kept: there can be millions, and somebody else writes them.
 */
import { join } from 'node:path'
import { BackstayError } from '../../errors/backstay-error.ts'
import { parseWalFileName } from '../../postgres/segment-name.ts'
import { readRegular } from '../../util/read-regular.ts'
import { type BarmanPlace, isAbsent, unreadable } from './barman-place.ts'

/** What it says of WAL, as names. */
export interface Xlogdb {
  /** Files that are there and that the operator's own command has packed. */
  readonly custom: ReadonlySet<string>
  /** Files that are there and encrypted. */
  readonly encrypted: ReadonlySet<string>
  /** Files that are listed and not there. */
  readonly missing: ReadonlySet<string>
}

/** Some 70 bytes for each file: of 4 million, which are 64 TB. */
const BYTES_MAX = 256 * 1024 * 1024
const MISSING_MAX = 4_000_000
/** A name of 24 characters, three numbers and two words. */
const LINE_BYTES_MAX = 1024
const NEWLINE = 10

/**
 * Reads it, where there is one, with `there`: names of files that are.
 * @throws {BackstayError} HOST_PRIVILEGE, FAILED when it cannot be read, or is none.
 */
export async function readXlogdb(
  { name, xlogdb }: BarmanPlace,
  there: { has(file: string): boolean },
): Promise<Xlogdb> {
  for (const path of [join(xlogdb, `${name}-xlog.db`), join(xlogdb, 'xlog.db')]) {
    const content = await readIfThere(path)
    if (content !== undefined) return parseXlogdb(content, there, path)
  }
  return { custom: new Set(), encrypted: new Set(), missing: new Set() }
}

/** Its content, read. @throws {BackstayError} FAILED when it lists more than there can be. */
export function parseXlogdb(
  content: Buffer,
  there: { has(file: string): boolean },
  path: string,
): Xlogdb {
  const said = {
    custom: new Set<string>(),
    encrypted: new Set<string>(),
    missing: new Set<string>(),
  }
  for (const line of linesOf(content)) take(line, there, said)
  if (said.missing.size > MISSING_MAX) throw tooMany(path)
  return said
}

/** `name size mtime compression encryption`, separated by tabs; the last two may be missing. */
function take(
  line: string,
  there: { has(file: string): boolean },
  said: Readonly<Record<keyof Xlogdb, Set<string>>>,
): void {
  const [file = '', , , compression, encryption] = line.split('\t')
  if (parseWalFileName(file) === undefined) return
  if (!there.has(file)) {
    if (said.missing.size <= MISSING_MAX) said.missing.add(file)
    return
  }
  // The last line of a file counts.
  for (const set of [said.custom, said.encrypted]) set.delete(file)
  if (compression?.trim() === 'custom') said.custom.add(file)
  if (!['', 'None', undefined].includes(encryption?.trim())) said.encrypted.add(file)
}

/** Longer ones are none of Barman's and are passed over. */
function* linesOf(content: Buffer): Iterable<string> {
  for (let start = 0; start < content.length;) {
    const found = content.indexOf(NEWLINE, start)
    const end = found < 0 ? content.length : found
    if (end > start && end - start <= LINE_BYTES_MAX) yield content.toString('utf8', start, end)
    start = end + 1
  }
}

async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readRegular(path, BYTES_MAX)
  } catch (error) {
    if (isAbsent(error)) return undefined
    throw unreadable(path, error)
  }
}

function tooMany(path: string): BackstayError {
  return new BackstayError(
    'FAILED',
    `Cannot read "${path}": it lists more than ${MISSING_MAX} files of WAL that are not there`,
    { hint: 'Look at it, and at who wrote it. Without it the files that are there come in.' },
  )
}
