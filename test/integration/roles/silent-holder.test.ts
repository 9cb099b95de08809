/**
 * Who changes roles and falls silent, its machine lost or its way cut, holds up nobody for long; who only takes long keeps the lock.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { lookCluster } from '../../../src/cluster/look/look.ts'
import { lockRoles } from '../../../src/failover/role-lock.ts'
import { bringUp } from '../../../src/build/up.ts'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'
import { availableMajors } from '../../harness/binaries.ts'
import { until } from '../../harness/until.ts'
import { type House, makeHouse } from '../cluster/house.ts'
import type { HolderOrder } from './lock-holder.ts'

const SILENCE_MS = 2000

/** Whether the lock can be had on every server. */
async function isFree(house: House): Promise<boolean> {
  const context = house.context()
  try {
    await using _roles = await lockRoles(context, await lookCluster(context, { forPlan: true }))
    return true
  } catch (error) {
    if (isBackstayError(error, 'REPOSITORY_LOCKED')) return false
    throw error
  }
}

for (const major of availableMajors().filter((each) => each === 11 || each === 18)) {
  describe(`PostgreSQL ${major}: a lock on changes of roles`, () => {
    test('stays with a holder that takes long, and is let go of when the holder says nothing any more', async () => {
      await using house = await makeHouse({ major, backup: false })
      await bringUp(house.context())
      const file = join(house.path, 'order.json')
      const order: HolderOrder = { wanted: house.wanted, silenceMs: SILENCE_MS }
      await writeFile(file, JSON.stringify(order))
      const holder = spawn(process.execPath, [join(import.meta.dirname, 'lock-holder.ts'), file], {
        stdio: ['pipe', 'pipe', 'inherit'],
      })
      try {
        await once(holder.stdout, 'data', { signal: AbortSignal.timeout(30_000) })
        const heldMs = performance.now()
        await until('three times the silence to pass', async () => {
          assert.equal(await isFree(house), false)
          return performance.now() - heldMs > 3 * SILENCE_MS
        })
        // Its connections stay open, as they do between two machines that lost each other.
        holder.kill('SIGSTOP')
        await until('the lock to be free', async () => isFree(house))
      } finally {
        holder.kill('SIGKILL')
      }
    })
  })
}
