/**
 * barman-wal-restore trusts neither who may write in /tmp nor the Barman host: what was planted is not given to recovery, no name leads
 * out of the spool, and no answer has no end.
 */
import assert from 'node:assert/strict'
import { chmodSync, chownSync, existsSync, mkdirSync, statSync, symlinkSync } from 'node:fs'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { actAs, STRANGER } from '../../harness/other-user.ts'
import { isRoot } from '../../harness/unprivileged-user.ts'
import { type BarmanHouse, barmanHouse, type Ran } from './barman-house.ts'

const LIMIT = { timeout: 120_000 }
const ASKED = '000000010000000000000003'
const NEXT = '000000010000000000000004'
const TRUE = 'what the Barman host holds'

interface Restoring extends AsyncDisposable {
  readonly house: BarmanHouse
  /** As pg_wal: what is wanted comes to `target` in it. */
  readonly pgWal: string
  readonly target: string
  restore(...options: string[]): Promise<Ran>
}

/** A server that recovers, and a Barman host that answers `answer` (a shell's words) and lists `listed`. */
async function restoring({ listed = [ASKED, NEXT], answer = '' } = {}): Promise<Restoring> {
  const house = await barmanHouse('')
  const peeked = join(house.directory, 'peeked')
  await writeFile(peeked, `${listed.join('\n')}\n`)
  const words = answer === '' ? `printf '%s' '${TRUE}'` : answer
  const ssh = `#!/bin/sh\ncase "$*" in *--peek*) cat '${peeked}' ;; *) ${words} ;; esac\n`
  await writeFile(join(house.binaries, 'ssh'), ssh, { mode: 0o755 })
  const pgWal = join(house.directory, 'pg_wal')
  await mkdir(pgWal, { mode: 0o700 })
  const target = join(pgWal, 'RECOVERYXLOG')
  const client = join(house.binaries, 'barman-wal-restore')
  return {
    house,
    pgWal,
    target,
    restore: async (...options) =>
      house.run([client, ...options, 'vault', 'pg', ASKED, target], undefined, {}),
    [Symbol.asyncDispose]: async () => house[Symbol.asyncDispose](),
  }
}

test('what is fetched ahead waits in PostgreSQL’s own directory, and is taken', LIMIT, async () => {
  await using at = await restoring({ listed: [NEXT] })
  assert.deepEqual((await at.restore('-p', '2')).exitCode, 0)
  const spool = join(at.pgWal, '.barman-spool')
  assert.equal(statSync(spool).mode & 0o777, 0o700)
  assert.deepEqual(await readdir(spool), [NEXT])
  await writeFile(join(spool, ASKED), 'waits')
  assert.equal((await at.restore('-p', '2')).exitCode, 0)
  assert.equal(await readFile(at.target, 'utf8'), 'waits')
})

test(
  'what a stranger has put into a spool of his is not given to recovery',
  LIMIT,
  async (context) => {
    if (!isRoot) return context.skip('needs root')
    await using at = await restoring()
    const spool = join(at.house.directory, 'walrestore')
    const plant = 'umask 0; mkdir -p "$1" && printf planted > "$1/$2"'
    assert.ok(actAs(STRANGER, plant, spool, ASKED))
    for (const named of [spool, join(spool, 'below')]) {
      const { exitCode, stderr } = await at.restore('-p', '2', '--spool-dir', named)
      assert.equal(exitCode, 0)
      assert.equal(await readFile(at.target, 'utf8'), TRUE)
      assert.match(
        stderr,
        /^WARNING: nothing is fetched ahead: Cannot use --spool-dir ".*user 54321/,
      )
      assert.deepEqual(await readdir(spool), [ASKED], 'nothing was put there')
    }
  },
)

