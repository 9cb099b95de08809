/**
 * A cluster that the group may read (initdb --allow-group-access) stays one in restores and clones.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { bringUp } from '../../../src/build/up.ts'
import { openPostgres, startPostgres } from '../../harness/postgres.ts'
import { makeHouse } from '../cluster/house.ts'
import { restore, untilPromoted } from './restore-files.ts'
import { startVault } from './vault.ts'

function openToGroup(directory: string): void {
  execFileSync('chmod', ['-R', 'u=rwX,g=rX,o=', directory])
}

function modesOf(directory: string, names: readonly string[]): Record<string, string> {
  const modes = names.map((name) => [
    name,
    (statSync(join(directory, name)).mode & 0o777).toString(8),
  ])
  return Object.fromEntries(modes) as Record<string, string>
}

test('a restore gives the group what it had, the manifest of the base backup included', async () => {
  await using pg = await startPostgres({ major: 18 })
  await using vault = await startVault(pg)
  openToGroup(pg.directory)
  await vault.backup()
  await vault.caughtUp()
  await vault.stop()
  const restoreCommand = await vault.layOutWal()
  const directory = join(vault.base, 'copy')
  await restore(vault.repository, { directory, restoreCommand })
  assert.deepEqual(
    modesOf(directory, [
      '.',
      'base',
      'pg_wal',
      'backup_manifest',
      'postgresql.auto.conf',
      'global/pg_control',
    ]),
    {
      '.': '750',
      base: '750',
      pg_wal: '750',
      backup_manifest: '640',
      'postgresql.auto.conf': '640',
      'global/pg_control': '640',
    },
  )
  await using copy = await openPostgres({ major: 18, directory })
  await copy.start()
  await untilPromoted(copy)
})

test('a clone gives the group what it had', async () => {
  await using house = await makeHouse({ major: 18, backup: false })
  const [db1] = house.wanted.servers
  assert.ok(db1 !== undefined)
  await bringUp(house.context({ wanted: { ...house.wanted, servers: [db1] } }))
  openToGroup(db1.directory)
  await bringUp(house.context())
  const standby = join(house.path, 'db2')
  assert.deepEqual(modesOf(standby, ['.', 'base', 'pg_wal', 'global/pg_control', 'pg_hba.conf']), {
    '.': '750',
    base: '750',
    pg_wal: '750',
    'global/pg_control': '640',
    'pg_hba.conf': '640',
  })
  // The mode of what the server makes itself is decided when it starts: backup_label is from before.
  const names = readdirSync(standby).filter((name) => !name.startsWith('backup_label'))
  const closed = names.filter((name) => (statSync(join(standby, name)).mode & 0o040) === 0)
  assert.deepEqual(closed, [])
})
