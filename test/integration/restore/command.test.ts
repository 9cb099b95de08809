/**
 * The commands around backups as an operator types them: list, show, keep, verify, plan, restore, open, expire, delete.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { chown, lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { planJson, planText } from '../../../src/cli/text/restore-text.ts'
import { decodePlan } from '../../../src/fleet/told-plan.ts'
import { stopServer } from '../../../src/host/postgres-control.ts'
import { embeddedBinaries } from '../../harness/binaries.ts'
import { claimPort } from '../../harness/ports.ts'
import { startPostgres } from '../../harness/postgres.ts'
import { isRoot, unprivilegedUser } from '../../harness/unprivileged-user.ts'
import { makeAccounts, startLoad, stateAfter } from './load.ts'
import { host } from './restore-files.ts'
import { startVault, type Vault } from './vault.ts'

const PROGRAM = join(import.meta.dirname, '../../../bin/backstay.js')

interface Ended {
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

async function backstay(words: readonly string[], input?: object): Promise<Ended> {
  return await new Promise((resolve) => {
    const child = execFile(process.execPath, [PROGRAM, ...words], (error, stdout, stderr) => {
      const exitCode = error === null ? 0 : Number(error.code ?? 1)
      resolve({ exitCode, stdout, stderr })
    })
    child.stdin?.end(input && JSON.stringify(input))
  })
}

interface Json {
  readonly [key: string]: Json
}

async function json(vault: Vault, ...words: string[]): Promise<Json> {
  const place = ['--repository', vault.repository.store.location, '--cluster', 'shop', '--json']
  const { exitCode, stdout, stderr } = await backstay([...words, ...place])
  assert.equal(exitCode, 0, stderr + stdout)
  return JSON.parse(stdout) as Json
}

/** The repository as an operator has it: of the OS user who runs PostgreSQL too. */
async function giveAway(path: string): Promise<void> {
  if (!isRoot) return
  await chown(path, unprivilegedUser.uid, unprivilegedUser.gid)
  if (!(await lstat(path)).isDirectory()) return
  for (const name of await readdir(path)) await giveAway(join(path, name))
}

