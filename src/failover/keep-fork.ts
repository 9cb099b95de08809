/**
 * Keeps the WAL that only a former primary has: it is the only evidence of what was committed there
 * and nowhere else, and a rewind removes it.
 */
import { posix } from 'node:path'
import { runChecked } from '../host/run-checked.ts'
import { formatLsn, type Lsn } from '../postgres/lsn.ts'
import type { TimelineHistory } from '../postgres/timeline.ts'
import type { WalPosition } from '../wal/wal-position.ts'
import type { ClusterContext } from '../cluster/context.ts'
import type { ServerWanted } from '../cluster/wanted.ts'
import { segmentsBetween } from './wal-sources.ts'

/** WAL that goes on after the fork. */
export interface Fork {
  readonly forkLsn: Lsn
  readonly end: WalPosition
  readonly segmentBytes: number
  /** Of the line that `end` is on. */
  readonly history: TimelineHistory | undefined
}

/**
 * Copies the segments beside the data directory. Returns where they are; undefined when there are
 * none.
 */
export async function keepFork(
  context: ClusterContext,
  server: ServerWanted,
  fork: Fork,
): Promise<string | undefined> {
  const { forkLsn, end, ...place } = fork
  const names = segmentsBetween({ timeline: end.timeline, lsn: forkLsn, ...place }, end.lsn)
  if (names.length === 0) return undefined
  const { host, osUser: owner } = await context.machineOf(server)
  const start = formatLsn(forkLsn).replace('/', '-')
  const target = `${server.directory}.fork-${end.timeline}-${start}`
  await host.makeDirectory(target, { mode: 0o700, owner })
  const sources = names.map((name) => posix.join(server.directory, 'pg_wal', name))
  // What is there already was copied by a run that died; the last file may be torn, so all are
  // copied again.
  await runChecked(host, ['cp', '-p', '--', ...sources, target], { user: owner })
  const copies = names.map((name) => posix.join(target, name))
  await runChecked(host, ['sync', '--', ...copies, target], { user: owner })
  return target
}
