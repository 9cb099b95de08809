/**
 * The end of what a reclone set aside (aside.ts).
 */
import { removeOwn } from '../host/own-directory.ts'
import type { Machine } from '../cluster/context.ts'
import type { ServerWanted } from '../cluster/wanted.ts'

/** Between the name of what is set aside and the time. */
export const ASIDE_SUFFIX = '.old-'

/** Removes it. @throws DIRECTORY_OWNER when something of it is not PostgreSQL's OS user's to remove */
export async function removeAsidePath(
  { host, osUser: user }: Machine,
  { directory }: Pick<ServerWanted, 'directory'>,
  path: string,
): Promise<void> {
  // The data directory is the cluster file's own word, and may be a link of root's.
  if (path.startsWith(`${directory}${ASIDE_SUFFIX}`)) await host.remove(path)
  else await removeOwn(host, { path, user })
}