test('backups are listed, shown, kept, verified, restored and opened, expired and deleted', async (t) => {
  await using pg = await startPostgres({ major: 18 })
  await using vault = await startVault(pg)
  const location = vault.repository.store.location
  await makeAccounts(pg)
  const first = await vault.backup({ label: 'first' })
  const load = await startLoad(pg)
  const at = await load.after(10)
  await load.after(5)
  await load.stop()
  const second = await vault.backup()
  await vault.caughtUp()
  await vault.stop()
  await giveAway(location)

  await t.test('listed and shown', async () => {
    const list = await json(vault, 'backups')
    assert.deepEqual(
      (list['backups'] as unknown as { id: string }[]).map(({ id }) => id),
      [second.id, first.id],
    )
    assert.ok(list['recoverable'] !== null)
    const shown = await json(vault, 'show', 'first')
    assert.equal(shown['id'], first.id)
    assert.equal((shown['recoverable'] as Json)['from']?.['timeline'], 1)
    const place = ['--repository', location, '--cluster', 'shop']
    const { stdout } = await backstay(['backups', ...place])
    assert.match(stdout, new RegExp(`${second.id} +changed pages`))
    assert.match((await backstay(['show', 'latest', ...place])).stdout, /Recoverable +from/)
  })

  await t.test('verified', async () => {
    const verified = await json(vault, 'verify-backup')
    assert.equal(verified['isGood'], true)
  })

  const directory = join(vault.base, 'restored')
  const target = ['--target-time', at.time, '--target-action', 'promote']
  await t.test('planned, without a byte written', async () => {
    const plan = await json(vault, 'restore', 'auto', directory, ...target, '--plan')
    assert.equal(plan['backup'], first.id)
    assert.equal(plan['done'], false)
    assert.equal(await host.inspect(directory), undefined)
    const words = ['--repository', location, '--cluster', 'shop', '--plan']
    const { stdout } = await backstay(['restore', 'auto', directory, ...target, ...words])
    assert.match(stdout, /Backup .*\nInto .*\nOS user .*\nTarget .*\nTimeline .*\nWAL .*\n/)
  })

  await t.test('planned for another machine as for this one', async () => {
    const wish = { backup: 'auto', targetTime: at.time, targetTli: 'current' }
    const words = { targetImmediate: false, exclusive: false, standbyMode: false }
    const place = ['--repository', location, '--cluster', 'shop', '--json']
    const told = await backstay(['restore-plan', ...place], {
      ...wish,
      ...words,
      targetAction: 'promote',
    })
    assert.equal(told.exitCode, 0, told.stderr)
    const plan = decodePlan((JSON.parse(told.stdout) as { plan: string }).plan)
    assert.ok(plan !== undefined)
    const { done: _, ...here } = await json(vault, 'restore', 'auto', ...target, '--plan')
    assert.deepEqual(JSON.parse(JSON.stringify(planJson(plan, undefined))), here)
    assert.match(planText(plan, undefined), /Backup .*\nTarget .*\nTimeline .*\nWAL .*\n/)
    const none = await backstay(['restore-plan', ...place], { backup: 5 })
    assert.equal(none.exitCode, 2, none.stderr)
  })

  await t.test('refused with exit code 50 and the nearest moment', async () => {
    const words = ['restore', 'latest', directory, ...target]
    const place = ['--repository', location, '--cluster', 'shop']
    const { exitCode, stderr } = await backstay([...words, ...place])
    assert.equal(exitCode, 50)
    assert.match(stderr, /Hint: The nearest moment that can be restored: after it LSN/)
  })

  await t.test('restored, recovered through wal get, opened', async () => {
    const port = await claimPort()
    const opening = ['--start', String(port), '--os-user', unprivilegedUser.name]
    const done = await json(vault, 'restore', 'auto', directory, ...target, ...opening)
    assert.equal(done['opened'], 'promoted')
    const binaries = { ...embeddedBinaries(18), source: 'embedded', tools: {} } as const
    const instance = { name: 'restored', host, binaries, directory, user: unprivilegedUser.name }
    try {
      assert.deepEqual(await balancesOn(port, pg.password), stateAfter(at.round))
    } finally {
      await stopServer(instance, { timeoutMs: 30_000, mode: 'immediate' })
    }
    const leftover = await readdir(join(location, 'shop/locks')).catch(() => [])
    assert.deepEqual(leftover, [], 'no lock is left')
  })

  await t.test('kept, then expired and deleted', async () => {
    await json(vault, 'keep', 'first', '--reason', 'because')
    const plan = await json(vault, 'expire', '--count', '1', '--dry-run')
    assert.deepEqual(plan['expire'], [])
    const { exitCode } = await backstay([
      'delete',
      'first',
      '--yes',
      '--repository',
      location,
      '--cluster',
      'shop',
    ])
    assert.equal(exitCode, 1)
    await json(vault, 'keep', 'first', '--release')
    const expired = await json(vault, 'expire', '--count', '1')
    assert.deepEqual(
      (expired['expire'] as unknown as { id: string }[]).map(({ id }) => id),
      [first.id],
    )
    const verified = await json(vault, 'verify-backup', 'latest')
    assert.equal(verified['isGood'], true)
    const unconfirmed = await backstay([
      'delete',
      'latest',
      '--repository',
      location,
      '--cluster',
      'shop',
    ])
    assert.equal(unconfirmed.exitCode, 2)
  })
})

async function balancesOn(port: number, password: string): Promise<number[]> {
  const { Client } = await import('pg')
  const client = new Client({
    host: '127.0.0.1',
    port,
    user: 'postgres',
    password,
    database: 'postgres',
  })
  await client.connect()
  const { rows } = await client.query<{ balance: number }>(
    'SELECT balance FROM accounts ORDER BY id',
  )
  await client.end()
  return rows.map((row) => row.balance)
}
