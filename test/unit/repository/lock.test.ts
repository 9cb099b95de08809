import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'
import { clusterNames } from '../../../src/repository/format.ts'
import { findLocks, type LockMode, takeLock } from '../../../src/repository/lock.ts'
import { putSealed } from '../../../src/repository/sealed-object.ts'
import { MemoryStore } from '../../harness/memory-store.ts'
import { type ProcessIdentity, thisProcess } from '../../../src/util/process-identity.ts'
import { systemClock } from '../../../src/util/clock.ts'

const names = clusterNames('shop')

function place() {
  return { store: new MemoryStore(), names, clock: systemClock }
}

const wish = (mode: LockMode) => ({ name: 'catalogue', mode, purpose: 'a test' })
const isLocked = (error: unknown) => isBackstayError(error, 'REPOSITORY_LOCKED')

async function claimOf(at: ReturnType<typeof place>, changes: Partial<ProcessIdentity>) {
  const holder = { ...thisProcess(), ...changes }
  const claim = { ...wish('exclusive'), holder, takenAt: '2026-11-22T08:45:45.000Z' }
  await putSealed(at.store, `${names.locks}/catalogue/x.json`, claim)
}

describe('lock', () => {
  it('excludes others until it is given back', async () => {
    const at = place()
    {
      await using _lock = await takeLock(at, wish('exclusive'))
      await assert.rejects(takeLock(at, wish('exclusive')), isLocked)
      await assert.rejects(takeLock(at, wish('shared')), isLocked)
    }
    await using _again = await takeLock(at, wish('exclusive'))
  })

  it('of another shape lets nobody pass, and is named', async () => {
    for (const shape of [
      {},
      { holder: null },
      { ...wish('exclusive'), holder: 'me', takenAt: '' },
    ]) {
      const at = place()
      await putSealed(at.store, `${names.locks}/catalogue/x.json`, shape)
      await assert.rejects(takeLock(at, wish('shared')), (error) => {
        assert.ok(isBackstayError(error, 'REPOSITORY_DAMAGED'))
        assert.match(error.message, /catalogue\/x\.json": it is no lock/)
        return true
      })
    }
  })

  it('is shared by readers, who exclude writers', async () => {
    const at = place()
    await using _one = await takeLock(at, wish('shared'))
    await using _two = await takeLock(at, wish('shared'))
    await assert.rejects(takeLock(at, wish('exclusive')), isLocked)
    assert.equal((await findLocks(at, 'catalogue')).length, 2)
  })

  it('is never held by two who come at the same moment', async () => {
    const at = place()
    let holders = 0
    let most = 0
    await Promise.all(
      Array.from({ length: 12 }, async () => {
        try {
          await using _lock = await takeLock(at, wish('exclusive'))
          holders += 1
          most = Math.max(most, holders)
          await systemClock.sleep(2)
          holders -= 1
        } catch (error) {
          assert.ok(isLocked(error))
        }
      }),
    )
    assert.equal(most, 1)
    assert.deepEqual(await findLocks(at, 'catalogue'), [])
  })

  it('names who holds it', async () => {
    const at = place()
    await using _lock = await takeLock(at, wish('exclusive'))
    await assert.rejects(
      takeLock(at, wish('exclusive')),
      new RegExp(`pid ${process.pid} on host .* for a test`),
    )
  })

  for (const [why, changes] of [
    ['whose pid is gone', { pid: 2 ** 22 + 1 }],
    ['whose pid belongs to another process now', { startTicks: 1 }],
    ['that ran before the host was restarted', { bootId: 'earlier' }],
  ] as const) {
    it(`passes over a holder ${why}`, async () => {
      const at = place()
      await claimOf(at, changes)
      await using _lock = await takeLock(at, wish('exclusive'))
      assert.equal((await findLocks(at, 'catalogue')).length, 1)
    })
  }

  for (const [why, changes] of [
    ['another host', { host: 'elsewhere/1' }],
    ['another pid namespace', { pidNamespace: 'pid:[1]' }],
  ] as const) {
    it(`respects a holder of ${why}, and says what to do if it is gone`, async () => {
      const at = place()
      await claimOf(at, changes)
      await assert.rejects(
        takeLock(at, wish('exclusive')),
        (error) =>
          isLocked(error) && /delete "memory\/shop\/locks/.test((error as { hint: string }).hint),
      )
    })
  }
})
