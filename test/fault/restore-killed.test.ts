/**
 * A restore that is killed leaves a directory no server can start on, and can be repeated. Killed after its last step, it is whole.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { chown, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { isBackstayError } from '../../src/errors/backstay-error.ts'
import { RESTORE_PHASES } from '../../src/restore/restore.ts'
import { openPostgres, startPostgres } from '../harness/postgres.ts'
import { isRoot, unprivilegedUser } from '../harness/unprivileged-user.ts'
import { balancesIn, makeAccounts, startLoad, stateAfter } from '../integration/restore/load.ts'
import { restore, untilPromoted } from '../integration/restore/restore-files.ts'
import { startVault, type Vault } from '../integration/restore/vault.ts'

interface Setting {
  readonly vault: Vault
  readonly restoreCommand: string
  readonly rounds: number
  /** Oid of the one tablespace. */
  readonly oid: string
}

async function withBackup(work: (setting: Setting) => Promise<void>): Promise<void> {
  await using pg = await startPostgres({ major: 18 })
  await using vault = await startVault(pg)
  const space = join(vault.base, 'space')
  await mkdir(space)
  if (isRoot) await chown(space, unprivilegedUser.uid, unprivilegedUser.gid)
  await pg.query(`CREATE TABLESPACE space LOCATION '${space}'`)
  await pg.query(
    'CREATE TABLE ballast TABLESPACE space AS SELECT i, md5(i::text) FROM generate_series(1, 300000) i',
  )
  await makeAccounts(pg)
  const load = await startLoad(pg)
  const backup = await vault.backup()
  const { round } = await load.stop()
  await vault.caughtUp()
  const restoreCommand = await vault.layOutWal()
  const oid = String(backup.tablespaces[0]?.oid)
  await work({ vault, restoreCommand, rounds: round, oid })
}

/** Runs a restore in a process of its own, which ends by SIGKILL: by itself at `killAt`, or after `afterMs`. */
async function killedRestore(
  { vault, restoreCommand, oid }: Setting,
  how: { directory: string; killAt?: string; afterMs?: number },
): Promise<void> {
  const program = join(import.meta.dirname, 'restore-process.ts')
  const child = spawn(process.execPath, [program], { stdio: ['pipe', 'ignore', 'pipe'] })
  const { directory, killAt, afterMs } = how
  const repository = vault.repository.store.location
  const tablespaces = [[oid, `${directory}-space`]]
  let said = ''
  child.stderr.on('data', (piece) => (said += String(piece)))
  child.stdin.end(JSON.stringify({ repository, directory, restoreCommand, killAt, tablespaces }))
  const ended = once(child, 'exit')
  if (afterMs !== undefined) {
    await delay(afterMs)
    child.kill('SIGKILL')
  }
  const [code, signal] = (await ended) as [number | null, string | null]
  if (afterMs === undefined) assert.equal(signal, 'SIGKILL', `it ended with ${code}: ${said}`)
}

async function assertUnusable(directory: string): Promise<void> {
  assert.ok(!existsSync(join(directory, 'global/pg_control')))
  await assert.rejects(openPostgres({ major: 18, directory }), /did not start/)
}

async function assertWhole(setting: Setting, directory: string): Promise<void> {
  await using opened = await openPostgres({ major: 18, directory })
  await untilPromoted(opened)
  assert.deepEqual(await balancesIn(opened), stateAfter(setting.rounds))
  assert.deepEqual(await opened.query('SELECT count(*)::int AS n FROM ballast'), [{ n: 300_000 }])
}

async function repeat(setting: Setting, directory: string): Promise<void> {
  await restore(setting.vault.repository, {
    directory,
    restoreCommand: setting.restoreCommand,
    tablespaces: new Map([[setting.oid, `${directory}-space`]]),
  })
}

test('a restore killed at the beginning of any phase cannot be started and can be repeated', async (t) => {
  await withBackup(async (setting) => {
    for (const phase of RESTORE_PHASES) {
      await t.test(phase, async () => {
        const directory = join(setting.vault.base, `killed-${phase}`)
        await killedRestore(setting, { directory, killAt: phase })
        if (phase === 'unmark') {
          await assert.rejects(repeat(setting, directory), (error) =>
            isBackstayError(error, 'DIRECTORY_FOREIGN'),
          )
        } else {
          await assertUnusable(directory)
          await repeat(setting, directory)
        }
        await assertWhole(setting, directory)
      })
    }
  })
})

test('a restore killed at random moments cannot be started and can be repeated', async () => {
  await withBackup(async (setting) => {
    const directory = join(setting.vault.base, 'random')
    let killed = 0
    for (let afterMs = 150; afterMs < 1500; afterMs += 150) {
      await killedRestore(setting, { directory, afterMs })
      if (existsSync(join(directory, 'global/pg_control'))) break
      killed += 1
      if (existsSync(directory)) await assertUnusable(directory)
    }
    assert.ok(killed > 0, 'some of them did not come to their end')
    if (!existsSync(join(directory, 'global/pg_control'))) await repeat(setting, directory)
    await assertWhole(setting, directory)
  })
})
