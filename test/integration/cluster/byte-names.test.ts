/**
 * A data directory may hold files whose names are not UTF-8: a clone has them under the same bytes.
 */
import assert from 'node:assert/strict'
import { chownSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { bringUp } from '../../../src/build/up.ts'
import { makeHouse } from './house.ts'

const NAME = Buffer.from([0x67, 0x72, 0xfc, 0xdf, 0x65])

test('a clone has every file under the bytes of its name', async () => {
  await using house = await makeHouse({ major: 18, backup: false })
  const { wanted } = house
  await bringUp(house.context({ wanted: { ...wanted, servers: wanted.servers.slice(0, 1) } }))
  const primary = join(house.path, 'db1')
  const { uid, gid } = statSync(primary)
  const folder = Buffer.concat([Buffer.from(`${primary}/`), NAME])
  const file = Buffer.concat([folder, Buffer.from('/'), NAME])
  mkdirSync(folder, { mode: 0o700 })
  writeFileSync(file, 'kept')
  for (const path of [folder, file]) chownSync(path, uid, gid)

  await bringUp(house.context())
  const standby = Buffer.from(`${join(house.path, 'db2')}/`)
  const inStandby = readdirSync(standby, { encoding: 'buffer' })
  assert.ok(inStandby.some((name) => name.equals(NAME)))
  const inFolder = readdirSync(Buffer.concat([standby, NAME]), { encoding: 'buffer' })
  assert.deepEqual(inFolder, [NAME])
})
