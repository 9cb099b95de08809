import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'
import { formatLsn, toLsn } from '../../../src/postgres/lsn.ts'
import type { BackupInfo } from '../../../src/repository/backup-info.ts'
import { planRestore, type RestorePlan } from '../../../src/restore/plan.ts'
import type { RestoreTarget, RestoreWish } from '../../../src/restore/wish.ts'
import { buildWorld, mapOf, readingOf, seeds, simulate, type World } from './timeline-tree.ts'

const targets: fc.Arbitrary<RestoreTarget> = fc.oneof(
  fc.constant({ type: 'none' } as const),
  fc.constant({ type: 'immediate' } as const),
  fc.record({
    type: fc.constant('time' as const),
    timeUs: fc.integer({ min: 995, max: 1060 }).map((seconds) => BigInt(seconds) * 1_000_000n),
    inclusive: fc.boolean(),
  }),
  fc.record({
    type: fc.constant('lsn' as const),
    lsn: fc.integer({ min: 1500, max: 9000 }).map((byte) => toLsn(BigInt(byte))),
    inclusive: fc.boolean(),
  }),
  fc.record({
    type: fc.constant('xid' as const),
    xid: fc.integer({ min: 99, max: 116 }),
    inclusive: fc.boolean(),
  }),
  fc.record({ type: fc.constant('name' as const), name: fc.constantFrom('n0', 'n1', 'n4', 'n9') }),
)

function plan(world: World, wish: Partial<RestoreWish>): Promise<RestorePlan> {
  return planRestore(
    {
      backup: 'auto',
      target: { type: 'none' },
      timeline: 'latest',
      action: 'pause',
      standbyMode: false,
      ...wish,
    },
    {
      cluster: 'toy',
      backups: world.backups,
      map: mapOf(world),
      wal: readingOf(world),
      currentAtUs: undefined,
    },
  )
}

async function planOrRefusal(
  world: World,
  wish: Partial<RestoreWish>,
): Promise<RestorePlan | undefined> {
  try {
    return await plan(world, wish)
  } catch (error) {
    assert.ok(isBackstayError(error), String((error as Error).stack))
    assert.ok(error.code === 'TARGET_UNREACHABLE' || world.backups.length === 0, error.message)
    return undefined
  }
}

function describe(world: World): string {
  return JSON.stringify(
    {
      timelines: world.timelines.map(({ timeline, parent, fork, end, held, records }) => ({
        timeline,
        parent: parent?.timeline,
        fork,
        end,
        held,
        records: records.map((r) => `${r.start}-${r.end} ${r.kind} ${r.timeMs} ${r.xid} ${r.name}`),
      })),
      backups: world.backups.map((b) => [
        b.id,
        b.timeline,
        String(b.startLsn),
        String(b.stopLsn),
        b.finishedAt,
      ]),
    },
    undefined,
    1,
  )
}

test('the planner accepts and refuses a named backup exactly as replaying every record does', async () => {
  let reached = 0
  let refused = 0
  await fc.assert(
    fc.asyncProperty(seeds, targets, fc.nat(), fc.nat(), async (seed, target, one, other) => {
      const world = buildWorld(seed)
      const backup = world.backups[one % Math.max(1, world.backups.length)]
      if (backup === undefined) return
      const timeline = 1 + (other % world.timelines.length)
      const truth = simulate(world, backup, { timeline, target })
      const found = await planOrRefusal(world, { backup: backup.id, target, timeline })
      const context = `${JSON.stringify({ ...target, timeline, backup: backup.id }, bigints)}\n${describe(world)}`
      assert.equal(found !== undefined, truth !== undefined, context)
      if (truth === undefined) refused += 1
      else reached += 1
      if (found !== undefined && truth !== undefined) {
        assert.equal(Number(found.wal.endLsn), truth.stopsAt, context)
      }
    }),
    { numRuns: 3000 },
  )
  assert.ok(reached > 300 && refused > 300, `${reached} reached, ${refused} refused`)
})

test('auto takes the newest backup from which the target can be reached, and refuses when none can', async () => {
  await fc.assert(
    fc.asyncProperty(seeds, targets, fc.nat(), async (seed, target, one) => {
      const world = buildWorld(seed)
      const timeline = 1 + (one % world.timelines.length)
      const able = world.backups.filter(
        (backup) => simulate(world, backup, { timeline, target }) !== undefined,
      )
      const newest = able.sort(byEnd).at(-1)
      const found = await planOrRefusal(world, { backup: 'auto', target, timeline })
      assert.equal(
        found?.backup.id,
        newest?.id,
        `${JSON.stringify(target, bigints)}\n${describe(world)}`,
      )
    }),
    { numRuns: 2000 },
  )
})

test('the nearest moment that a refusal names can be restored itself', async () => {
  let tried = 0
  await fc.assert(
    fc.asyncProperty(seeds, targets, async (seed, target) => {
      const world = buildWorld(seed)
      try {
        await plan(world, { target, timeline: 'latest' })
      } catch (error) {
        assert.ok(isBackstayError(error))
        const nearest = (error.details['nearest'] ?? {}) as Record<string, Nearest | null>
        for (const moment of Object.values(nearest)) {
          if (moment === null) continue
          tried += 1
          await plan(world, nearestWish(moment))
        }
      }
    }),
    { numRuns: 1500 },
  )
  assert.ok(tried > 200, `${tried} tried`)
})

interface Nearest {
  readonly backup: string
  readonly lsn: string
  readonly timeline: number
}

function nearestWish(moment: Nearest): Partial<RestoreWish> {
  const [high, low] = moment.lsn.split('/').map((part) => BigInt(`0x${part}`))
  const lsn = toLsn(((high ?? 0n) << 32n) | (low ?? 0n))
  return {
    backup: moment.backup as BackupInfo['id'],
    timeline: moment.timeline,
    target: { type: 'lsn', lsn, inclusive: true },
  }
}

function byEnd(a: BackupInfo, b: BackupInfo): number {
  return `${a.finishedAt}${a.id}` < `${b.finishedAt}${b.id}` ? -1 : 1
}

function bigints(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? `${value} ${formatLsn(toLsn(value))}` : value
}
