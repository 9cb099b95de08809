/**
 * Makes a standby on the machine its directory lies on, or through a Host that reaches it: a base
 * backup through the replication protocol and everything that makes it this standby. What happens
 * when it dies: before pg_control is there, the directory carries a mark and is redone; afterwards
 * it is a whole, configured standby.
 */
import { posix } from 'node:path'
import type { Host } from '../../host/host.ts'
import { CONTROL_FILE_PATH, parseControlFile } from '../../postgres/control-file.ts'
import type { Clock } from '../../util/clock.ts'
import type { ConnectionOptions } from '../../wire/connection-options.ts'
import { ReplicationConnection } from '../../wire/replication-connection.ts'
import { CLONE_MARK_NAME } from '../../cluster/names.ts'
import type { ClusterWanted, ServerWanted } from '../../cluster/wanted.ts'
import {
  clearUnfinishedClone,
  removeUnfinishedClone,
  writeCloneMark,
} from '../../cluster/clone-mark.ts'
import { CloneSink } from './clone-sink.ts'
import { refuseOccupied } from './refuse-occupied.ts'
import type { CloneSpot, CloneWorker } from '../../cluster/clone-process.ts'
import { writeStandbyFiles } from './standby-files.ts'

const PROGRESS_INTERVAL_MS = 250

/** What is cloned from where, and for whom. */
export interface StandbyOrder {
  readonly wanted: ClusterWanted
  readonly server: ServerWanted
  readonly primary: ServerWanted
  /** OS user everything will belong to. */
  readonly owner: string
}

/** Where it is done, and the way to stop and to tell. */
export interface CloneSite {
  readonly host: Host
  /** The replication role's way to the primary, from where this process runs. */
  readonly connection: ConnectionOptions
  /**
   * This process, when it runs on the machine the directory is on and can outlive the operator's.
   */
  readonly worker?: CloneWorker
  readonly clock: Clock
  readonly signal: AbortSignal
  /** At most a few times a second. `totalBytes` is the server's estimate. */
  progress(doneBytes: number, totalBytes: number | undefined): void
  /** Throws the signal's reason when it has aborted. */
  crashPoint(name: string): Promise<void>
}

/**
 * Makes it. The directory must be missing, empty, or an unfinished clone (which is removed first).
 * A failure removes what was written; an interruption leaves it, marked.
 * @throws DISK_SPACE, DIRECTORY_FOREIGN, DIRECTORY_OWNER before anything is written; what
 * connection and host throw.
 */
export async function makeStandby(order: StandbyOrder, site: CloneSite): Promise<void> {
  const { owner } = order
  const { directory } = order.server
  const { host, signal } = site
  const isUnfinished = ((await host.list(directory)) ?? []).includes(CLONE_MARK_NAME)
  if (isUnfinished) await removeUnfinishedClone(host, { directory, owner })
  await site.crashPoint('clone.begun')
  await refuseOccupied(host, { server: order.server.name, directory, owner })
  try {
    if (site.worker !== undefined) await markEarly(order, site)
    await fill(order, site)
  } catch (error) {
    if (!signal.aborted) await tidy(host, { directory, owner })
    throw error
  }
  await host.remove(posix.join(directory, CLONE_MARK_NAME))
}

/**
 * The next operator has to know of this process before it can write anything, however long the
 * primary makes it wait.
 */
async function markEarly(order: StandbyOrder, site: CloneSite): Promise<void> {
  const { host } = site
  const { owner, server } = order
  await host.makeDirectory(server.directory, { mode: 0o700, owner })
  await writeCloneMark(host, server.directory, { ...markOf(order, site), tablespaces: [], owner })
}

async function fill(order: StandbyOrder, site: CloneSite): Promise<void> {
  const { wanted, server, primary, owner } = order
  const { host, signal } = site
  await using connection = await ReplicationConnection.connect(site.connection)
  await using sink = new CloneSink({
    wanted,
    server,
    primary,
    host,
    owner,
    mark: markOf(order, site),
    progress: progressOf(site),
    crashPoint: async (name) => site.crashPoint(name),
  })
  await connection.baseBackup(
    { label: `backstay clone to ${server.name}`, tablespaceMap: false, manifest: false, signal },
    sink,
  )
  await site.crashPoint('clone.filled')
  const { parameters } = parseControlFile(sink.control)
  await writeStandbyFiles(wanted, host, { server, primary, owner, parameters })
  await site.crashPoint('clone.configured')
  await sink.finish()
  await site.crashPoint('clone.synced')
  const control = posix.join(server.directory, CONTROL_FILE_PATH)
  await host.writeFile(control, sink.control, { mode: sink.controlMode, owner })
  await site.crashPoint('clone.whole')
}

function markOf({ wanted, server, primary }: StandbyOrder, { clock, worker }: CloneSite) {
  return {
    server: server.name,
    source: primary.name,
    major: wanted.postgres.version,
    startedAt: new Date(clock.now()).toISOString(),
    ...(worker === undefined ? {} : { worker }),
  }
}

/** Gives the disk back after a failure; what cannot be removed stays marked. */
async function tidy(host: Host, spot: CloneSpot): Promise<void> {
  const names = (await host.list(spot.directory).catch(() => undefined)) ?? []
  if (names.includes(CLONE_MARK_NAME)) {
    await clearUnfinishedClone(host, spot).catch(() => undefined)
  }
}

function progressOf(site: CloneSite): CloneSite['progress'] {
  let toldAtMs = Number.NEGATIVE_INFINITY
  return (doneBytes, totalBytes) => {
    const nowMs = site.clock.monotonic()
    if (nowMs - toldAtMs < PROGRESS_INTERVAL_MS) return
    toldAtMs = nowMs
    site.progress(doneBytes, totalBytes)
  }
}