test(
  'what a stranger has put in the place of our own spool is not used',
  LIMIT,
  async (context) => {
    if (!isRoot) return context.skip('needs root')
    await using at = await restoring()
    chmodSync(at.pgWal, 0o1777)
    const spool = join(at.pgWal, '.barman-spool')
    assert.ok(actAs(STRANGER, 'umask 0; mkdir "$1" && printf planted > "$1/$2"', spool, ASKED))
    const { exitCode, stderr } = await at.restore('-p', '2')
    assert.equal(exitCode, 0)
    assert.equal(await readFile(at.target, 'utf8'), TRUE)
    assert.match(
      stderr,
      /^WARNING: nothing is fetched ahead: ".*" is no directory that only this user/,
    )
  },
)

test('a named spool that can be trusted is made and used', LIMIT, async () => {
  await using at = await restoring()
  const spool = join(at.house.directory, 'a', 'b')
  const { exitCode, stderr } = await at.restore('-p', '2', '--spool-dir', spool)
  assert.deepEqual([exitCode, stderr], [0, ''])
  assert.deepEqual(await readdir(spool), [NEXT])
  assert.equal(statSync(join(at.house.directory, 'a')).mode & 0o777, 0o700)
})

test('only a regular file of one’s own is taken from a spool', LIMIT, async (context) => {
  if (!isRoot) return context.skip('needs root')
  await using at = await restoring()
  const spool = join(at.pgWal, '.barman-spool')
  mkdirSync(spool, { mode: 0o700 })
  const elsewhere = join(at.house.directory, 'elsewhere')
  await writeFile(elsewhere, 'planted')
  symlinkSync(elsewhere, join(spool, ASKED))
  await at.restore('-p', '2', '--spool-dir', spool)
  assert.equal(await readFile(at.target, 'utf8'), TRUE)
  await at.house.run(['rm', join(spool, ASKED), at.target])
  await writeFile(join(spool, ASKED), 'planted')
  chownSync(join(spool, ASKED), STRANGER.uid, STRANGER.gid)
  await at.restore('-p', '2', '--spool-dir', spool)
  assert.equal(await readFile(at.target, 'utf8'), TRUE)
})

test(
  'a Barman host that lists names of other files makes none, and no more than were asked for',
  LIMIT,
  async () => {
    const many = [4, 5, 6, 7, 8, 9].map((number) => `00000001000000000000000${number}`)
    const evil = ['../evil', '../../evil', '/evil', 'evil', '.ssh', '00000002.history']
    await using at = await restoring({ listed: [...evil, ASKED, ...many, ...many] })
    const spool = join(at.pgWal, 'spool')
    const { exitCode } = await at.restore('-p', '3', '--spool-dir', spool)
    assert.deepEqual((await readdir(at.pgWal)).sort(), ['RECOVERYXLOG', 'spool'])
    assert.deepEqual([exitCode, await readdir(spool)], [0, many.slice(0, 3)])
    assert.equal(existsSync(join(at.house.directory, 'evil')), false)
  },
)

test(
  'a file ahead that does not come keeps the one that was asked for from nobody',
  LIMIT,
  async () => {
    const answer = `case "$*" in *${NEXT}*) exit 1 ;; esac; sleep 2; printf here`
    await using at = await restoring({ answer })
    const { exitCode, stderr } = await at.restore('-p', '2')
    assert.deepEqual([exitCode, stderr], [0, ''])
    assert.equal(await readFile(at.target, 'utf8'), 'here')
  },
)

test('an answer without end is left, and what the host says is spelled out', LIMIT, async () => {
  await using at = await restoring({
    answer: String.raw`printf '\033]0;mine\a' >&2; cat /dev/zero`,
  })
  const client = join(at.house.binaries, 'barman-wal-restore')
  const words = [client, 'vault', 'pg', '00000002.history', at.target]
  const { exitCode, stderr } = await at.house.run(['timeout', '60', ...words])
  assert.equal(exitCode, 2, stderr)
  assert.match(stderr, /^\\x1b\]0;mine\\x07ERROR: The Barman host sent more than 2097152 bytes/)
  assert.equal(existsSync(at.target), false)
  const archive = join(at.house.binaries, 'barman-wal-archive')
  const asked = await at.house.run(['timeout', '60', archive, '--test', 'vault', 'pg', 'x'])
  assert.match(asked.stderr, /sent more than 65536 bytes/)
})
