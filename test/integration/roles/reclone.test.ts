/**
 * A reclone on real servers: what can be known to forbid it is known before anything is touched, and what the old directory
 * had the new one has.
 */
import assert from 'node:assert/strict'
import {
  appendFile,
  chown,
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  rename,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { recloneStandby } from '../../../src/failover/reclone.ts'
import { clusterStatus } from '../../../src/report/status.ts'
import { bringUp } from '../../../src/build/up.ts'
import type { ServerWanted } from '../../../src/cluster/wanted.ts'
import { availableMajors } from '../../harness/binaries.ts'
import { until } from '../../harness/until.ts'
import { unprivilegedUser } from '../../harness/unprivileged-user.ts'
import { makeHouse, openHouse } from '../cluster/house.ts'
import { isInOrder, stopStandby } from './support.ts'

const KEEP = { discardOld: false }

describe(
  'PostgreSQL 18: reclone',
  { skip: !availableMajors().includes(18) && 'not installed' },
  () => {
    test('that is refused leaves the standby streaming', async () => {
      await using base = await makeHouse({ major: 18, backup: false })
      await bringUp(base.context())
      await mkdir(join(base.path, 'ts'))
      await chown(join(base.path, 'ts'), unprivilegedUser.uid, unprivilegedUser.gid)
      await mkdir(join(base.path, 'ts2'))
      await chown(join(base.path, 'ts2'), unprivilegedUser.uid, unprivilegedUser.gid)
      const unmapped = base.wanted.servers.map((each) => ({ ...each, tablespaceMapping: {} }))
      await stopStandby(base, 'db2')
      await base.query('db1', `CREATE TABLESPACE fast LOCATION '${join(base.path, 'ts')}'`)
      await base.query('db1', 'CREATE TABLE kept TABLESPACE fast AS SELECT 1 AS id')
      await recloneStandby(base.context(), 'db2', KEEP)
      const house = openHouse(
        base.path,
        { ...base.wanted, servers: unmapped },
        async () => undefined,
      )
      await assert.rejects(recloneStandby(house.context(), 'db2', KEEP), /tablespace|"[^"]*ts"/i)
      const status = await clusterStatus(house.context())
      assert.deepEqual(
        status.servers.map(({ state }) => state),
        ['running', 'streaming'],
      )
      assert.equal((await house.query('db2', 'SELECT id FROM kept')).length, 1)
      const names = await readdir(base.path)
      assert.deepEqual(
        names.filter((name) => name.includes('.old-')),
        [],
      )
    })

    test('while the primary cannot be started changes nothing, and starts one that only was stopped', async () => {
      await using house = await makeHouse({ major: 18, backup: false })
      await bringUp(house.context())
      await stopStandby(house, 'db1')
      const conf = join(house.wanted.servers[0]?.directory ?? '', 'postgresql.conf')
      const before = await readFile(conf, 'utf8')
      await appendFile(conf, "archive_timeout = 'soon'\n")
      await assert.rejects(recloneStandby(house.context(), 'db2', KEEP), /archive_timeout/)
      const names = await readdir(house.path)
      assert.ok(!names.some((name) => name.includes('.old-')))
      assert.equal((await house.query('db2', 'SELECT 1 AS one')).length, 1)
      await writeFile(conf, before)
      await recloneStandby(house.context(), 'db2', KEEP)
      const { servers } = await clusterStatus(house.context())
      assert.deepEqual(
        servers.map(({ state }) => state),
        ['running', 'streaming'],
      )
    })

    test("takes no setting of recovery over that is another server's", async () => {
      await using house = await makeHouse({ major: 18, backup: false })
      await bringUp(house.context())
      const names = ['restore_command', 'recovery_end_command', 'archive_cleanup_command']
      for (const name of names) await house.query('db1', `ALTER SYSTEM SET ${name} = 'false'`)
      await house.query('db1', "ALTER SYSTEM SET recovery_min_apply_delay = '1h'")
      const [db1] = house.wanted.servers
      const lines = names.map((name) => `${name} = 'exit 1'\n`).join('')
      await appendFile(join(db1?.directory ?? '', 'postgresql.conf'), lines)
      await recloneStandby(house.context(), 'db2', KEEP)
      for (const name of [...names, 'recovery_min_apply_delay']) {
        const [row] = await house.query('db2', `SHOW ${name}`)
        assert.ok(['', '0'].includes(String(row?.[name])), `${name} = ${String(row?.[name])}`)
      }
    })

    test('keeps a pg_wal that is a link to another disk', async () => {
      await using house = await makeHouse({ major: 18, backup: false })
      await bringUp(house.context())
      const db2 = house.wanted.servers[1] as ServerWanted
      const start = await stopStandby(house, 'db2')
      const place = join(house.path, 'wal-disk')
      await rename(join(db2.directory, 'pg_wal'), place)
      await symlink(place, join(db2.directory, 'pg_wal'))
      await start()
      await until('db2 to stream', async () => {
        const { servers } = await clusterStatus(house.context())
        return servers[1]?.state === 'streaming'
      })
      await recloneStandby(house.context(), 'db2', KEEP)
      assert.ok((await lstat(join(db2.directory, 'pg_wal'))).isSymbolicLink())
      assert.equal(await readlink(join(db2.directory, 'pg_wal')), place)
      assert.match((await readdir(place)).join(), /0000000100000000/)
      await isInOrder(house, 'db1')
      const left = (await readdir(house.path)).filter((name) => name.includes('.old-'))
      assert.deepEqual(left, [], 'the old WAL goes with the old directory')
    })
  },
)
