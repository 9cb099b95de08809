/**
 * Finding PostgreSQL where it really is.
 */
import assert from 'node:assert/strict'
import { cp, mkdir, readdir, rm, symlink, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { findBinaries, listBinaries } from '../../../src/host/binaries.ts'
import { embeddedDirectories } from '../../../src/host/embedded-postgres.ts'
import { trustedUids } from '../../../src/util/trusted-path.ts'
import { LocalHost } from '../../../src/host/local-host.ts'
import { decideOsUser } from '../../../src/host/os-user.ts'
import { findPortOwners, portOwnersFromProc } from '../../../src/host/port-owner.ts'
import { availableMajors, embeddedBinaries } from '../../harness/binaries.ts'
import { debianBinaries, startPostgres } from '../../harness/postgres.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'
import { isRoot, unprivilegedUser } from '../../harness/unprivileged-user.ts'

const host = new LocalHost('here')
const user = unprivilegedUser.name
const ROOT = join(import.meta.dirname, '../../..')

for (const major of availableMajors()) {
  test(`a configured directory with PostgreSQL ${major} is taken`, async () => {
    const { directory } = embeddedBinaries(major)
    const found = await findBinaries(host, { major, user, directory })
    assert.equal(found.source, 'configured')
    assert.equal(Number.parseInt(found.version, 10), major)
    assert.deepEqual(found.tools, {})
  })
}

test("Debian's PostgreSQL is found with its tools before an embedded one", async (t) => {
  const directory = debianBinaries(15)
  if (directory === undefined) return t.skip("Debian's PostgreSQL 15 is not installed")
  const embedded = [embeddedBinaries(15).directory]
  const found = await findBinaries(host, { major: 15, user, embedded })
  assert.deepEqual([found.source, found.directory], ['debian', directory])
  assert.equal(found.tools.pgRewind, `${directory}/pg_rewind`)
})

test('the package of this checkout is found and used for its major', async () => {
  const embedded = embeddedDirectories(
    [ROOT, '/nowhere', ROOT],
    trustedUids(process.getuid?.() ?? 0, undefined),
  )
  assert.equal(embedded.length, 1)
  const found = await listBinaries(host, { user: host.user, embedded })
  const ours = found.find((item) => item.source === 'embedded')
  assert.equal(ours?.major, 18)
})

test('what was found instead is listed when the major is missing', async () => {
  const { directory } = embeddedBinaries(18)
  const wrong = findBinaries(host, { major: 14, user, directory })
  await assert.rejects(wrong, (error: Error) => {
    assert.match(error.message, /PostgreSQL 14 was not found on "here" in ".*; found: 18\.\d+ in "/)
    return true
  })
  const nothing = findBinaries(host, { major: 14, user, directory: '/etc' })
  await assert.rejects(nothing, { code: 'BINARIES_MISSING' })
})

test('an embedded package without its library links gets them', async () => {
  await using base = temporaryDirectory()
  const native = join(base.path, 'native')
  await cp(dirname(embeddedBinaries(18).directory), native, {
    recursive: true,
    verbatimSymlinks: true,
  })
  const items = await readdir(join(native, 'lib'), { withFileTypes: true })
  for (const item of items.filter((item) => item.isSymbolicLink())) {
    await unlink(join(native, 'lib', item.name))
  }
  const wanted = { major: 18, user, embedded: [join(native, 'bin')] } as const
  const found = await findBinaries(host, wanted)
  assert.equal(found.directory, join(native, 'bin'))
})

test('an embedded package that the OS user cannot reach is copied, or named as out of reach', async (t) => {
  if (!isRoot) return t.skip('only root has other users to run PostgreSQL as')
  await using base = temporaryDirectory()
  const hidden = join(base.path, 'hidden')
  await host.makeDirectory(hidden, { mode: 0o700, owner: 'root' })
  const source = dirname(embeddedBinaries(17).directory)
  await cp(source, join(hidden, 'native'), { recursive: true, verbatimSymlinks: true })
  const wanted = { major: 17, user, embedded: [join(hidden, 'native/bin')] } as const
  await assert.rejects(
    findBinaries(host, wanted),
    /17\.\d+ in "[^"]*hidden[^"]*" \(OS user "[a-z]+" cannot reach it\)/,
  )
  const copyEmbeddedTo = join(base.path, 'programs')
  const found = await findBinaries(host, { ...wanted, copyEmbeddedTo })
  assert.equal(found.directory, join(copyEmbeddedTo, `postgresql-${found.version}`, 'bin'))
  assert.deepEqual(await findBinaries(host, { ...wanted, copyEmbeddedTo }), found)
})

test('a link in PATH leads to where all programs are', async (t) => {
  const directory = debianBinaries(15)
  if (directory === undefined) return t.skip("Debian's PostgreSQL 15 is not installed")
  await using base = temporaryDirectory()
  await mkdir(join(base.path, 'bin'))
  await symlink(join(directory, 'postgres'), join(base.path, 'bin/postgres'))
  const found = await listBinaries(host, { user })
  assert.equal(found.filter((item) => item.directory === directory).length, 1)
  await rm(join(base.path, 'bin'), { recursive: true })
})

test('who listens on a port is found by program and pid', async () => {
  await using server = await startPostgres({ major: 18 })
  const owners = await findPortOwners(host, server.port)
  assert.deepEqual(owners, [{ address: '127.0.0.1', pid: server.pid(), program: 'postgres' }])
})

test('the same is found without ss', async () => {
  await using server = await startPostgres({ major: 18 })
  const owners = await portOwnersFromProc(host, server.port)
  assert.deepEqual(owners, [{ address: '127.0.0.1', pid: server.pid(), program: 'postgres' }])
})

test('root runs PostgreSQL as somebody else who exists; others run it themselves', async () => {
  if (!isRoot) {
    assert.equal(await decideOsUser(host, { configured: 'postgres' }), host.user)
    return
  }
  assert.equal(await decideOsUser(host, { configured: user }), user)
  const missing = { configured: 'no-such-user' }
  await assert.rejects(decideOsUser(host, missing), /"no-such-user", who does not exist/)
  assert.equal(await decideOsUser(host, { ...missing, fallback: 'nobody' }), 'nobody')
  await assert.rejects(decideOsUser(host, { configured: 'root' }), /PostgreSQL refuses it/)
})
