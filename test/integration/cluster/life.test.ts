/**
 * The whole life of a cluster on every major: built, cloned with a tablespace, proved, drifted and repaired, stopped,
 * started, destroyed.
 */
import assert from 'node:assert/strict'
import { existsSync, lstatSync, readdirSync } from 'node:fs'
import { appendFile, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { chownSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { checkCluster } from '../../../src/report/check.ts'
import { destroyCluster } from '../../../src/build/destroy.ts'
import { takeDown } from '../../../src/build/down.ts'
import { clusterStatus } from '../../../src/report/status.ts'
import { bringUp, planCluster } from '../../../src/build/up.ts'
import { verifyCluster } from '../../../src/build/verify.ts'
import { matrixMajors } from '../../harness/binaries.ts'
import { isRoot, unprivilegedUser } from '../../harness/unprivileged-user.ts'
import { until } from '../../harness/until.ts'
import { type House, makeHouse } from './house.ts'

const ids = (steps: readonly { readonly id: string }[]): string[] => steps.map(({ id }) => id)

async function nothingToDo(house: House): Promise<void> {
  const { done, problems } = await bringUp(house.context())
  assert.deepEqual({ done: ids(done), problems }, { done: [], problems: [] })
}

/** Runs `up` and says which steps it took; afterwards nothing is left and the standby is proved. */
async function repaired(house: House): Promise<readonly string[]> {
  const { done } = await bringUp(house.context())
  await nothingToDo(house)
  const proof = await verifyCluster(house.context())
  assert.ok(proof.isProved, JSON.stringify(proof))
  return ids(done)
}

for (const major of matrixMajors()) {
  describe(`PostgreSQL ${major}`, () => {
    test('up builds a proved cluster, mends what drifted, and down ends it', async (t) => {
      await using house = await makeHouse({ major, archive: true })
      const [db1, db2] = house.wanted.servers as [
        (typeof house.wanted.servers)[0],
        (typeof house.wanted.servers)[0],
      ]
      const { wanted } = house

      await t.test('up on nothing plans everything and ends proved', async () => {
        const alone = { ...wanted, servers: [db1] }
        await bringUp(house.context({ wanted: alone }))
        await mkdir(join(house.path, 'ts'))
        if (isRoot) chownSync(join(house.path, 'ts'), unprivilegedUser.uid, unprivilegedUser.gid)
        await house.query('db1', `CREATE TABLESPACE ts LOCATION '${join(house.path, 'ts')}'`)
        await house.query(
          'db1',
          'CREATE TABLE kept (id int) TABLESPACE ts; INSERT INTO kept SELECT generate_series(1, 1000)',
        )
        const { done } = await bringUp(house.context())
        assert.ok(ids(done).includes('db2.clone'))
        const proof = await verifyCluster(house.context())
        assert.ok(proof.isProved)
        assert.ok((proof.standbys[0]?.delayMs ?? 1e9) < 5000)
      })

      await t.test('the standby holds the tablespace at its mapped place', async () => {
        const [row] = await house.query('db2', 'SELECT count(*)::int AS n FROM kept')
        assert.equal(row?.['n'], 1000)
        assert.ok(existsSync(join(house.path, 'ts2')))
      })

      // The other major keeps it until the end: destroy removes it there.
      if (major === 18) {
        await t.test(
          'the link that leads there is its maker’s, and the server removes it',
          async () => {
            const [row] = await house.query(
              'db1',
              "SELECT oid FROM pg_tablespace WHERE spcname = 'ts'",
            )
            const link = join(db2.directory, 'pg_tblspc', String(row?.['oid']))
            assert.equal(lstatSync(link).uid, process.getuid?.())
            await house.query('db1', 'DROP TABLE kept')
            await house.query('db1', 'DROP TABLESPACE ts')
            await until('the standby to drop it', () => !existsSync(link))
            assert.deepEqual(readdirSync(join(house.path, 'ts2')), [])
            assert.throws(() => lstatSync(link))
          },
        )
      }

      await t.test('a second up has nothing to do', async () => nothingToDo(house))

      await t.test('status tells who could take over', async () => {
        const status = await clusterStatus(house.context())
        assert.equal(status.verdict, 'ok')
        assert.equal(status.primary, 'db1')
        assert.deepEqual(
          status.servers.map(({ state }) => state),
          ['running', 'streaming'],
        )
        assert.match(status.takeover, /"db2" could take over/)
      })

      await t.test('check finds nothing but what a fresh cluster lacks', async () => {
        const findings = await checkCluster(house.context())
        const bad = findings.filter(({ status }) => status !== 'ok')
        assert.deepEqual(
          bad.map(({ check, server }) => `${check} ${server ?? ''}`),
          ['slots.used vault'],
          JSON.stringify(bad, undefined, 2),
        )
        assert.ok(findings.some(({ check }) => check === 'login.backstay_backup'))
      })

      await t.test('passwords are kept, private and in no log', async () => {
        const passfile = join(wanted.stateDirectory, 'passwords')
        assert.equal((await stat(passfile)).mode & 0o777, 0o600)
        const passwords = (await readFile(passfile, 'utf8'))
          .trim()
          .split('\n')
          .map((line) => line.split(':')[4] ?? '')
        assert.equal(passwords.length, 4)
        const logs = await Promise.all(
          [`${db1.directory}.log`, `${db2.directory}.log`].map(async (path) =>
            readFile(path, 'utf8'),
          ),
        )
        for (const password of passwords) assert.ok(!logs.join('').includes(password))
      })

      await t.test('a dropped slot is mended', async () => {
        await house.query('db1', "SELECT pg_drop_replication_slot('backstay_vault')")
        assert.deepEqual(await repaired(house), ['db1.slot.backstay_vault'])
      })

      await t.test('a lost access block is mended', async () => {
        await writeFile(join(db1.directory, 'pg_hba.conf'), 'local all all scram-sha-256\n')
        assert.deepEqual(await repaired(house), ['db1.file.hba', 'db1.reload'])
      })

      await t.test('an access file that shuts Backstay out is mended', async () => {
        await writeFile(join(db1.directory, 'pg_hba.conf'), 'local all all reject\n')
        await takeDown(house.context())
        const done = await repaired(house)
        assert.ok(done.includes('db1.file.hba'))
      })

      await t.test('a setting edited by hand is mended', async () => {
        const path = join(db1.directory, 'backstay.conf')
        const text = await readFile(path, 'utf8')
        await writeFile(path, text.replace(/^max_wal_senders = .*$/m, 'max_wal_senders = 5'))
        const done = await repaired(house)
        assert.deepEqual(done, ['db1.file.settings', 'db1.reload'])
      })

      await t.test('a dropped role and a changed password are mended', async () => {
        await house.query('db1', 'DROP OWNED BY backstay_stream; DROP ROLE backstay_stream')
        await house.query('db1', "ALTER ROLE backstay_replication PASSWORD 'other'")
        assert.deepEqual(await repaired(house), [
          'db1.role.backstay_replication',
          'db1.role.backstay_stream',
        ])
      })

      await t.test('a detached standby is attached again', async () => {
        const path = join(db2.directory, major < 12 ? 'recovery.conf' : 'backstay-standby.conf')
        const text = await readFile(path, 'utf8')
        await writeFile(path, text.replace(`port=${db1.port}`, 'port=1'))
        const done = await repaired(house)
        assert.ok(done.includes('db2.file.standby'), done.join())
      })

      await t.test('a stopped standby without its signal is started as a standby', async () => {
        await takeDown(house.context())
        const name = major < 12 ? 'recovery.conf' : 'standby.signal'
        await rm(join(db2.directory, name))
        const done = await repaired(house)
        assert.deepEqual(done.at(0), 'db1.start')
        assert.ok(done.includes(major < 12 ? 'db2.file.standby' : 'db2.signal-file'), done.join())
      })

      await t.test('a foreign slot and a foreign access line stay', async () => {
        await house.query('db1', "SELECT pg_create_physical_replication_slot('somebody')")
        await appendFile(
          join(db1.directory, 'pg_hba.conf'),
          'host all all 10.9.9.9/32 scram-sha-256\n',
        )
        await bringUp(house.context())
        await nothingToDo(house)
        const slots = await house.query('db1', 'SELECT slot_name FROM pg_replication_slots')
        assert.ok(slots.some((row) => row['slot_name'] === 'somebody'))
        assert.match(await readFile(join(db1.directory, 'pg_hba.conf'), 'utf8'), /10\.9\.9\.9/)
        await house.query('db1', "SELECT pg_drop_replication_slot('somebody')")
      })

      await t.test('a setting that needs a restart is brought into force everywhere', async () => {
        const parameters = { ...wanted.postgres.parameters, max_connections: '40' }
        const bigger = { ...wanted, postgres: { ...wanted.postgres, parameters } }
        const grown = await bringUp(house.context({ wanted: bigger }))
        assert.deepEqual(ids(grown.done), [
          'db2.file.settings',
          'db2.restart',
          'db1.file.settings',
          'db1.restart',
          'db2.attach',
        ])
        assert.deepEqual((await planCluster(house.context({ wanted: bigger }))).plan.steps, [])
        const shrunk = await bringUp(house.context())
        assert.deepEqual(ids(shrunk.done).slice(0, 2), ['db1.file.settings', 'db1.restart'])
        assert.ok(ids(shrunk.done).includes('db2.restart'))
        await nothingToDo(house)
      })

      await t.test(
        'down leaves the standby with all of the primary’s WAL, and up starts both',
        async () => {
          const { stopped } = await takeDown(house.context())
          assert.deepEqual(stopped, ['db1', 'db2'])
          const { plan } = await planCluster(house.context())
          assert.deepEqual(ids(plan.steps), ['db1.start', 'db2.start', 'db2.attach'])
          await repaired(house)
        },
      )

      await t.test('destroy asks first, then leaves nothing of ours', async () => {
        await assert.rejects(destroyCluster(house.context(), { isConfirmed: false }), {
          code: 'NEEDS_CONFIRMATION',
        })
        const { removed } = await destroyCluster(house.context(), { isConfirmed: true })
        assert.deepEqual(removed, [db1.directory, db2.directory])
        for (const path of [db1.directory, db2.directory, `${db2.directory}.pgpass`]) {
          assert.ok(!existsSync(path), path)
        }
        assert.deepEqual((await planCluster(house.context())).plan.problems, [])
      })
    })
  })
}
