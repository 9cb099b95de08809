/**
 * The end of what a reclone set aside (aside.ts).
 */
import { removeOwn } from '../host/own-directory.ts'
import type { Machine } from '../cluster/context.ts'
import type { ServerWanted } from '../cluster/wanted.ts'

/** Between the name of what is set aside and the time. */
export const ASIDE_SUFFIX = '.old-'

const STAMP = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/

/** When something was set aside, by its name; undefined for another name. */
export function asideTimeMs(path: string): number | undefined {
  const match = STAMP.exec(path.slice(path.lastIndexOf(ASIDE_SUFFIX) + ASIDE_SUFFIX.length))
  if (match === null) return undefined
  const [, year, month, day, hour, minute, second] = match
  return Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`)
}

/**
 * Removes it.
 * @throws DIRECTORY_OWNER when something of it is not PostgreSQL's OS user's to remove
 */
export async function removeAsidePath(
  { host, osUser: user }: Machine,
  { directory }: Pick<ServerWanted, 'directory'>,
  path: string,
): Promise<void> {
  // The data directory is the cluster file's own word, and may be a link of root's.
  if (path.startsWith(`${directory}${ASIDE_SUFFIX}`)) await host.remove(path)
  else await removeOwn(host, { path, user })
}
