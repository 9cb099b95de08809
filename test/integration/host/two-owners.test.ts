/**
 * A way through the hands of two users: root, who acts as the one that owns it, lends neither of them the other's rights, here or in the
 * shell of another machine.
 */
import assert from 'node:assert/strict'
import {
  chmodSync,
  chownSync,
  existsSync,
  lchownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { runChild } from '../../../src/host/child-process.ts'
import type { Host } from '../../../src/host/host.ts'
import { LocalHost } from '../../../src/host/local-host.ts'
import { prefetch } from '../../../src/host/look-ahead.ts'
import { ShellFiles } from '../../../src/host/shell-files.ts'
import { actAs, meddleAs, STRANGER } from '../../harness/other-user.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'
import { isRoot, unprivilegedUser } from '../../harness/unprivileged-user.ts'

const REFUSED = { code: 'DIRECTORY_OWNER', message: /in the hands of user \d+ and leads on to/ }
const LIMIT = 1_000_000

type Files = Pick<Host, 'writeFile' | 'makeDirectory' | 'remove' | 'rename' | 'readFile'>

/** What root's shell does at the other end of ssh, without the network between. */
function shell(): Files {
  const files = new ShellFiles({
    asWayOwner: true,
    run: async ({ command, directory, timeoutMs, input, outputLimitBytes }) => {
      const limit = outputLimitBytes === undefined ? {} : { outputLimitBytes }
      const environment = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' }
      const child = { directory, environment, timeoutMs, input, ...limit }
      const { exitCode, stdout, stderr } = await runChild(command, child)
      return { exitCode, stdout, stderr: stderr.toString() }
    },
  })
  return {
    readFile: async (path) => files.read(path, LIMIT),
    writeFile: async (path, content, ownership = {}) =>
      files.write(path, Buffer.from(content), ownership),
    makeDirectory: async (path, ownership = {}) => files.makeDirectory(path, ownership),
    remove: async (path) => files.remove(path),
    rename: async (from, to) => files.rename(from, to),
  }
}

interface Places {
  /** PostgreSQL's. */
  readonly data: string
  /** The stranger's, which nobody else may enter. */
  readonly theirs: string
  readonly key: string
  /** Root's, closed. */
  readonly roots: string
}

/** PostgreSQL's directory with links of his to a directory and a file of the stranger's. */
function makePlaces(base: string): Places {
  const [data, theirs, roots] = [join(base, 'data'), join(base, 'theirs'), join(base, 'roots')]
  const key = join(theirs, 'key')
  mkdirSync(data)
  mkdirSync(theirs, { mode: 0o700 })
  mkdirSync(roots)
  writeFileSync(key, 'secret', { mode: 0o600 })
  for (const path of [theirs, key]) chownSync(path, STRANGER.uid, STRANGER.gid)
  chownSync(data, unprivilegedUser.uid, unprivilegedUser.gid)
  linkOfPostgres(theirs, join(data, 'way'))
  linkOfPostgres(key, join(data, 'pg_hba.conf'))
  return { data, theirs, key, roots }
}

function linkOfPostgres(target: string, path: string): void {
  symlinkSync(target, path)
  lchownSync(path, unprivilegedUser.uid, unprivilegedUser.gid)
}

const drivers: Record<string, () => Files> = { here: () => new LocalHost('here'), shell }

for (const [driver, open] of Object.entries(drivers)) {
  describe(`root ${driver}`, { skip: !isRoot && 'needs root', concurrency: false }, () => {
    const files = open()

    test('reads no file of a second user through a link', async () => {
      await using base = temporaryDirectory()
      const { data } = makePlaces(base.path)
      await assert.rejects(files.readFile(join(data, 'pg_hba.conf')), REFUSED)
      await assert.rejects(files.readFile(join(data, 'way/key')), REFUSED)
    })

    test('reads no configuration file that leads out of the directory to a second user’s file', async () => {
      await using base = temporaryDirectory()
      const { data, roots } = makePlaces(base.path)
      const open_ = join(roots, 'open')
      writeFileSync(open_, 'trust everybody', { mode: 0o644 })
      chownSync(open_, STRANGER.uid, STRANGER.gid)
      linkOfPostgres(open_, join(data, 'postgresql.conf'))
      await assert.rejects(files.readFile(join(data, 'postgresql.conf')), REFUSED)
    })

    test('takes for absent only what is, not what cannot be looked at', async () => {
      await using base = temporaryDirectory()
      const longName = 'x'.repeat(300)
      for (const path of [join(base.path, longName), join(base.path, longName, 'below')]) {
        await assert.rejects(files.readFile(path), /too long|ENAMETOOLONG/)
      }
      assert.equal(await files.readFile(join(base.path, 'absent', 'below')), undefined)
    })

    test('replaces and makes no file in a second user’s directory', async () => {
      await using base = temporaryDirectory()
      const { data, theirs, key } = makePlaces(base.path)
      await assert.rejects(files.writeFile(join(data, 'way/key'), 'mine'), REFUSED)
      await assert.rejects(files.writeFile(join(data, 'way/new'), 'mine'), REFUSED)
      await assert.rejects(files.makeDirectory(join(data, 'way/new')), REFUSED)
      assert.equal(readFileSync(key, 'utf8'), 'secret')
      assert.deepEqual(readdirSync(theirs), ['key'])
    })

    test('removes and renames nothing in a second user’s directory', async () => {
      await using base = temporaryDirectory()
      const { data, key } = makePlaces(base.path)
      await assert.rejects(files.remove(join(data, 'way/key')), REFUSED)
      await assert.rejects(files.rename(join(data, 'way/key'), join(data, 'had')), REFUSED)
      writeFileSync(join(data, 'planted'), 'x')
      await assert.rejects(files.rename(join(data, 'planted'), join(data, 'way/key')), REFUSED)
      assert.equal(readFileSync(key, 'utf8'), 'secret')
    })

    test('replaces a link to a second user’s file, and leaves the file', async () => {
      await using base = temporaryDirectory()
      const { data, key } = makePlaces(base.path)
      await files.writeFile(join(data, 'pg_hba.conf'), 'local all all peer')
      assert.equal(readFileSync(key, 'utf8'), 'secret')
      assert.equal(statSync(join(data, 'pg_hba.conf')).uid, unprivilegedUser.uid)
    })

    test('goes on where a link leads to the same user’s files, or to root’s that he may read', async () => {
      await using base = temporaryDirectory()
      const { data, roots } = makePlaces(base.path)
      const etc = join(base.path, 'etc')
      mkdirSync(etc)
      writeFileSync(join(etc, 'postgresql.conf'), 'port = 1', { mode: 0o640 })
      for (const path of [etc, join(etc, 'postgresql.conf')]) {
        chownSync(path, unprivilegedUser.uid, unprivilegedUser.gid)
      }
      linkOfPostgres(join(etc, 'postgresql.conf'), join(data, 'postgresql.conf'))
      const read = async (path: string): Promise<string | undefined> =>
        (await files.readFile(path))?.toString()
      assert.equal(await read(join(data, 'postgresql.conf')), 'port = 1')
      assert.equal(await read(join(etc, 'postgresql.conf')), 'port = 1')
      await files.writeFile(join(etc, 'postgresql.conf'), 'port = 2')
      assert.equal(await read(join(data, 'postgresql.conf')), 'port = 2')
      writeFileSync(join(roots, 'shared.conf'), 'shared', { mode: 0o644 })
      linkOfPostgres(join(roots, 'shared.conf'), join(data, 'shared.conf'))
      assert.equal(await read(join(data, 'shared.conf')), 'shared')
    })

    test('has no rights of the group that a user’s directory has', async () => {
      await using base = temporaryDirectory()
      const { data, roots } = makePlaces(base.path)
      chownSync(data, unprivilegedUser.uid, 0)
      writeFileSync(join(roots, 'of-group'), 'root’s group', { mode: 0o640 })
      linkOfPostgres(join(roots, 'of-group'), join(data, 'recovery.conf'))
      await assert.rejects(
        files.readFile(join(data, 'recovery.conf')),
        (error) => (error as { code: string }).code !== undefined,
      )
      await files.writeFile(join(data, 'made'), 'x')
      assert.notEqual(statSync(join(data, 'made')).gid, 0)
    })

    test('does not make a directory where a stranger’s link leads, whoever wins the race', async () => {
      await using base = temporaryDirectory()
      const { roots } = makePlaces(base.path)
      const open_ = join(base.path, 'new')
      const toggle = 'while :; do ln -s -- "$2" "$1" && rm -f -- "$1"; done'
      await using _racer = meddleAs(STRANGER, toggle, open_, roots)
      for (let round = 0; round < 8; round++) {
        await files.makeDirectory(join(open_, `sub${round}`)).catch(() => undefined)
        // Whoever was first, the next round starts from nothing.
        if (
          statSync(open_, { throwIfNoEntry: false })?.uid === 0 &&
          existsSync(join(open_, `sub${round}`))
        ) {
          await files.remove(open_).catch(() => undefined)
        }
      }
      assert.deepEqual(readdirSync(roots), [])
    })

    test('makes no directory in one that a stranger made while it looked', async () => {
      await using base = temporaryDirectory()
      const open_ = join(base.path, 'new')
      assert.equal(actAs(STRANGER, 'mkdir -m 777 -- "$1"', open_), true)
      // His hands are his: nothing of root's is in there.
      await files.makeDirectory(join(open_, 'sub'))
      assert.equal(statSync(join(open_, 'sub')).uid, STRANGER.uid)
    })

    test('makes the missing parts of a path, one in the other, and gives the last one away', async () => {
      await using base = temporaryDirectory()
      const path = join(base.path, 'new/a "b" c/data')
      await files.makeDirectory(path, { mode: 0o750, owner: unprivilegedUser.name })
      const { uid, mode } = statSync(path)
      assert.deepEqual([uid, mode & 0o777], [unprivilegedUser.uid, 0o750])
      const above = statSync(join(base.path, 'new/a "b" c'))
      assert.deepEqual([above.uid, above.mode & 0o777], [0, 0o755])
      assert.equal(await files.readFile(join(path, 'none')), undefined)
      await files.remove(join(base.path, 'nowhere/file'))
    })

    test('reads nothing that was not there when it looked, whoever wins the race', async () => {
      await using base = temporaryDirectory()
      const { roots } = makePlaces(base.path)
      const secret = join(roots, 'secret')
      writeFileSync(secret, 'root’s own', { mode: 0o600 })
      const path = join(base.path, 'backstay.conf')
      const toggle = 'while :; do ln -s -- "$2" "$1" && rm -f -- "$1"; done'
      await using _racer = meddleAs(STRANGER, toggle, path, secret)
      for (let round = 0; round < (driver === 'here' ? 300 : 10); round++) {
        const read = await files.readFile(path).catch(() => undefined)
        assert.notEqual(read?.toString(), 'root’s own')
      }
    })

    test('reads nothing of root’s where a stranger exchanges his file for a link', async () => {
      await using base = temporaryDirectory()
      const { roots } = makePlaces(base.path)
      const secret = join(roots, 'secret')
      writeFileSync(secret, 'root’s own', { mode: 0o600 })
      const path = join(base.path, 'server.log')
      const toggle =
        'while :; do echo log >"$1.new"; mv -fT -- "$1.new" "$1"; ln -s -- "$2" "$1.new"; mv -fT -- "$1.new" "$1"; done'
      await using _racer = meddleAs(STRANGER, toggle, path, secret)
      for (let round = 0; round < 10; round++) {
        const read = await files.readFile(path).catch(() => undefined)
        assert.notEqual(read?.toString(), 'root’s own')
      }
    })
  })
}

describe('many files read at once', { skip: !isRoot && 'needs root' }, () => {
  test('are read by the user whose they are: none of root’s, none of a second user’s', async () => {
    await using base = temporaryDirectory()
    const { data, roots, theirs } = makePlaces(base.path)
    writeFileSync(join(roots, 'PG_VERSION'), 'root’s own', { mode: 0o600 })
    chmodSync(theirs, 0o755)
    linkOfPostgres(roots, join(data, 'pg_wal'))
    const host = new LocalHost('here')
    const paths = [join(data, 'pg_wal/PG_VERSION'), join(data, 'way/key')]
    const seen = await prefetch(host, paths, unprivilegedUser.name)
    await assert.rejects(seen.readFile(paths[0] ?? ''), { code: 'HOST_PRIVILEGE' })
    chmodSync(join(theirs, 'key'), 0o644)
    const again = await prefetch(host, paths, unprivilegedUser.name)
    await assert.rejects(again.readFile(paths[1] ?? ''), REFUSED)
  })
})
