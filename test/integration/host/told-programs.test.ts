/**
 * What the search for programs prints is the word of the OS user it ran as: he can write into it whatever he likes.
 */
import assert from 'node:assert/strict'
import { chown, lstat, mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { findBinaries } from '../../../src/host/binaries.ts'
import { LocalHost } from '../../../src/host/local-host.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'
import { isRoot, unprivilegedUser } from '../../harness/unprivileged-user.ts'

const SKIP = isRoot ? false : 'only root acts on the word of another user'
const { name: user, uid, gid } = unprivilegedUser

/** Puts the records of its file into the output of the shell that started it. 434 and 438: pidfd_open(2), pidfd_getfd(2). */
const LIAR = `#!/usr/bin/perl
my $shell = getppid();
my $pidfd = syscall(434, $shell, 0);
my $fd = syscall(438, $pidfd, 1, 0);
exit 1 if $fd < 0;
open(my $lie, '<', "$0.lie") or exit 1;
open(my $out, '>&=', $fd) or exit 1;
local $/;
syswrite($out, <$lie>);
`

/** A directory of the user's whose `postgres` says what is asked of it and \`record\` besides. */
async function liarIn(base: string, record: readonly string[]): Promise<string> {
  const directory = join(base, 'liar')
  await mkdir(directory)
  const program = join(directory, 'postgres')
  await writeFile(`${program}.lie`, record.map((field) => `${field}\0`).join(''))
  await writeFile(program, LIAR, { mode: 0o755 })
  await chown(directory, uid, gid)
  return directory
}

test('a package that only the search names gets no links from root', { skip: SKIP }, async () => {
  await using base = temporaryDirectory()
  const [victim, trap] = [join(base.path, 'victim'), join(base.path, 'trap')]
  await mkdir(victim, { mode: 0o700 })
  await writeFile(join(victim, 'shadow'), 'root:secret', { mode: 0o600 })
  await mkdir(join(trap, 'bin'), { recursive: true })
  await symlink(victim, join(trap, 'lib'))
  const list = [{ source: 'native/lib/whatever', target: 'native/lib/shadow' }]
  await writeFile(join(trap, 'pg-symlinks.json'), JSON.stringify(list))
  await chown(trap, uid, gid)
  const problem = 'error while loading shared libraries'
  const record = ['embedded', join(trap, 'bin'), '127', problem, ' initdb']
  const directory = await liarIn(base.path, record)
  const found = findBinaries(new LocalHost('here'), { major: 18, user, directory })
  await assert.rejects(found, { code: 'BINARIES_MISSING' })
  assert.ok((await lstat(join(victim, 'shadow'))).isFile())
  assert.equal(await readFile(join(victim, 'shadow'), 'utf8'), 'root:secret')
})

test('programs are taken only from where they were looked for', { skip: SKIP }, async () => {
  await using base = temporaryDirectory()
  const said = '/x\nExecStartPre=+/bin/sh'
  const programs = ' initdb pg_ctl postgres'
  const record = ['path', said, '0', 'postgres (PostgreSQL) 18.4', programs]
  const directory = await liarIn(base.path, record)
  const found = findBinaries(new LocalHost('here'), { major: 18, user, directory })
  await assert.rejects(found, { code: 'BINARIES_MISSING' })
})

test(
  'a package of another user gets its links by him, and none through a link of his',
  { skip: SKIP },
  async () => {
    await using base = temporaryDirectory()
    const [victim, native] = [join(base.path, 'victim'), join(base.path, 'native')]
    await mkdir(victim, { mode: 0o700 })
    await writeFile(join(victim, 'shadow'), 'root:secret', { mode: 0o600 })
    await mkdir(join(native, 'bin'), { recursive: true })
    await symlink(victim, join(native, 'lib'))
    const list = [
      { source: 'native/lib/whatever', target: 'native/lib/shadow' },
      { source: 'native/lib/whatever', target: 'native/lib/new' },
    ]
    await writeFile(join(native, 'pg-symlinks.json'), JSON.stringify(list))
    const broken = '#!/bin/sh\necho "error while loading shared libraries" >&2; exit 127\n'
    await writeFile(join(native, 'bin/postgres'), broken, { mode: 0o755 })
    await chown(native, uid, gid)
    const wanted = { major: 18, user, embedded: [join(native, 'bin')] } as const
    await findBinaries(new LocalHost('here'), wanted).catch(() => undefined)
    assert.ok((await lstat(join(victim, 'shadow'))).isFile())
    await assert.rejects(lstat(join(victim, 'new')), { code: 'ENOENT' })
  },
)
