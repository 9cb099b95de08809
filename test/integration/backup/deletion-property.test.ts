/**
 * Deletes at random in a repository on disk, and plans a restore of everything that is still listed: whatever goes, nothing
 * that stays may lose what it needs.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { deleteBackup, expireCluster } from '../../../src/backup/expire.ts'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'
import { type Lsn, toLsn } from '../../../src/postgres/lsn.ts'
import { formatSegmentName } from '../../../src/postgres/segment-name.ts'
import { formatTimelineHistory, type TimelineSwitch } from '../../../src/postgres/timeline.ts'
import type { BackupInfo } from '../../../src/repository/backup-info.ts'
import {
  keepBackup,
  listBackups,
  publishBackup,
  releaseBackup,
} from '../../../src/repository/catalogue.ts'
import { claimCluster, type ClusterRepository } from '../../../src/repository/cluster-repository.ts'
import { recordLine } from '../../../src/repository/line-records.ts'
import { useBackup } from '../../../src/repository/use-backup.ts'
import { chooseBackup } from '../../../src/restore/choose-backup.ts'
import { loadSources } from '../../../src/restore/load-sources.ts'
import { DiskStore } from '../../../src/store/disk-store.ts'
import { systemClock } from '../../../src/util/clock.ts'
import { recoverableWindows } from '../../../src/wal/continuity.ts'
import { loadContinuity } from '../../../src/wal/load-continuity.ts'
import { leadsTo } from '../../../src/wal/needed-wal.ts'
import { WalBuilder } from '../../unit/postgres/wal-builder.ts'
import { backup, DAY_MS, NOW_MS } from '../../unit/backup/fixtures.ts'

const SEGMENT = 1024 * 1024
const HALF = SEGMENT / 2
/** All share one: what a backup rests on is there, so that none counts as damaged. */
const PACK = 'none-000001'
const ONE_BYTE = Buffer.alloc(1)
const SERVER = { systemIdentifier: '7', major: 18, segmentBytes: SEGMENT }

const at = (segment: number, bytes = 0): Lsn => toLsn(BigInt(segment * SEGMENT + bytes))

/** A timeline: whole segments from `first` on, half of the one after them, and where it left its parent. */
interface Branch {
  readonly timeline: number
  readonly first: number
  readonly whole: number
  readonly switches: readonly TimelineSwitch[]
}

const branchShape = fc.record({ parent: fc.nat(1), from: fc.nat(3), whole: fc.nat(2) })
const backupShape = fc.record({
  on: fc.nat(2),
  from: fc.nat(5),
  halves: fc.nat(3),
  isAlone: fc.boolean(),
})
const deed = fc.oneof(
  fc.record({
    kind: fc.constant('expire' as const),
    windowMs: fc.option(
      fc.nat(8).map((days) => days * DAY_MS),
      { nil: undefined },
    ),
    count: fc.option(fc.integer({ min: 1, max: 3 }), { nil: undefined }),
  }),
  fc.record({ kind: fc.constant('delete' as const), which: fc.nat(5) }),
  fc.record({ kind: fc.constant('keep' as const), which: fc.nat(5), isFull: fc.boolean() }),
  fc.record({ kind: fc.constant('release' as const), which: fc.nat(5) }),
)
const world = fc.record({
  branches: fc.tuple(branchShape, branchShape),
  backups: fc.array(backupShape, { minLength: 2, maxLength: 6 }),
  production: fc.nat(2),
  deeds: fc.array(deed, { minLength: 1, maxLength: 4 }),
  inUse: fc.option(fc.nat(5), { nil: undefined }),
})

type World = typeof world extends fc.Arbitrary<infer T> ? T : never
type Deed = World['deeds'][number]

function branchesOf({ branches }: World): Branch[] {
  const tree: Branch[] = [{ timeline: 1, first: 1, whole: 4, switches: [] }]
  for (const { parent, from, whole } of branches) {
    const origin = tree[parent % tree.length] as Branch
    const first = origin.first + Math.min(from, origin.whole)
    const left = { timeline: origin.timeline, switchLsn: at(first, HALF / 2), reason: '' }
    tree.push({
      timeline: tree.length + 1,
      first,
      whole,
      switches: [...origin.switches.filter(({ switchLsn }) => switchLsn < left.switchLsn), left],
    })
  }
  return tree
}

