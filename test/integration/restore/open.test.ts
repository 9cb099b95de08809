/**
 * Opening a restored directory waits for what the plan's action promises, and says what the log says when recovery fails.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'
import { stopServer } from '../../../src/host/postgres-control.ts'
import type { PostgresInstance } from '../../../src/host/postgres-instance.ts'
import { findPostmaster } from '../../../src/host/postmaster.ts'
import { openRestored } from '../../../src/restore/start.ts'
import type { RestoreWish } from '../../../src/restore/wish.ts'
import { systemClock } from '../../../src/util/clock.ts'
import { availableMajors, startPostgres } from '../../harness/postgres.ts'
import { embeddedBinaries } from '../../harness/binaries.ts'
import { claimPort } from '../../harness/ports.ts'
import { unprivilegedUser } from '../../harness/unprivileged-user.ts'
import { makeAccounts, startLoad } from './load.ts'
import { host, plan, restore } from './restore-files.ts'
import { startVault, type Vault } from './vault.ts'

function instanceOf(major: 11 | 18, directory: string): PostgresInstance {
  const binaries = { ...embeddedBinaries(major), major, source: 'embedded', tools: {} } as const
  return { name: 'restored', host, binaries, directory, user: unprivilegedUser.name }
}

async function open(
  vault: Vault,
  wish: Partial<RestoreWish> & { major: 11 | 18; name: string; restoreCommand: string },
): Promise<{ state: string; instance: PostgresInstance }> {
  const directory = `${vault.base}/${wish.name}`
  const port = await claimPort()
  await restore(vault.repository, { ...wish, directory, port })
  const instance = instanceOf(wish.major, directory)
  const state = await openRestored(instance, await plan(vault.repository, wish), {
    clock: systemClock,
    timeoutMs: 60_000,
    logFile: `${directory}/log/opened.log`,
  })
  const postmaster = await findPostmaster(host, directory)
  if (postmaster !== undefined) assert.equal(postmaster.port, port)
  return { state, instance }
}

for (const major of [11, 18] as const) {
  if (!availableMajors().includes(major)) continue
  test(`PostgreSQL ${major} is waited for until it is promoted, paused, shut down or a standby`, async (t) => {
    await using pg = await startPostgres({ major })
    await using vault = await startVault(pg)
    await makeAccounts(pg)
    const load = await startLoad(pg)
    await vault.backup()
    const at = await load.after(3)
    await load.after(3)
    await load.stop()
    await vault.caughtUp()
    // What is planned from then on is what was laid out.
    await vault.stop()
    const restoreCommand = await vault.layOutWal()
    const target = { type: 'name', name: at.name } as const
    const cases: [string, Partial<RestoreWish>][] = [
      ['promoted', { target, action: 'promote' }],
      ['paused', { target, action: 'pause' }],
      ['shut-down', { target, action: 'shutdown' }],
      ['standby', { standbyMode: true }],
      ['promoted', {}],
    ]
    for (const [index, [expected, wish]] of cases.entries()) {
      await t.test(expected, async () => {
        const name = `${expected}-${index}`
        const { state, instance } = await open(vault, { ...wish, major, name, restoreCommand })
        assert.equal(state, expected)
        const stopped = await stopServer(instance, { timeoutMs: 30_000 })
        assert.equal(stopped, expected !== 'shut-down')
      })
    }
    await t.test('a recovery that fails is told with the end of its log', async () => {
      const wish = { major, name: 'failing', restoreCommand: 'exit 200' }
      await assert.rejects(open(vault, wish), (error) => {
        assert.ok(isBackstayError(error, 'HOST_COMMAND'))
        assert.match(error.message, /FATAL/)
        return true
      })
    })
  })
}
