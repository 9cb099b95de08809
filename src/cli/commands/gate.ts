/**
 * `backstay gate`: the forced command of the keys that `up` gives to database servers; not for
 * people.
 */
import { serviceConfigOf } from '../../cluster/machine/service-source.ts'
import { gateGreeting } from '../../cluster/machine/way-files.ts'
import { BackstayError } from '../../errors/backstay-error.ts'
import type { Lsn } from '../../postgres/lsn.ts'
import { parseWalFileName } from '../../postgres/segment-name.ts'
import { parseTimelineHistory } from '../../postgres/timeline.ts'
import { type ClusterRepository, openCluster } from '../../repository/cluster-repository.ts'
import { type GateRequest, parseGateRequest } from '../../service/gate-request.ts'
import type { PrimarySeen } from '../../service/push-policy.ts'
import { storeAt } from '../../store/address.ts'
import { giveUpOutput } from '../../util/end-process.ts'
import { formatSize } from '../../util/size.ts'
import type { CommandContext } from '../context.ts'
import { defineCommand } from '../define-command.ts'
import type { OptionSpecs } from '../option-spec.ts'
import { announcedContent, SILENCE_MS, SLOWEST_BYTES_PER_S } from '../session/announced-content.ts'
import { takePlace } from '../session/gate-places.ts'
import { absolute } from '../session/wal-place.ts'
import { existsSync } from 'node:fs'
import { statfs } from 'node:fs/promises'

const OPTIONS = {
  repository: { type: 'string', value: 'DIR', help: 'Repository', required: true },
  cluster: { type: 'string', value: 'NAME', help: 'Cluster in the repository', required: true },
  server: { type: 'string', value: 'NAME', help: 'Server the key belongs to' },
} as const satisfies OptionSpecs

export default defineCommand({
  options: OPTIONS,
  exits: [
    'HOST_PRIVILEGE',
    'WAL_CONFLICT',
    'WAL_INVALID',
    'WAL_MISSING',
    'REPOSITORY_MISSING',
    'DISK_SPACE',
  ],
  run,
})

type GateContext = CommandContext<typeof OPTIONS>

/** Room that pushes leave: of a small file system a share. */
const RESERVE_BYTES_MAX = 1024 ** 3
const RESERVE_SHARE = 0.02

/**
 * What it ends with when it fails: recovery-exit-code.ts.
 * @throws {BackstayError} HOST_PRIVILEGE, WAL_INVALID, …
 */
async function run(context: GateContext): Promise<void> {
  const request = parseGateRequest(context.environment['SSH_ORIGINAL_COMMAND'])
  const { repository: directory, cluster } = context.options
  if (request.request === 'hello') return await say(context, gateGreeting(cluster))
  const store = storeAt(absolute(context, directory))
  const repository = await openCluster(store, cluster, context.clock)
  const { server } = context.options
  await using _place = await takePlace(repository, request.request, server)
  if (request.request === 'read') {
    const { serveRepository } = await import('../session/serve-repository.ts')
    return await serveRepository(context, { repository, server })
  }
  if (request.request === 'push') await push(context, repository, request)
  else await get(context, repository, request.name)
}

