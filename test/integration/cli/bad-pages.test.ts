/**
 * Damaged pages on the server are told by every command that looks.
 */
import assert from 'node:assert/strict'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { startPostgres, temporaryDirectory } from '../../harness/postgres.ts'
import { placeOneServer } from './one-server.ts'
import { backstay } from './programs.ts'

const DAMAGED_BLOCKS = [2, 3, 5]

test('backup ends with 3 when it holds damaged pages, and status and check name them', async () => {
  await using directory = temporaryDirectory()
  await using pg = await startPostgres({ major: 18, settings: { wal_keep_size: '1GB' } })
  await pg.query('create table t as select g as id from generate_series(1, 5000) g')
  const [row] = await pg.query(`select pg_relation_filepath('t') as path`)
  const path = String(row?.['path'])
  await pg.stop()
  {
    await using file = await open(join(pg.directory, path), 'r+')
    for (const block of DAMAGED_BLOCKS) await file.write('damage', block * 8192 + 5000)
  }
  await pg.start()
  await placeOneServer(pg, directory.path)
  const options = { cwd: directory.path }
  const backup = await backstay(['backup', '--json'], options)
  assert.equal(backup.code, 3, backup.stderr)
  assert.match(backup.stdout, /"bad-pages"/)
  const said = `holds 3 pages that are damaged on the server, the first in "${path}" at block 2`
  const status = await backstay(['status', '--json'], options)
  const { backup: part } = JSON.parse(status.stdout) as { backup: { problems: string[] } }
  assert.equal(part.problems.filter((problem) => problem.includes(said)).length, 1, status.stdout)
  const check = await backstay(['check'], options)
  assert.equal(check.code, 3)
  assert.ok(check.stdout.includes(said), check.stdout)
  const nagios = await backstay(['check', '--nagios'], options)
  assert.match(nagios.stdout, /'vault_badPages'=3(?: |$)/m)
})