const content = new Map<string, Buffer>()

/** WAL that reads as one stream from the branch's first segment on. */
function walOf({ timeline, first, whole }: Branch): Buffer {
  const key = `${timeline}-${first}-${whole}`
  const known = content.get(key)
  if (known !== undefined) return known
  const builder = new WalBuilder(at(first))
  builder.timeline = timeline
  while (builder.bytes.length < (whole + 1) * SEGMENT) builder.record({ dataBytes: 30_000 })
  content.set(key, builder.bytes)
  return builder.bytes
}

async function keepWal(cluster: ClusterRepository, branch: Branch): Promise<void> {
  const { timeline, first, whole, switches } = branch
  const bytes = walOf(branch)
  if (timeline > 1) {
    const text = formatTimelineHistory({ timeline, switches })
    await cluster.wal.putHistory(timeline, Buffer.from(text))
  }
  for (let index = 0; index <= whole; index += 1) {
    const name = formatSegmentName({ timeline, number: BigInt(first + index) }, SEGMENT)
    const segment = bytes.subarray(index * SEGMENT, (index + 1) * SEGMENT)
    if (index < whole) await cluster.wal.putSegment(name, segment)
    else await cluster.wal.putPartial(name, Buffer.concat([segment.subarray(0, HALF)]))
  }
}

function infoOf(world: World, index: number, branches: readonly Branch[]): BackupInfo | undefined {
  const shape = world.backups[index]
  const branch = branches[(shape?.on ?? 0) % branches.length]
  if (shape === undefined || branch === undefined) return undefined
  const from = Math.min(shape.from, branch.whole)
  const startLsn = at(branch.first + from, branch.timeline > 1 ? HALF / 2 + 8 : 40)
  const stopLsn = toLsn(startLsn + BigInt(shape.halves * (HALF / 4) + 64))
  const packs = [{ name: PACK, storedBytes: 1, rawBytes: 1, liveBytes: 1 }]
  return backup(index, { timeline: branch.timeline, startLsn, stopLsn, packs }).info
}

/** A standby's backup without a receiver brings the beginning of its last segment and no more; nothing came after it. */
async function cutAfter(
  cluster: ClusterRepository,
  { timeline, stopLsn }: BackupInfo,
  branch: Branch,
): Promise<void> {
  const number = stopLsn / BigInt(SEGMENT)
  const name = formatSegmentName({ timeline, number }, SEGMENT)
  if (!(await cluster.wal.deleteSegment(name))) return
  const begin = (Number(number) - branch.first) * SEGMENT
  const end = begin + (Number(stopLsn) % SEGMENT) + 80_000
  const bytes = walOf(branch).subarray(begin, Math.min(end, begin + SEGMENT))
  await cluster.wal.putPartial(name, bytes)
}

/** What each listed backup can be rolled forward to, as one comparable word. */
async function reach(cluster: ClusterRepository): Promise<Map<string, string>> {
  const backups = (await listBackups(cluster)).map(({ info }) => info)
  const windows = recoverableWindows(backups, await loadContinuity(cluster))
  return new Map(windows.map(({ backup: id, to }) => [id, `${to.timeline}:${to.lsn}`]))
}

async function act(cluster: ClusterRepository, deed: Deed): Promise<void> {
  const listed = await listBackups(cluster)
  if (deed.kind === 'expire') {
    await expireCluster(cluster, { windowMs: deed.windowMs, count: deed.count, minimum: 1 })
    return
  }
  const id = listed[deed.which % listed.length]?.info.id
  if (id === undefined) return
  if (deed.kind === 'keep') {
    await keepBackup(cluster, id, { reason: null, target: deed.isFull ? 'full' : 'standalone' })
  } else if (deed.kind === 'release') await releaseBackup(cluster, id)
  else {
    try {
      await deleteBackup(cluster, id, { minimum: 1 })
    } catch (error) {
      if (
        !isBackstayError(error, 'BACKUP_NEEDED') &&
        !isBackstayError(error, 'REPOSITORY_LOCKED')
      ) {
        throw error
      }
    }
  }
}

