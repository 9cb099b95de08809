/**
 * A standby beside its primary replays CREATE TABLESPACE into the primary's own directory. That goes with neither a reclone nor a forget of
 * the standby.
 */
import assert from 'node:assert/strict'
import { chown, mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { forget } from '../../../src/build/made/forget.ts'
import { bringUp } from '../../../src/build/up.ts'
import { recloneStandby } from '../../../src/failover/reclone.ts'
import { availableMajors } from '../../harness/binaries.ts'
import { isRoot, unprivilegedUser } from '../../harness/unprivileged-user.ts'
import { until } from '../../harness/until.ts'
import { makeHouse } from '../cluster/house.ts'
import { withCode } from './support.ts'

const major = availableMajors().at(-1) ?? 18

test('a tablespace that the primary has too is neither set aside nor emptied', async () => {
  await using house = await makeHouse({ major, backup: false })
  await bringUp(house.context())
  const space = join(house.path, 'ts')
  await mkdir(space)
  if (isRoot) await chown(space, unprivilegedUser.uid, unprivilegedUser.gid)
  await house.query('db1', `CREATE TABLESPACE fast LOCATION '${space}'`)
  await house.query('db1', 'CREATE TABLE kept TABLESPACE fast AS SELECT 1 AS id')
  await until('the standby to have the link', async () => {
    const links = await readdir(join(house.path, 'db2/pg_tblspc'))
    return links.length === 1
  })
  const refused = withCode(
    'DIRECTORY_FOREIGN',
    /db2\/pg_tblspc\/\d+" leads to ".*ts", which server "db1" has, too/,
  )
  for (const discardOld of [false, true])
    await assert.rejects(recloneStandby(house.context(), 'db2', { discardOld }), refused)
  const servers = house.wanted.servers.filter(({ name }) => name === 'db1')
  const alone = house.context({ wanted: { ...house.wanted, servers } })
  const wish = { name: 'db2', removesData: true, isLost: false, confirm: async () => true }
  await assert.rejects(forget(alone, wish), refused)
  await house.query('db1', 'CHECKPOINT')
  assert.deepEqual(await house.query('db1', 'SELECT id FROM kept'), [{ id: 1 }])
  assert.deepEqual(
    (await readdir(house.path)).filter((name) => /^ts|old/.test(name)),
    ['ts'],
  )
})