/** What may not come is refused before a byte of it is read. */
async function push(
  context: GateContext,
  repository: ClusterRepository,
  { name, sizeBytes }: GateRequest & { readonly request: 'push' },
): Promise<void> {
  const [{ pushByKey }, { judgeProvisional, provisionalOf }, policy, { loadContinuity }] =
    await Promise.all([
      import('../../wal/push-by-key.ts'),
      import('../../wal/provisional-histories.ts'),
      import('../../service/push-policy.ts'),
      import('../../wal/load-continuity.ts'),
    ])
  const file = parseWalFileName(name)
  if (file === undefined) throw new BackstayError('BUG', `Cannot push "${name}"`)
  const { segmentBytes } = repository.identity
  refuse(name, policy.sizeRefusal(file, sizeBytes, segmentBytes))
  await assertRoom(repository, sizeBytes)
  const reachLsn = policy.reachOf(name, file, segmentBytes)
  const primary = await primaryFor(context, repository, reachLsn)
  const map = await loadContinuity(repository)
  const provisional =
    file.kind === 'history' ? await provisionalOf(repository, map) : new Set<number>()
  const ground = { map, primary, provisional }
  refuse(name, policy.nameRefusal(name, file, ground))
  if (file.kind === 'partial' || file.kind === 'backup') {
    const beside = await repository.store.listObjects(repository.names.walPartials(name))
    refuse(name, policy.crowdRefusal(name, file.kind, beside))
  }
  const content = await announcedContent(context.stdin, { name, sizeBytes })
  if (file.kind === 'history') refuse(name, policy.historyRefusal(file.timeline, content, ground))
  const by = { server: context.options.server ?? '?', isAsked: primary !== undefined }
  await pushByKey(repository, { name, content }, by)
  const history = file.kind === 'history' && parseTimelineHistory(file.timeline, content.toString())
  if (!history || primary === undefined) return
  await judgeProvisional(repository, policy.contradicted(history, ground), by.server)
}

/**
 * The pusher as the primary; undefined for a key from before keys had names, and where the cluster
 * file is not at hand.
 */
async function primaryFor(
  { options, signal, workingDirectory }: GateContext,
  repository: ClusterRepository,
  reachLsn: Lsn | undefined,
): Promise<PrimarySeen | undefined> {
  const { server, cluster } = options
  const file = serviceConfigOf(cluster)
  if (server === undefined || !existsSync(file)) return undefined
  const { loadCluster } = await import('../../config/load.ts')
  const { wanted } = await loadCluster({ file, workingDirectory })
  const { pushingPrimary } = await import('../session/pushing-server.ts')
  return await pushingPrimary({ repository, wanted, server, reachLsn, signal })
}

/** The receiver and backups have to go on whatever a database server sends. */
async function assertRoom({ store }: ClusterRepository, sizeBytes: number): Promise<void> {
  const { bavail, blocks, bsize } = await statfs(store.location)
  const reserve = Math.min(RESERVE_BYTES_MAX, blocks * bsize * RESERVE_SHARE)
  if (bavail * bsize >= sizeBytes + reserve) return
  throw new BackstayError(
    'DISK_SPACE',
    `Cannot store WAL of a database server: ${formatSize(bavail * bsize)} are free in "${store.location}", and ${formatSize(reserve)} are kept for the receiver and for backups`,
  )
}

function refuse(name: string, why: string | undefined): void {
  if (why === undefined) return
  throw new BackstayError('WAL_INVALID', `Cannot store WAL file "${name}": ${why}`)
}

async function get(
  context: GateContext,
  repository: ClusterRepository,
  name: string,
): Promise<void> {
  const [{ readWalFile }, { renewHolds }] = await Promise.all([
    import('../../wal/read-wal-file.ts'),
    import('../../repository/hold-for-server.ts'),
  ])
  // Whoever fetches WAL recovers: what it still needs stays. A hold that is not renewed lasts for
  // hours yet.
  await renewHolds(repository, context.options.server).catch(() => undefined)
  const found = await readWalFile(repository, name)
  if (found !== undefined) return await say(context, found.content)
  const { refuseAbsent } = await import('../../wal/absent-wal.ts')
  await refuseAbsent(repository, name)
}

/**
 * A reader that takes nothing would keep the place for ever.
 * @throws {BackstayError} INTERRUPTED
 */
async function say({ stdout }: GateContext, content: string | Uint8Array): Promise<void> {
  const timeoutMs = SILENCE_MS + (content.length / SLOWEST_BYTES_PER_S) * 1000
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new BackstayError('INTERRUPTED', 'What was asked for was not taken in time'))
      giveUpOutput()
    }, timeoutMs)
    stdout.write(content, (error) => {
      clearTimeout(timer)
      if (error) reject(error)
      else resolve()
    })
  })
}
