/**
 * Barman's clients on a database server: whoever is at the other end, and whoever may write beside the data directory, gets nothing by them.
 * In the other side's place is a program `ssh`: what it says is the case.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import {
  ARCHIVE_CLIENT,
  RESTORE_CLIENT,
  WAYS_LIST,
} from '../../../src/cluster/machine/client-texts.ts'
import { isRoot, unprivilegedUser } from '../../harness/unprivileged-user.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'

const SEGMENT = '000000010000000000000003'

/** A machine with one server that has a way; `ssh` is what runs for the program of that name. */
function machine(base: string, ssh: string) {
  const { uid, gid } = unprivilegedUser
  const place = (name: string): string => join(base, name)
  const make = (name: string, text: string, mode = 0o755): void => {
    writeFileSync(place(name), text, { mode })
    if (isRoot) chownSync(place(name), uid, gid)
  }
  chmodSync(base, 0o755)
  for (const name of ['bin', 'data', 'data.ssh', 'ways', 'ways/shop', 'out']) {
    mkdirSync(place(name))
    if (isRoot) chownSync(place(name), uid, gid)
  }
  make('data.ssh/config', 'Host repository\n', 0o600)
  make('ways/shop/db1', `${place('data')}\n`)
  make('bin/ssh', `#!/bin/sh\n${ssh}\n`)
  make('data/wal', 'content')
  const text = (client: string): string => client.replaceAll(WAYS_LIST, place('ways'))
  make('bin/archive', `#!/bin/sh\n${text(ARCHIVE_CLIENT)}`)
  make('bin/restore', `#!/bin/sh\n${text(RESTORE_CLIENT)}`)
  const run = (words: readonly string[], as: { uid?: number; gid?: number } = { uid, gid }) => {
    const [program = '', ...rest] = words
    const path = `${place('bin')}:/usr/bin:/bin`
    const ended = spawnSync(join(place('bin'), program), rest, {
      cwd: place('data'),
      env: { PATH: path },
      timeout: 60_000,
      encoding: 'latin1',
      ...(isRoot ? as : {}),
    })
    return { code: ended.status, said: ended.stdout + ended.stderr }
  }
  return { run, place, out: () => readdirSync(place('out')) }
}

const target = ({ place }: ReturnType<typeof machine>): string => join(place('out'), 'RECOVERYXLOG')

test('a whole segment is put down, and pushed with its size', async () => {
  await using folder = temporaryDirectory()
  const there = machine(
    folder.path,
    `case $4 in "wal get "*) head -c 16777216 /dev/zero ;; "wal push wal 7") cat >${folder.path}/out/pushed ;; esac`,
  )
  assert.deepEqual(there.run(['restore', 'vault', 'shop', SEGMENT, target(there)]).code, 0)
  assert.equal(statSync(target(there)).size, 16_777_216)
  assert.equal(there.run(['archive', '--gzip', '-U', 'barman', 'vault', 'shop', 'wal']).code, 0)
  assert.equal(statSync(join(there.place('out'), 'pushed')).size, 7)
})

test('what cannot be all of a segment is none: cut off, empty, or without end', async () => {
  for (const answer of ['head -c 5000000 /dev/zero', 'true', 'cat /dev/zero']) {
    await using folder = temporaryDirectory()
    const there = machine(folder.path, answer)
    const { code, said } = there.run(['restore', 'vault', 'shop', SEGMENT, target(there)])
    assert.equal(code, 2, said)
    assert.deepEqual(there.out(), [])
  }
})

test('only a file that is not held ends with 1, and what is said steers no terminal', async () => {
  await using folder = temporaryDirectory()
  const there = machine(folder.path, String.raw`printf 'no\033]0;x\007 exit 0\n' >&2; exit 1`)
  const missing = there.run(['restore', 'vault', 'shop', SEGMENT, target(there)])
  assert.equal(missing.code, 1)
  const refused = there.run(['archive', 'vault', 'shop', 'wal'])
  assert.equal(refused.code, 1)
  assert.match(refused.said, /did not take wal: no\]0;x exit 0/)
  assert.doesNotMatch(refused.said, /[^\n -~]/)
})

test('a way of somebody else is not used, and root uses none', { skip: !isRoot }, async () => {
  await using folder = temporaryDirectory()
  const there = machine(folder.path, `id -u >${folder.path}/out/ran; exit 0`)
  const root = there.run(['archive', '--test', 'vault', 'shop', 'x'], {})
  assert.equal(root.code, 2)
  assert.match(root.said, /run it as PostgreSQL's OS user/)
  chownSync(there.place('data.ssh/config'), 0, 0)
  const other = there.run(['archive', '--test', 'vault', 'shop', 'x'])
  assert.equal(other.code, 2, other.said)
  assert.match(other.said, /has a way into its repository that is /)
  assert.deepEqual(there.out(), [])
})
