/**
 * Clones the primary into a standby's directory through the replication protocol. What happens when it dies:
 * before pg_control is there, the directory carries a mark and is redone; afterwards it is a whole, configured standby.
 */
import { posix } from 'node:path'
import { CONTROL_FILE_PATH, parseControlFile } from '../../postgres/control-file.ts'
import { ReplicationConnection } from '../../wire/replication-connection.ts'
import type { ClusterContext } from '../context.ts'
import { roleConnection } from '../look/connect.ts'
import { CLONE_MARK_NAME } from '../names.ts'
import type { ServerWanted } from '../wanted.ts'
import { removeUnfinishedClone } from './clone-mark.ts'
import { CloneSink } from './clone-sink.ts'
import { checkReachesPrimary } from './reach-primary.ts'
import { writeStandbyFiles } from './standby-files.ts'

const PROGRESS_INTERVAL_MS = 250

/** What is cloned from where. */
export interface CloneOrder {
  readonly server: ServerWanted
  readonly primary: ServerWanted
}

/**
 * Clones. The directory must be missing, empty, or an unfinished clone (which is removed first).
 * A failure removes what was written; an interruption leaves it, marked.
 * @throws DISK_SPACE, DIRECTORY_FOREIGN before anything is written; what connection and host throw.
 */
export async function cloneStandby(context: ClusterContext, order: CloneOrder): Promise<void> {
  const { server } = order
  const { host } = await context.machineOf(server)
  await checkReachesPrimary(context, order)
  const isUnfinished = ((await host.list(server.directory)) ?? []).includes(CLONE_MARK_NAME)
  if (isUnfinished) await removeUnfinishedClone(host, server.directory)
  await context.crashPoint('clone.begun')
  try {
    await fill(context, order)
  } catch (error) {
    if (!context.signal.aborted) await tidy(context, order)
    throw error
  }
  await host.remove(posix.join(server.directory, CLONE_MARK_NAME))
}

async function fill(context: ClusterContext, order: CloneOrder): Promise<void> {
  const { wanted, signal, clock } = context
  const { server, primary } = order
  const { host, osUser: owner } = await context.machineOf(server)
  await context.reach(primary)
  await using connection = await ReplicationConnection.connect(
    roleConnection(context, primary, wanted.replication.role),
  )
  await using sink = new CloneSink({
    host,
    server,
    owner,
    mark: {
      server: server.name,
      source: primary.name,
      startedAt: new Date(clock.now()).toISOString(),
    },
    progress: progressOf(context, server.name),
    crashPoint: async (name) => context.crashPoint(name),
  })
  await connection.baseBackup(
    { label: `backstay clone to ${server.name}`, tablespaceMap: false, manifest: false, signal },
    sink,
  )
  await context.crashPoint('clone.filled')
  const { parameters } = parseControlFile(sink.control)
  await writeStandbyFiles(wanted, host, { server, primary, owner, parameters })
  await context.crashPoint('clone.configured')
  await sink.finish()
  await context.crashPoint('clone.synced')
  const control = posix.join(server.directory, CONTROL_FILE_PATH)
  await host.writeFile(control, sink.control, { mode: 0o600, owner })
  await context.crashPoint('clone.whole')
}

/** Gives the disk back after a failure; what cannot be removed stays marked. */
async function tidy(context: ClusterContext, { server }: CloneOrder): Promise<void> {
  const { host } = await context.machineOf(server)
  const names = (await host.list(server.directory).catch(() => undefined)) ?? []
  if (names.includes(CLONE_MARK_NAME)) {
    await removeUnfinishedClone(host, server.directory).catch(() => undefined)
  }
}

function progressOf(
  context: ClusterContext,
  server: string,
): (doneBytes: number, totalBytes: number | undefined) => void {
  let toldAtMs = Number.NEGATIVE_INFINITY
  return (doneBytes, totalBytes) => {
    const nowMs = context.clock.monotonic()
    if (nowMs - toldAtMs < PROGRESS_INTERVAL_MS) return
    toldAtMs = nowMs
    context.report({ kind: 'clone-progress', server, doneBytes, totalBytes })
  }
}
