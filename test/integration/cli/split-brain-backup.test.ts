/**
 * A backup while two servers are primaries does not pass in silence.
 */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { bringUp } from '../../../src/build/up.ts'
import { availableMajors } from '../../harness/binaries.ts'
import { makeHouse } from '../cluster/house.ts'
import { backstay } from './programs.ts'

const skip = !availableMajors().includes(18) && 'not installed'

test('backup with two primaries names both and ends with 3', { skip }, async () => {
  await using house = await makeHouse({ major: 18 })
  await bringUp(house.context())
  await house.query('db2', 'SELECT pg_promote()')
  const { postgres, servers, backup, stateDirectory } = house.wanted
  const file = join(house.path, 'backstay.yaml')
  const lines = servers.map(
    ({ name, role, port, directory }) =>
      `  ${name}: { role: ${role}, host: 127.0.0.1, port: ${port}, directory: ${directory} }`,
  )
  await writeFile(
    file,
    [
      'cluster: shop',
      `stateDirectory: ${stateDirectory}`,
      `postgres: { version: 18, binaries: ${postgres.binaries}, osUser: ${postgres.osUser} }`,
      'servers:',
      ...lines,
      `backup: { server: vault, host: 127.0.0.1, repository: ${backup?.repository} }`,
      '',
    ].join('\n'),
    { mode: 0o600 },
  )
  const { code, stdout, stderr } = await backstay(['backup', '--config', file])
  assert.equal(code, 3, stderr)
  assert.match(stdout, /SPLIT BRAIN: .*127\.0\.0\.1:\d+.* are primaries of one cluster/)
})
