/**
 * Who gets into a server, by PostgreSQL's own judgement: our block is reached whatever the operator writes around it, the OS
 * user of the superuser's name needs no password, and a line that PostgreSQL refuses ends `up`.
 */
import assert from 'node:assert/strict'
import { chownSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { bringUp, planCluster } from '../../../src/build/up.ts'
import type { ClusterWanted } from '../../../src/cluster/wanted.ts'
import { LocalHost } from '../../../src/host/local-host.ts'
import { reloadServer } from '../../../src/host/postgres-control.ts'
import { instanceOf } from '../../../src/build/steps/act-context.ts'
import { debianBinaries, matrixMajors } from '../../harness/binaries.ts'
import { isRoot, unprivilegedUser } from '../../harness/unprivileged-user.ts'
import { until } from '../../harness/until.ts'
import { isInOrder, withCode } from '../roles/support.ts'
import { type House, makeHouse, openHouse } from './house.ts'

const REJECTS = ['local all all reject\n', 'host replication,all all all reject\n'].join('')

async function edit(path: string, change: (text: string) => string): Promise<void> {
  await writeFile(path, change(await readFile(path, 'utf8')))
}

async function reload(house: House): Promise<void> {
  const [server] = house.wanted.servers
  assert.ok(server !== undefined)
  await reloadServer(await instanceOf(house.context(), server))
}

/** Every server of the house at this address. */
function at(house: House, address: string): ClusterWanted {
  const servers = house.wanted.servers.map((server) => ({
    ...server,
    address,
    host: { ...server.host, address },
  }))
  return { ...house.wanted, servers }
}

for (const major of matrixMajors()) {
  describe(`PostgreSQL ${major}`, () => {
    test('lines above the block that shut everybody out are put behind it', async () => {
      await using house = await makeHouse({ major, standbys: 0, backup: false })
      await bringUp(house.context())
      const hba = join(house.path, 'db1', 'pg_hba.conf')
      await edit(hba, (text) => REJECTS + text)
      await reload(house)
      await until('the lines to be in force', async () =>
        house.query('db1', 'SELECT 1').then(
          () => false,
          () => true,
        ),
      )
      const { plan } = await planCluster(house.context())
      const [step] = plan.steps
      assert.equal(step?.id, 'db1.file.hba')
      assert.match(step.reason, /line 1 stands before the block .*: local all all reject/)
      await bringUp(house.context())
      assert.ok((await readFile(hba, 'utf8')).includes(`# END backstay\n${REJECTS}`))
      await isInOrder(house, 'db1')
    })

    test('servers at loopback addresses of their own listen there', async () => {
      for (const address of ['127.0.0.2', '::1']) {
        await using house = await makeHouse({ major, standbys: 0, backup: false })
        const there = openHouse(house.path, at(house, address), async () => undefined)
        await bringUp(there.context())
        assert.deepEqual(await there.query('db1', 'SELECT 42 AS it'), [{ it: 42 }])
      }
    })

    test('the OS user of the superuser’s name comes in without a password, others do not', async (t) => {
      const programs = debianBinaries()
      if (!isRoot || unprivilegedUser.name !== 'postgres' || programs === undefined) {
        return t.skip('needs root, the user postgres and psql')
      }
      await using house = await makeHouse({ major, standbys: 0, backup: false })
      await bringUp(house.context())
      const [server] = house.wanted.servers
      const socket = ['-h', join(house.path, 's'), '-p', String(server?.port), '-U', 'postgres']
      const command = [join(programs, 'psql'), '-XAtqw', ...socket, '-c', 'SELECT 42', 'postgres']
      const host = new LocalHost('here')
      assert.equal((await host.run(command, { user: 'postgres' })).stdout, '42\n')
      assert.match((await host.run(command, { user: 'nobody' })).stderr, /Peer authentication/)
    })

    test('a line in force nowhere is no ✓: the reload fails and names file and line', async () => {
      await using house = await makeHouse({ major, standbys: 0, backup: false })
      await bringUp(house.context())
      const directory = join(house.path, 'db1')
      const hba = join(directory, 'pg_hba.conf')
      const included = join(directory, 'hba.d')
      const broken = 'host all all 10.0.0.0/8 no-such-method\n'
      await mkdir(included)
      await writeFile(join(included, 'team.conf'), broken)
      if (isRoot) {
        const { uid, gid } = unprivilegedUser
        for (const path of [included, join(included, 'team.conf')]) chownSync(path, uid, gid)
      }
      const lines = major >= 16 ? 'include_dir hba.d\n' : broken
      await edit(hba, (text) => text + lines)
      const where = major >= 16 ? /line 1 of .*hba\.d\/team\.conf/ : /line \d+ of .*pg_hba\.conf/
      await assert.rejects(bringUp(house.context()), withCode('CONFIG_INVALID', where))
      await edit(hba, (text) => text.replace(lines, ''))
      await bringUp(house.context())
      await isInOrder(house, 'db1')
    })
  })
}
