/**
 * The backups of a server: listed, and found by the words Barman accepts.
 */
import type { BarmanServer } from '../../config/barman/model.ts'
import type { RetentionPolicy } from '../../backup/retention.ts'
import type { CataloguedBackup } from '../../repository/backup-info.ts'
import { listBackups } from '../../repository/catalogue.ts'
import type { ClusterRepository } from '../../repository/cluster-repository.ts'
import type { BarmanContext } from '../context.ts'
import { openServer } from './barman-place.ts'

/** A backup and the repository it is in. */
export interface FoundBackup {
  readonly repository: ClusterRepository
  readonly backup: CataloguedBackup
  /** All of the server, newest first. */
  readonly all: readonly CataloguedBackup[]
}

const NEWEST: ReadonlySet<string> = new Set(['latest', 'last', 'latest-full', 'last-full'])
const OLDEST: ReadonlySet<string> = new Set(['oldest', 'first'])

/** The backups of a server, newest first. */
export async function backupsOf(
  context: BarmanContext,
  server: BarmanServer,
): Promise<CataloguedBackup[]> {
  const repository = await openServer(context, server)
  return repository === undefined ? [] : await listBackups(repository)
}

/** The backup a word means; undefined when it was said why there is none. */
export async function findServerBackup(
  context: BarmanContext,
  server: BarmanServer,
  word: string,
): Promise<FoundBackup | undefined> {
  const { output } = context
  const repository = await openServer(context, server)
  const all = repository === undefined ? [] : await listBackups(repository)
  const named = all.filter(({ info }) => info.label === word)
  if (named.length > 1) {
    const ids = named.map(({ info }) => info.id).join(', ')
    output.error(
      `Multiple backups found matching name '${word}' (try using backup ID instead): ${ids}`,
    )
    return undefined
  }
  const backup = choose(all, word)
  if (repository === undefined || backup === undefined) {
    output.error(`Unknown backup '${word}' for server '${server.name}'`)
    return undefined
  }
  return { repository, backup, all }
}

/** Only whole words are shortcuts: in Barman `f` means the last backup that failed. */
function choose(all: readonly CataloguedBackup[], word: string): CataloguedBackup | undefined {
  if (NEWEST.has(word)) return all[0]
  if (OLDEST.has(word)) return all.at(-1)
  return all.find(({ info }) => info.id === word) ?? all.find(({ info }) => info.label === word)
}

/** The retention policy as the engine takes it; undefined when the server has none. */
export function policyOf(server: BarmanServer): RetentionPolicy | undefined {
  const { retention, minimumRedundancy } = server
  if (retention === undefined) return undefined
  return {
    windowMs: retention.kind === 'window' ? retention.ms : undefined,
    count: retention.kind === 'redundancy' ? retention.count : undefined,
    minimum: minimumRedundancy,
  }
}
