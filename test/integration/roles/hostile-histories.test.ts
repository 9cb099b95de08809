/**
 * The OS user of one standby fills its pg_wal with history files: that is told of this server, and the others are looked at, and one of
 * them promoted, all the same.
 */
import assert from 'node:assert/strict'
import { chownSync, openSync, closeSync, ftruncateSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { failOver } from '../../../src/failover/failover.ts'
import { unseenHistories } from '../../../src/failover/histories.ts'
import { clusterStatus } from '../../../src/report/status.ts'
import { bringUp } from '../../../src/build/up.ts'
import type { ServerWanted } from '../../../src/cluster/wanted.ts'
import { availableMajors } from '../../harness/binaries.ts'
import { unprivilegedUser } from '../../harness/unprivileged-user.ts'
import { type House, makeHouse } from '../cluster/house.ts'
import { crash, primariesOf } from './support.ts'

/** More than a call takes arguments. */
const MANY = 150_000

function fill(house: House, name: string, files: { count: number; bytes: number }): void {
  const server = house.wanted.servers.find((each) => each.name === name) as ServerWanted
  for (let at = 1; at <= files.count; at += 1) {
    const timeline = (0xf0_00_00_00 + at).toString(16).toUpperCase()
    const path = join(server.directory, 'pg_wal', `${timeline}.history`)
    const file = openSync(path, 'w')
    ftruncateSync(file, files.bytes)
    closeSync(file)
    chownSync(path, unprivilegedUser.uid, unprivilegedUser.gid)
  }
}

describe('hostile history files', { skip: !availableMajors().includes(18) && 'no 18' }, () => {
  test('too many names are a fact of their server, and a failover passes it by', async () => {
    await using house = await makeHouse({ major: 18, standbys: 2, backup: false })
    await bringUp(house.context())
    fill(house, 'db3', { count: MANY, bytes: 0 })
    const { servers } = await clusterStatus(house.context())
    assert.deepEqual(
      servers.map(({ state }) => state),
      ['running', 'streaming', 'unreachable'],
    )
    assert.match(JSON.stringify(servers[2]), /150000 history files, and at most 1000/)
    await crash(house, 'db1')
    const wish = { allowDataLoss: false, primaryIsDead: false, planOnly: false }
    const result = await failOver(house.context(), { ...wish, to: 'db2' })
    assert.equal(result.primary, 'db2')
    assert.deepEqual(await primariesOf(house), ['db2'])
  })

  test('more bytes than a cluster has are not held in memory', async () => {
    await using house = await makeHouse({ major: 18, backup: false })
    await bringUp(house.context())
    const candidate = house.wanted.servers[0] as ServerWanted
    fill(house, 'db2', { count: 900, bytes: 60_000 })
    assert.equal((await unseenHistories(house.context(), candidate)).size, 0)
    const notes = house.events.map((event) => ('text' in event ? event.text : ''))
    assert.match(notes.join('\n'), /timelines that "db2" knows .* more than 16\.0 MB/)
  })
})
