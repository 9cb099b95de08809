/**
 * Users of this machine.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LocalUsers, parsePasswd } from '../../../src/host/local-users.ts'

test('passwd lines are read, other lines skipped', () => {
  const text =
    '# comment\n+::::::\npostgres:x:101:104:PostgreSQL,,,:/var/lib/postgresql:/bin/bash\nx:x:5:6:::\n'
  const users = parsePasswd(text).filter((user) => user.name !== '+')
  assert.deepEqual(users, [
    { name: 'postgres', uid: 101, gid: 104, home: '/var/lib/postgresql' },
    { name: 'x', uid: 5, gid: 6, home: '/' },
  ])
})

test('root is found by name and by number; a number nobody has stays one', async () => {
  const users = new LocalUsers()
  assert.equal((await users.byName('root')).uid, 0)
  assert.equal(await users.nameOf(0), 'root')
  assert.equal(await users.nameOf(3_999_999), '3999999')
  await assert.rejects(users.byName('0'), { code: 'HOST_PRIVILEGE' })
})
