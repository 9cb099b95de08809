/**
 * Commits that are to wait for the backup server: `up` says done only when they do.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { awaitReceiver } from '../../../src/build/await-receiver.ts'
import type { ClusterContext } from '../../../src/cluster/context.ts'
import type { BackupHostSeen, ClusterFound } from '../../../src/cluster/found.ts'
import { bringUp } from '../../../src/build/up.ts'
import { systemClock } from '../../../src/util/clock.ts'
import { availableMajors } from '../../harness/binaries.ts'
import { Vault } from '../roles/support.ts'
import { type House, makeHouse, openHouse } from './house.ts'

/** One server whose commits are to wait for the backup server. */
function waiting(house: House): House {
  const { backup } = house.wanted
  assert.ok(backup)
  const wanted = { ...house.wanted, backup: { ...backup, synchronous: true } }
  return openHouse(house.path, wanted, async () => undefined)
}

/** As `up` found it, on a machine where systemd says that the service runs. */
function served({ servers }: ClusterFound): Pick<ClusterFound, 'servers' | 'backupHost'> {
  const seen = { unit: { activeState: 'active' } } as BackupHostSeen
  return { servers, backupHost: { seen, hostError: undefined } }
}

/** Time passes as soon as somebody waits for it. */
function hurried(context: ClusterContext): ClusterContext {
  let aheadMs = 0
  const clock = {
    ...systemClock,
    monotonic: () => systemClock.monotonic() + aheadMs,
    sleep: async (ms: number) => {
      aheadMs += ms
      await systemClock.sleep(0)
    },
  }
  return { ...context, clock }
}

for (const major of availableMajors().filter((each) => each === 11 || each === 18)) {
  test(`PostgreSQL ${major}: a receiver that stays away is a problem, and its step has failed; one that comes is none`, async () => {
    await using house = await makeHouse({ major, standbys: 0 })
    const synchronous = waiting(house)
    const { found, primary } = await bringUp(synchronous.context())
    const away = await awaitReceiver(hurried(synchronous.context()), served(found), primary)
    assert.equal(away.hasCome, false)
    assert.equal(away.problem?.severity, 'warning')
    assert.match(away.problem?.message ?? '', /Commits on "db1" do not wait for "vault" yet/)
    assert.deepEqual(synchronous.events.at(-1), { kind: 'step-failed', id: 'db1.receiver' })
    await using _vault = await Vault.open(house)
    const there = await awaitReceiver(synchronous.context(), served(found), primary)
    assert.deepEqual(there, { hasCome: true, problem: undefined })
  })
}
