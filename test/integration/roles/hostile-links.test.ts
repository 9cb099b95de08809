/**
 * PostgreSQL's OS user makes links in his data directory to places that are none of his. What root does with a standby afterwards leaves
 * them alone, and says which link it was before anything is changed.
 */
import assert from 'node:assert/strict'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { destroyCluster } from '../../../src/build/destroy.ts'
import { recloneStandby } from '../../../src/failover/reclone.ts'
import { clusterStatus } from '../../../src/report/status.ts'
import { bringUp } from '../../../src/build/up.ts'
import type { ServerWanted } from '../../../src/cluster/wanted.ts'
import { availableMajors } from '../../harness/binaries.ts'
import { actAs } from '../../harness/other-user.ts'
import { until } from '../../harness/until.ts'
import { isRoot, unprivilegedUser } from '../../harness/unprivileged-user.ts'
import { type House, makeHouse } from '../cluster/house.ts'
import { stopStandby } from './support.ts'

const KEEP = { discardOld: false }
const whyNot = (!isRoot && 'needs root') || (!availableMajors().includes(18) && 'not installed')

describe('links of PostgreSQL’s OS user', { skip: whyNot, concurrency: false }, () => {
  let house: House
  /** Root's: stands for /, with the user's own directory where only root may make one. */
  let roots = ''
  let db2: ServerWanted
  before(async () => {
    house = await makeHouse({ major: 18, backup: false })
    db2 = house.wanted.servers[1] as ServerWanted
    roots = mkdtempSync('/var/lib/backstay-test-links-')
    chmodSync(roots, 0o755)
    mkdirSync(join(roots, 'profile.d'))
    writeFileSync(join(roots, 'profile.d/debian.sh'), '# root\n')
    await bringUp(house.context())
  })
  after(async () => {
    rmSync(roots, { recursive: true, force: true })
    await house[Symbol.asyncDispose]()
  })

  const attack = (script: string, ...words: readonly string[]): void =>
    assert.ok(actAs(unprivilegedUser, script, db2.directory, ...words))
  const isUntouched = async (): Promise<void> => {
    assert.deepEqual(readdirSync(join(roots, 'profile.d')), ['debian.sh'])
    assert.equal(statSync(join(roots, 'profile.d')).uid, 0)
    assert.deepEqual(
      readdirSync(house.path).filter((name) => name.includes('.old-')),
      [],
    )
    const { servers } = await clusterStatus(house.context())
    assert.deepEqual(
      servers.map(({ state }) => state),
      ['running', 'streaming'],
    )
  }
  const streams = async (): Promise<void> => {
    await until('db2 to stream', async () => {
      const { servers } = await clusterStatus(house.context())
      return servers[1]?.state === 'streaming'
    })
  }

  test('a tablespace where nobody else has one is not set aside, nor is its cluster destroyed', async () => {
    attack('ln -s "$2" "$1/pg_tblspc/99999"', join(roots, 'profile.d'))
    const link = join(db2.directory, 'pg_tblspc/99999')
    for (const discardOld of [false, true]) {
      await assert.rejects(recloneStandby(house.context(), 'db2', { discardOld }), {
        code: 'DIRECTORY_FOREIGN',
        message: new RegExp(`"${link}" leads to ".*profile.d", which is named nowhere`),
        hint: new RegExp(`rm ${link}`),
      })
      await isUntouched()
    }
    const destroying = destroyCluster(house.context(), { isConfirmed: true })
    await assert.rejects(destroying, {
      code: 'DIRECTORY_OWNER',
      message: new RegExp(`"${link}" leads to ".*profile.d", which ".*" may not empty`),
    })
    await isUntouched()
  })

  test('one that the cluster file allows is still his to give, not root’s to take', async () => {
    const { postgres } = house.wanted
    const wanted = { ...house.wanted, postgres: { ...postgres, tablespaceRoots: [roots] } }
    await assert.rejects(recloneStandby(house.context({ wanted }), 'db2', KEEP), {
      code: 'DIRECTORY_OWNER',
      message: /profile.d" aside, .*: it belongs to "root"/,
    })
    await isUntouched()
    attack('rm "$1/pg_tblspc/99999"')
  })

  test('a pg_wal in a directory of root’s is not given to him', async () => {
    const start = await stopStandby(house, 'db2')
    attack('cd "$1" && mv pg_wal pg_wal.mine && ln -s "$2" pg_wal', join(roots, 'profile.d'))
    await assert.rejects(recloneStandby(house.context(), 'db2', KEEP), {
      code: 'DIRECTORY_OWNER',
      message: /profile.d" aside, to which ".*pg_wal" leads: it belongs to "root"/,
    })
    attack('cd "$1" && rm pg_wal && mv pg_wal.mine pg_wal')
    await start()
    await streams()
    await isUntouched()
  })

  test('what was remembered for him is removed as him', async () => {
    const judgedAsides = [join(roots, 'profile.d')]
    const context = { ...house.context(), judgedAsides }
    const { state } = context
    await state.writeAsides('db2', judgedAsides)
    await assert.rejects(bringUp(context), { code: 'DIRECTORY_OWNER' })
    await isUntouched()
    await state.writeAsides('db2', [])
  })

  test('an operator’s WAL disk and tablespace below directories of root’s are set aside and made anew', async () => {
    for (const name of ['wal', 'ts']) mkdirSync(join(roots, name), { mode: 0o755 })
    const own = { uid: unprivilegedUser.uid, gid: unprivilegedUser.gid }
    const places = ['wal/pg_wal', 'ts/far'].map((name) => join(roots, name))
    for (const path of places) {
      mkdirSync(path, { mode: 0o700 })
      chownSync(path, own.uid, own.gid)
    }
    const [wal = '', far = ''] = places
    const source = join(house.path, 'ts')
    mkdirSync(source, { mode: 0o700 })
    chownSync(source, own.uid, own.gid)
    const servers = house.wanted.servers.map((each) =>
      each.name === 'db2' ? { ...each, tablespaceMapping: { [source]: far } } : each,
    )
    const wanted = { ...house.wanted, servers }
    await stopStandby(house, 'db2')
    await house.query('db1', `CREATE TABLESPACE far LOCATION '${source}'`)
    await house.query('db1', 'CREATE TABLE far TABLESPACE far AS SELECT 1 AS id')
    await recloneStandby(house.context({ wanted }), 'db2', KEEP)
    const again = await stopStandby(house, 'db2')
    attack('cd "$1" && cp -a pg_wal/. "$2/" && rm -r pg_wal && ln -s "$2" pg_wal', wal)
    await again()
    await streams()
    await recloneStandby(house.context({ wanted }), 'db2', KEEP)
    await streams()
    assert.equal(readlinkSync(join(db2.directory, 'pg_wal')), wal)
    assert.match(readdirSync(wal).join(' '), /0000000100000000/)
    assert.deepEqual(await house.query('db2', 'SELECT id FROM far'), [{ id: 1 }])
    assert.deepEqual([readdirSync(join(roots, 'wal')), readdirSync(join(roots, 'ts'))].flat(), [
      'pg_wal',
      'far',
    ])
    for (const path of places) assert.equal(statSync(path).uid, own.uid)
    const result = await destroyCluster(house.context({ wanted }), { isConfirmed: true })
    assert.deepEqual(result.kept, [])
    assert.ok(!existsSync(db2.directory))
    assert.deepEqual(readdirSync(far), [])
  })
})
