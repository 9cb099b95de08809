/**
 * A standby that came from a backup and has not streamed since does not have what the one before it in its place confirmed.
 */
import assert from 'node:assert/strict'
import { mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { describe, test } from 'node:test'
import { wayDirectoryOf, wayPaths } from '../../../src/cluster/machine/way-files.ts'
import { failOver } from '../../../src/failover/failover.ts'
import { LocalHost } from '../../../src/host/local-host.ts'
import { runChecked } from '../../../src/host/run-checked.ts'
import { bringUp } from '../../../src/build/up.ts'
import { availableMajors } from '../../harness/binaries.ts'
import { type House, makeHouse, openHouse } from '../cluster/house.ts'
import { crash, DEAD, stopStandby, synchronous, withCode, without } from './support.ts'

/** db2 comes from backups, and commits wait for it. */
function fromBackups(house: House): House {
  const servers = house.wanted.servers.map((server) =>
    server.name === 'db2' ? { ...server, clonesFromBackup: true } : server,
  )
  return synchronous(openHouse(house.path, { ...house.wanted, servers }, async () => undefined))
}

describe(
  'PostgreSQL 18: a failover to a standby that still fetches the WAL after its backup',
  { skip: !availableMajors().includes(18) && 'not installed' },
  () => {
    test('does not say that it has what its predecessor confirmed', async () => {
      await using base = await makeHouse({ major: 18, backup: false })
      const house = fromBackups(base)
      await bringUp(house.context())
      await house.query('db1', 'CREATE TABLE rows (id int)')
      const directory = house.wanted.servers[1]?.directory ?? ''
      const backup = `${directory}.backup`
      const start = await stopStandby(house, 'db2')
      await runChecked(new LocalHost('localhost'), ['cp', '-a', directory, backup])
      await start()
      await house.query('db1', 'INSERT INTO rows SELECT generate_series(1, 1000)')
      await stopStandby(house, 'db2')
      await crash(house, 'db1')
      await rm(directory, { recursive: true })
      await rename(backup, directory)
      const { fetching } = wayPaths(wayDirectoryOf(directory))
      await mkdir(dirname(fetching), { recursive: true })
      await writeFile(fetching, '')
      await start()
      await assert.rejects(
        failOver(without(house, 'db1'), DEAD),
        withCode(
          'DATA_LOSS',
          /only 0 of them answer for it: "db2" came from a backup and has not streamed since/,
        ),
      )
      // Where that cannot be looked at it is not known that it is none.
      await rm(dirname(fetching), { recursive: true })
      await symlink(dirname(fetching), dirname(fetching))
      await assert.rejects(
        failOver(without(house, 'db1'), DEAD),
        withCode('DATA_LOSS', /only 0 of them answer/),
      )
    })
  },
)
