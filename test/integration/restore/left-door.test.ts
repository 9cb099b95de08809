/**
 * What `restore --start` lets itself in with does not outlive it: when it dies, the next who opens or takes the copy takes it away.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { embeddedBinaries } from '../../harness/binaries.ts'
import { availableMajors, openPostgres, startPostgres } from '../../harness/postgres.ts'
import { unprivilegedUser } from '../../harness/unprivileged-user.ts'
import { bringUp } from '../../../src/build/up.ts'
import { noteCopy } from '../../../src/restore/opened-copy.ts'
import { SideDoor } from '../../../src/restore/side-door.ts'
import { makeHouse } from '../cluster/house.ts'
import { host, plan, restore, untilPromoted } from './restore-files.ts'
import { startVault } from './vault.ts'

const PROGRAM = join(import.meta.dirname, '../../../bin/backstay.js')
const FILES = ['pg_hba.conf', 'pg_ident.conf']

/** As a `--start` leaves it that is killed before it can tidy up. */
async function leaveOpen(major: 11 | 18, directory: string): Promise<void> {
  const binaries = { ...embeddedBinaries(major), major, source: 'embedded', tools: {} } as const
  const user = unprivilegedUser.name
  await SideDoor.open({ name: 'left', host, binaries, directory, user })
  for (const file of FILES)
    assert.match(readFileSync(join(directory, file), 'utf8'), /^# By Backstay/)
}

for (const major of availableMajors().filter((each) => each === 11 || each === 18)) {
  test(`the promotion of a copy and \`copy stop\` take it away (${major})`, async () => {
    await using pg = await startPostgres({ major })
    await using vault = await startVault(pg)
    await vault.backup()
    await vault.caughtUp()
    await vault.stop()
    const before = FILES.map((file) => readFileSync(join(pg.directory, file), 'utf8'))
    const restoreCommand = await vault.layOutWal()
    const directory = join(vault.base, 'copy')
    await restore(vault.repository, { directory, restoreCommand })
    const now = (): string[] => FILES.map((file) => readFileSync(join(directory, file), 'utf8'))
    await leaveOpen(major, directory)
    await using copy = await openPostgres({ major, directory })
    await copy.start()
    await untilPromoted(copy)
    assert.deepEqual(now(), before)
    await copy.stop()
    await noteCopy(
      host,
      { directory, user: unprivilegedUser.name },
      await plan(vault.repository, {}),
    )
    await leaveOpen(major, directory)
    const words = [PROGRAM, 'copy', 'stop', directory]
    await new Promise<void>((resolve, reject) => {
      execFile(process.execPath, words, { cwd: '/' }, (error) =>
        error ? reject(error) : resolve(),
      )
    })
    assert.deepEqual(now(), before)
  })
}

test('up takes it away from a server that was restored, and its standby gets none of it', async () => {
  await using house = await makeHouse({ major: 18, backup: false })
  const [db1] = house.wanted.servers
  assert.ok(db1 !== undefined)
  await bringUp(house.context({ wanted: { ...house.wanted, servers: [db1] } }))
  const hba = join(db1.directory, 'pg_hba.conf')
  const before = readFileSync(hba, 'utf8')
  await leaveOpen(18, db1.directory)
  await bringUp(house.context())
  assert.equal(readFileSync(hba, 'utf8').includes('backstay_start'), false)
  assert.ok(readFileSync(hba, 'utf8').length >= before.length)
  for (const file of FILES) {
    assert.doesNotMatch(readFileSync(join(house.path, 'db2', file), 'utf8'), /backstay_start/)
  }
})
