/**
 * Lists the files a backup is made of: objects of the repository, not files of the database.
 */
import { join } from 'node:path'
import { segmentStart } from '../../postgres/segment-name.ts'
import type { BarmanContext } from '../context.ts'
import { findServerBackup, type FoundBackup } from '../server/backups.ts'
import { oneServer } from '../server/chosen-servers.ts'
import { heldSegments } from '../server/wal-of-backup.ts'

/**
 * Absolute paths, one a line: data, WAL or both, as `--target` says.
 * @throws {BackstayError} STORE
 */
export async function run(context: BarmanContext): Promise<void> {
  const { output, options, words } = context
  const server = oneServer(context, { inactive: true, disabled: true })
  if (server === undefined) return
  const found = await findServerBackup(context, server, words[1] ?? '')
  if (found === undefined) return
  const target = options.target ?? 'standalone'
  const objects = [
    ...(target === 'wal' ? [] : dataObjects(found)),
    ...(target === 'data' ? [] : await walObjects(found, target)),
  ]
  const { location } = found.repository.store
  const paths = objects.map((name) => join(location, name))
  for (const path of paths) output.lines(path)
  output.data(server.name, paths)
}

function dataObjects({ repository, backup }: FoundBackup): string[] {
  const { names } = repository
  const { id, packs } = backup.info
  return [names.backupInfo(id), names.manifest(id), ...packs.map(({ name }) => names.pack(name))]
}

/** `standalone`: what makes the backup consistent; else up to the next backup. */
async function walObjects(
  { repository, backup, all }: FoundBackup,
  target: string,
): Promise<string[]> {
  const { info } = backup
  const { segmentBytes } = repository.identity
  const next = all[all.findIndex((one) => one.info.id === info.id) - 1]
  const end = target === 'standalone' ? info.stopLsn : next?.info.startLsn
  const held = await heldSegments(repository)
  return held
    .filter((segment) => {
      const start = segmentStart(segment, segmentBytes)
      const isAfter = start + BigInt(segmentBytes) > info.startLsn
      return isAfter && segment.timeline >= info.timeline && (end === undefined || start < end)
    })
    .map(({ name }) => repository.names.walSegment(name))
}
