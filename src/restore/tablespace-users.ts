/**
 * Which running servers of this machine use a directory as a tablespace, or for their WAL. A copied
 * data directory has the links of its origin: a delta restore into the copy would otherwise write
 * into the tablespaces of a server that runs elsewhere.
 */
import { readdir, readFile, readlink, realpath } from 'node:fs/promises'
import { join } from 'node:path'

/**
 * Data directories of running servers whose WAL, or one of whose tablespaces, lies in `directory`.
 */
export async function serversUsing(directory: string): Promise<readonly string[]> {
  const wanted = await realpath(directory).catch(() => directory)
  const found: string[] = []
  for (const dataDirectory of await runningDataDirectories()) {
    if ((await placesOf(dataDirectory)).includes(wanted)) found.push(dataDirectory)
  }
  return found
}

/**
 * Every process of a server works in its data directory. Those of other users that cannot be looked
 * at are not found.
 */
async function runningDataDirectories(): Promise<ReadonlySet<string>> {
  const directories = new Set<string>()
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid)) continue
    const name = await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '')
    if (name.trim() !== 'postgres' && name.trim() !== 'postmaster') continue
    const directory = await readlink(`/proc/${pid}/cwd`).catch(() => undefined)
    if (directory !== undefined) directories.add(directory)
  }
  return directories
}

async function placesOf(dataDirectory: string): Promise<string[]> {
  const folder = join(dataDirectory, 'pg_tblspc')
  const spaces = (await readdir(folder).catch(() => [])).map((name) => join(folder, name))
  const targets: string[] = []
  for (const link of [join(dataDirectory, 'pg_wal'), ...spaces]) {
    const target = await realpath(link).catch(() => undefined)
    if (target !== undefined) targets.push(target)
  }
  return targets
}
