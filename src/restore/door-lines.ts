/**
 * Lines that let `restore --start` in while it watches a recovery (side-door.ts), as they are found
 * and taken away by whoever comes next: the process that put them there can have died. Each has a
 * mark of its own above it.
 */

/** The files they stand in, in the data directory. */
export const DOOR_FILES = ['pg_hba.conf', 'pg_ident.conf'] as const

const MARK = '# By Backstay, while it watches the recovery that it started:'
const MARKED = new RegExp(`^${MARK}\n.*(?:\n|$)`, 'gm')
const NEXT = 'backstay-closed.conf'

/** Lines with their marks. */
export function doorBlock(lines: readonly string[]): string {
  return lines.map((line) => `${MARK}\n${line}\n`).join('')
}

/** The content without them, wherever they stand. */
export function withoutDoorLines(content: string): string {
  return content.replaceAll(MARKED, '')
}

/**
 * Takes them away in the data directory, with nothing of Backstay (sh); what has none stays as it
 * is.
 */
export function doorEndCommand(): string {
  const close = `sed -e "/^${MARK}/{" -e "N;d" -e "}" $f > ${NEXT} && sync ${NEXT} && mv ${NEXT} $f`
  return `for f in ${DOOR_FILES.join(' ')}; do if grep -qs "^${MARK}" $f; then ${close}; fi; done`
}
