/** Files that changed beside all WAL: the map does not know, and what it says shows that it cannot. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parseControlFile } from '../../../src/postgres/control-file.ts'
import type { Lsn } from '../../../src/postgres/lsn.ts'
import type { ClusterRepository } from '../../../src/repository/cluster-repository.ts'
import { type ChangedBlocks, changedBlocks } from '../../../src/wal/changed-blocks.ts'
import { debianBinaries, startPostgres, type TestServer } from '../../harness/postgres.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'
import { isRoot, unprivilegedUser } from '../../harness/unprivileged-user.ts'
import { claimFor, startReceiver, switchWal, untilReceived } from './support.ts'

const binaries = debianBinaries(15)
const skip = binaries === undefined && "Debian's PostgreSQL 15 is not installed"

/** Redo of a checkpoint that is made now, in a segment of its own. */
async function checkpoint(pg: TestServer): Promise<Lsn> {
  await switchWal(pg)
  await pg.query('checkpoint')
  return parseControlFile(readFileSync(join(pg.directory, 'global/pg_control'))).checkpoint.redoLsn
}

/** What is said of the WAL between two checkpoints with `between` done in the middle of it. */
async function asked(
  between: (pg: TestServer, repository: ClusterRepository) => Promise<void>,
): Promise<ChangedBlocks> {
  await using folder = temporaryDirectory()
  await using pg = await startPostgres({ major: 15, binaries: binaries ?? '' })
  const repository = await claimFor(pg, folder.path)
  const first = startReceiver(pg, repository)
  await pg.query('create table t as select i from generate_series(1, 1000) i')
  const startLsn = await checkpoint(pg)
  await untilReceived(pg)
  await pg.query('update t set i = i + 1')
  await untilReceived(pg)
  await first.stop()
  await between(pg, repository)
  await using receiver = startReceiver(pg, repository)
  await pg.query('update t set i = i + 1')
  const endLsn = await checkpoint(pg)
  await untilReceived(pg)
  await receiver.stop()
  return await changedBlocks(repository, { timeline: 1, startLsn, endLsn })
}

test('while a server runs on there is nothing to tell', { skip }, async () => {
  const { map, stops, reason } = await asked(async () => undefined)
  assert.equal(reason, undefined)
  assert.ok(map !== undefined && map.forkCount > 0)
  assert.deepEqual(stops, [])
})

test(
  'a server that was stopped, for a page to be repaired or a file copied back, is told',
  { skip },
  async () => {
    const { map, stops } = await asked(async (pg) => {
      await pg.stop()
      await pg.start()
    })
    assert.ok(map)
    assert.equal(stops?.length, 1)
  },
)

test('after pg_resetwal the WAL does not vouch', { skip }, async () => {
  const { reason } = await asked(async (pg) => {
    await pg.stop()
    const drop = isRoot ? ['setpriv', `--reuid=${unprivilegedUser.uid}`, '--clear-groups'] : []
    const command = [...drop, join(binaries ?? '', 'pg_resetwal'), '-f', '-D', pg.directory]
    execFileSync(command[0] ?? '', command.slice(1), { stdio: 'ignore' })
    await pg.start()
  })
  assert.match(reason ?? '', /is not held|does not follow|is damaged/)
})
