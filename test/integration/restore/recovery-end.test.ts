/**
 * A recovery that stops elsewhere than planned is told, with both positions; settings raised on the primary after the backup are
 * raised in the copy, from the WAL it will replay.
 */
import assert from 'node:assert/strict'
import { appendFile, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { type BackstayError, isBackstayError } from '../../../src/errors/backstay-error.ts'
import { stopServer } from '../../../src/host/postgres-control.ts'
import type { PostgresInstance } from '../../../src/host/postgres-instance.ts'
import { parseSegmentName, segmentStart } from '../../../src/postgres/segment-name.ts'
import { WalScanner } from '../../../src/postgres/wal-scanner.ts'
import { surveyDemands } from '../../../src/restore/replay-demands.ts'
import { openRestored } from '../../../src/restore/start.ts'
import type { RestoreWish } from '../../../src/restore/wish.ts'
import { systemClock } from '../../../src/util/clock.ts'
import { embeddedBinaries } from '../../harness/binaries.ts'
import { claimPort } from '../../harness/ports.ts'
import { matrixMajors, startPostgres, type TestServer } from '../../harness/postgres.ts'
import { unprivilegedUser } from '../../harness/unprivileged-user.ts'
import { host, plan, restore } from './restore-files.ts'
import { startVault, type Vault } from './vault.ts'

interface Opening extends Partial<RestoreWish> {
  readonly name: string
  readonly restoreCommand: string
  readonly demands?: Awaited<ReturnType<typeof surveyDemands>>
}

/** Restores and opens; what comes of it, with the rows that can be read before it is stopped. */
async function open(pg: TestServer, vault: Vault, wish: Opening) {
  const directory = join(vault.base, wish.name)
  const port = await claimPort()
  await restore(vault.repository, { ...wish, directory, port })
  const { major } = pg
  const binaries = { ...embeddedBinaries(major), source: 'embedded', tools: {} } as const
  const user = unprivilegedUser.name
  const instance: PostgresInstance = { name: 'restored', host, binaries, directory, user }
  const hba = await readFile(join(directory, 'pg_hba.conf'), 'utf8')
  try {
    const state = await openRestored(instance, await plan(vault.repository, wish), {
      clock: systemClock,
      timeoutMs: 30_000,
      logFile: join(directory, 'log/opened.log'),
    }).catch((error: unknown) => {
      assert.ok(isBackstayError(error), String(error))
      return error
    })
    assert.equal(await readFile(join(directory, 'pg_hba.conf'), 'utf8'), hba)
    return { state, rows: await rowsOn(pg, port) }
  } finally {
    await stopServer(instance, { timeoutMs: 30_000, mode: 'immediate' })
  }
}

async function rowsOn(pg: TestServer, port: number): Promise<number> {
  const { Client } = await import('pg')
  const { user, password } = pg.connection
  const client = new Client({ host: '127.0.0.1', port, user, password, database: 'postgres' })
  client.on('error', () => undefined)
  try {
    await client.connect()
    const { rows } = await client.query<{ n: number }>('SELECT count(*)::int AS n FROM t')
    return rows[0]?.n ?? -1
  } catch {
    return -1
  } finally {
    await client.end().catch(() => undefined)
  }
}

function assertElsewhere(state: string | BackstayError): void {
  assert.ok(typeof state !== 'string', `it was taken for ${String(state)}`)
  assert.equal(state.code, 'RECOVERY_END', state.message)
  const { reachedLsn, plannedLsn } = state.details as Record<string, string>
  assert.match(state.message, /LSN [0-9A-F]+\/[0-9A-F]+, not at [0-9A-F]+\/[0-9A-F]+/)
  assert.notEqual(reachedLsn, plannedLsn)
}

for (const major of matrixMajors().filter((each) => each !== 17)) {
  test(`PostgreSQL ${major}: max_connections raised between backup and target`, async (t) => {
    await using pg = await startPostgres({ major, settings: { max_connections: 40 } })
    await using vault = await startVault(pg)
    await pg.query('CREATE TABLE t (i int); INSERT INTO t VALUES (1)')
    await vault.backup()
    await pg.stop()
    await appendFile(join(pg.directory, 'postgresql.conf'), 'max_connections = 90\n')
    await pg.start()
    await pg.query('INSERT INTO t VALUES (2)')
    await pg.query('INSERT INTO t VALUES (3)')
    await pg.query(`SELECT pg_create_restore_point('there')`)
    await pg.query('INSERT INTO t VALUES (4)')
    await vault.caughtUp()
    await vault.stop()
    const restoreCommand = await vault.layOutWal()
    const target = { type: 'name', name: 'there' } as const
    const demands = await surveyDemands(vault.repository, await plan(vault.repository, { target }))
    assert.equal(demands?.maxConnections, 90)

    for (const action of ['pause', 'promote', 'shutdown'] as const) {
      await t.test(`${action} at the target`, async () => {
        const wish = { name: `right-${action}`, target, action, restoreCommand, demands }
        const { state, rows } = await open(pg, vault, wish)
        const expected = { pause: 'paused', promote: 'promoted', shutdown: 'shut-down' }[action]
        assert.equal(state, expected, String(state))
        assert.equal(rows, action === 'shutdown' ? -1 : 3)
      })
    }
    for (const action of ['pause', 'promote'] as const) {
      await t.test(`${action} is not claimed where recovery stands at the change`, async () => {
        const wish = { name: `low-${action}`, target, action, restoreCommand }
        const { state } = await open(pg, vault, wish)
        if (major >= 14) return assertElsewhere(state)
        // Up to 13 the server gives up by itself.
        assert.ok(typeof state !== 'string' && state.code === 'HOST_COMMAND', String(state))
        assert.match(state.message, /max_connections/)
      })
    }
  })

  test(`PostgreSQL ${major}: a record damaged in the WAL that is replayed`, async () => {
    await using pg = await startPostgres({ major })
    await using vault = await startVault(pg)
    await pg.query('CREATE TABLE t (i int)')
    await vault.backup()
    for (let i = 0; i < 20; i += 1) await pg.query(`INSERT INTO t VALUES (${i})`)
    await pg.query('SELECT pg_switch_wal()')
    await pg.query('INSERT INTO t VALUES (20)')
    await vault.caughtUp()
    await vault.stop()
    const restoreCommand = await vault.layOutWal()
    await damage(/cp (\S+)\/%f/.exec(restoreCommand)?.[1] ?? '', 10)
    const { state, rows } = await open(pg, vault, { name: 'copy', restoreCommand })
    assertElsewhere(state)
    assert.ok(rows < 21, `${rows} rows`)
  })
}

/** Flips a bit in a record from the end of the last segment but one, as far from its end as `records` say. */
async function damage(directory: string, records: number): Promise<void> {
  const names = (await readdir(directory)).filter((name) => /^[0-9A-F]{24}$/.test(name)).sort()
  const segmentBytes = 16 * 1024 * 1024
  const name = names.at(-2) ?? ''
  const bytes = await readFile(join(directory, name))
  const segment = parseSegmentName(name, segmentBytes)
  assert.ok(segment !== undefined)
  const startLsn = segmentStart(segment, segmentBytes)
  const scanner = new WalScanner({ startLsn, segmentBytes })
  const places = [...scanner.push(bytes)].map((record) => Number(record.lsn - startLsn))
  const place = places.at(-records) ?? 0
  bytes[place + 30] = (bytes[place + 30] ?? 0) ^ 1
  await writeFile(join(directory, name), bytes)
}
