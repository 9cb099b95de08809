/**
 * Where a clone is written everything becomes PostgreSQL's OS user's: what came there after the plan was made is not given away.
 */
import assert from 'node:assert/strict'
import { lstatSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { bringUp } from '../../../src/build/up.ts'
import { isRoot } from '../../harness/unprivileged-user.ts'
import { makeHouse } from './house.ts'

const SKIP = isRoot ? false : 'only root can give directories away'

/** Something happens at a point of the clone, once. */
function once(point: string, act: () => void): (name: string) => Promise<void> {
  let isDone = false
  return async (name) => {
    if (name !== point || isDone) return
    isDone = true
    act()
  }
}

test(
  'a clone gives away nothing that came since the plan, neither files nor an empty directory of root',
  { skip: SKIP },
  async () => {
    await using house = await makeHouse({ major: 18, backup: false })
    const directory = join(house.path, 'db2')
    const filled = once('clone.begun', () => {
      mkdirSync(directory)
      writeFileSync(join(directory, 'node'), 'of root', { mode: 0o755 })
    })
    await assert.rejects(bringUp(house.context({ crashPoint: filled })), {
      code: 'DIRECTORY_FOREIGN',
    })
    assert.deepEqual(readdirSync(directory), ['node'])
    assert.deepEqual([lstatSync(directory).uid, lstatSync(join(directory, 'node')).uid], [0, 0])

    const other = join(house.path, 'db3')
    const servers = house.wanted.servers.map((server) =>
      server.name === 'db2' ? { ...server, directory: other } : server,
    )
    const empty = once('clone.begun', () => mkdirSync(other))
    const wanted = { ...house.wanted, servers }
    await assert.rejects(bringUp(house.context({ wanted, crashPoint: empty })), {
      code: 'DIRECTORY_OWNER',
    })
    assert.equal(lstatSync(other).uid, 0)
  },
)