/** Repository, backups and the line production is on, as the world says. */
async function build(world: World, directory: string): Promise<ClusterRepository> {
  const clock = { ...systemClock, now: () => NOW_MS }
  const store = new DiskStore(directory)
  const cluster = await claimCluster({ store, name: 'shop', server: SERVER, clock })
  const branches = branchesOf(world)
  for (const branch of branches) await keepWal(cluster, branch)
  await store.put(cluster.names.pack(PACK), ONE_BYTE)
  for (let index = 0; index < world.backups.length; index += 1) {
    const info = infoOf(world, index, branches)
    if (info === undefined) continue
    await store.put(cluster.names.manifest(info.id), ONE_BYTE)
    await publishBackup(cluster, info)
    const branch = branches[info.timeline - 1] as Branch
    if (world.backups[index]?.isAlone === true) await cutAfter(cluster, info, branch)
  }
  const known = branches.map(({ timeline }) => timeline)
  await recordLine(cluster, { timeline: productionOf(world).timeline, known, by: 'operator' })
  return cluster
}

function productionOf(world: World): Branch {
  const branches = branchesOf(world)
  return branches[world.production % branches.length] as Branch
}

async function play(world: World, directory: string): Promise<void> {
  const cluster = await build(world, directory)
  const ids = (await listBackups(cluster)).map(({ info }) => info.id)
  const read = world.inUse === undefined ? undefined : ids[world.inUse % ids.length]
  await using _use = read === undefined ? undefined : await useBackup(cluster, read, 'a restore')
  const released = new Set<string>()
  for (const deed of world.deeds) {
    const before = await reach(cluster)
    const listed = await listBackups(cluster)
    await act(cluster, deed)
    await checkRestorable(cluster, before, released)
    checkLiving(
      listed.map(({ info }) => info).filter(({ id }) => before.has(id)),
      {
        production: productionOf(world),
        after: await reach(cluster),
        mayTakeNewest: deed.kind === 'delete',
      },
    )
  }
}

/** Every listed backup can be restored that could be before, and reaches as far unless its keeper let the rest go. */
async function checkRestorable(
  cluster: ClusterRepository,
  before: ReadonlyMap<string, string>,
  released: Set<string>,
): Promise<void> {
  const sources = await loadSources(cluster)
  const after = await reach(cluster)
  for (const { info, keep } of await listBackups(cluster)) {
    if (!before.has(info.id)) continue
    const wish = { backup: info.id, target: { type: 'immediate' } } as const
    const how = { timeline: 'current', action: 'pause', standbyMode: false } as const
    await chooseBackup({ ...wish, ...how }, sources)
    if (keep?.target === 'standalone') released.add(info.id)
    if (!released.has(info.id)) assert.equal(after.get(info.id), before.get(info.id), info.id)
  }
}

/** `usable`: newest first, as it was before. */
function checkLiving(
  usable: readonly BackupInfo[],
  now: { production: Branch; after: ReadonlyMap<string, string>; mayTakeNewest: boolean },
): void {
  const onLine = usable.filter((info) => leadsTo(info, now.production))
  const [newest] = onLine
  if (newest === undefined) return
  assert.ok(
    onLine.some(({ id }) => now.after.has(id)),
    'a usable one of the living line is left',
  )
  assert.ok(now.mayTakeNewest || now.after.has(newest.id), 'it is the newest')
}

/** A standby's backup is kept, and whole segments behind its partial go. */
const KEPT_WITH_A_PARTIAL: World = {
  branches: [
    { parent: 0, from: 3, whole: 0 },
    { parent: 0, from: 3, whole: 0 },
  ],
  backups: [
    { on: 0, from: 4, halves: 0, isAlone: false },
    { on: 0, from: 1, halves: 0, isAlone: true },
  ],
  production: 0,
  deeds: [
    { kind: 'keep', which: 1, isFull: false },
    { kind: 'expire', windowMs: undefined, count: 1 },
  ],
  inUse: undefined,
}

describe('whatever is deleted', () => {
  it('leaves everything that is listed restorable, and a backup of the living line', async () => {
    await fc.assert(
      fc.asyncProperty(world, async (world) => {
        const directory = mkdtempSync(join(tmpdir(), 'backstay-deletion-'))
        try {
          await play(world, directory)
        } finally {
          rmSync(directory, { recursive: true, force: true })
        }
      }),
      { numRuns: 16, examples: [[KEPT_WITH_A_PARTIAL]] },
    )
  })
})
