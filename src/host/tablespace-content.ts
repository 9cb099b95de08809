/**
 * What one cluster keeps inside a tablespace's directory, `PG_<major>_<catalogue version>`.
 * Clusters of other majors may lie beside it, as pg_upgrade leaves them.
 */
import type { Host } from './host.ts'
import { runChecked } from './run-checked.ts'

const EMPTY = 'rm -rf -- "$1"/PG_"$2"_[0-9]*'

/**
 * Whose content is removed, where, and as whom: what names the directory may be his own, and must
 * not be root's hand.
 */
export interface TablespaceContent {
  readonly path: string
  readonly major: number
  readonly user: string
}

/** Removes it; the directory stays. @throws {BackstayError} HOST_COMMAND where that user may not */
export async function removeTablespaceContent(
  host: Host,
  { path, major, user }: TablespaceContent,
): Promise<void> {
  await runChecked(host, ['sh', '-c', EMPTY, 'sh', path, String(major)], { user })
}
