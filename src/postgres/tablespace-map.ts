/**
 * `tablespace_map`, the file of a base backup from which a recovering server makes the links in
 * pg_tblspc: `OID PATH` lines. Source: PostgreSQL src/backend/access/transam/xlog.c
 * (do_pg_backup_start), xlogrecovery.c (read_tablespace_map).
 */
import { BackstayError } from '../errors/backstay-error.ts'

/** A tablespace and the directory it lies in. */
export interface TablespaceLink {
  readonly oid: number
  /** Absolute path. */
  readonly location: string
}

/** Until then a backslash stood for itself unless it was before a line end. */
const BACKSLASH_ESCAPED_SINCE = 14

/**
 * Reads the file.
 * @param major of the server that wrote it.
 * @throws {BackstayError} POSTGRES_FILE_INVALID at the first malformed line.
 */
export function parseTablespaceMap(
  text: string,
  major = BACKSLASH_ESCAPED_SINCE,
): readonly TablespaceLink[] {
  return splitLines(text, major).map((line, index) => {
    const match = /^(\d+) (.+)$/s.exec(line)
    if (match === null) {
      throw new BackstayError(
        'POSTGRES_FILE_INVALID',
        `Cannot read tablespace_map: line ${index + 1} is not "OID PATH"`,
      )
    }
    return { oid: Number(match[1]), location: match[2] ?? '' }
  })
}

/**
 * Writes the file; line ends and backslashes in paths are escaped.
 * @param major of the server that will read it.
 */
export function formatTablespaceMap(
  links: readonly TablespaceLink[],
  major = BACKSLASH_ESCAPED_SINCE,
): string {
  const special = major >= BACKSLASH_ESCAPED_SINCE ? /[\n\r\\]/g : /[\n\r]/g
  return links
    .map(({ oid, location }) => `${oid} ${location.replace(special, String.raw`\$&`)}\n`)
    .join('')
}

/** Lines without escapes; an escaped line end belongs to its line. */
function splitLines(text: string, major: number): string[] {
  const piece = major >= BACKSLASH_ESCAPED_SINCE ? /\\.|[^]/gs : /\\[\n\r]|[^]/g
  const lines = ['']
  for (const [part] of text.matchAll(piece)) {
    if (part === '\n' || part === '\r') lines.push('')
    else lines[lines.length - 1] += part.length === 2 ? part.slice(1) : part
  }
  return lines.filter((line) => line !== '')
}
