/**
 * Barman's user owns its home and what commands write there. Root, who types `barman` or imports that home, must not do or tell what
 * it says there: neither a command nor a link to somebody else's file.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, chownSync, existsSync } from 'node:fs'
import { appendFile, mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { actAs, STRANGER } from '../../harness/other-user.ts'
import { isRoot, unprivilegedUser as BARMAN } from '../../harness/unprivileged-user.ts'
import { SWITCH, WalBuilder } from '../../unit/postgres/wal-builder.ts'
import { type BarmanHouse, barmanHouse, type Ran } from './barman-house.ts'

const LAUNCHER = join(import.meta.dirname, '../../../bin/backstay.js')
const SERVER = '[pg]\nconninfo = host=127.0.0.1 port=1\nbackup_method = postgres\n'
const NAME = '000000010000000000000003'
const SEGMENT_BYTES = 1024 * 1024
const LIMIT = { timeout: 120_000 }

/** A house whose home belongs to Barman's user, with a segment that only the operator's own filter unpacks. */
async function houseOfBarman(more = ''): Promise<BarmanHouse> {
  const house = await barmanHouse(`${SERVER}${more}`)
  const text = await readFile(house.configFile, 'utf8')
  const directory = join(house.directory, 'barman.d')
  await mkdir(directory)
  const lines = `barman_user = ${BARMAN.name}\nconfiguration_files_directory = ${directory}`
  await writeFile(house.configFile, text.replace('barman_user = root', lines))
  const builder = new WalBuilder(BigInt(3 * SEGMENT_BYTES))
  builder.page()
  builder.record({ dataBytes: 100 })
  builder.record(SWITCH)
  builder.fill('segment')
  const wals = join(house.home, 'pg', 'wals')
  await mkdir(join(wals, NAME.slice(0, 16)), { recursive: true })
  await writeFile(join(wals, NAME.slice(0, 16), NAME), builder.bytes)
  await writeFile(join(wals, 'xlog.db'), `${NAME}\t${SEGMENT_BYTES}\t1795332286.49\tcustom\tNone\n`)
  give(house.home, BARMAN)
  return house
}

function give(path: string, { uid, gid }: { readonly uid: number; readonly gid: number }): void {
  execFileSync('chown', ['-R', `${uid}:${gid}`, path])
}

/** What barman's user may do to its own home: says that a command is to unpack WAL. Gives the file that the command would make. */
function plantFilter(
  house: BarmanHouse,
  user: { readonly uid: number; readonly gid: number },
): string {
  const proof = join(house.directory, 'obeyed')
  const text = `[pg]\ncustom_decompression_filter = touch ${proof}; cat\n`
  assert.ok(actAs(user, 'printf %s "$1" > "$2"', text, join(house.home, '.barman.auto.conf')))
  return proof
}

async function importInto(house: BarmanHouse, repository: string): Promise<Ran> {
  const config = ['--barman-config', house.configFile, '--repository', repository]
  return await house.run([process.execPath, LAUNCHER, 'import', 'barman', ...config])
}

async function repositoryOf(house: BarmanHouse, uid: number): Promise<string> {
  const repository = join(house.directory, 'repository')
  await mkdir(repository)
  chownSync(repository, uid, uid)
  return repository
}

describe('an import that root begins', { skip: !isRoot && 'needs root' }, () => {
  test('into a repository of root runs and reads nothing of barman’s user', LIMIT, async () => {
    await using house = await houseOfBarman()
    const proof = plantFilter(house, BARMAN)
    const { exitCode, stderr } = await importInto(house, await repositoryOf(house, 0))
    assert.equal(existsSync(proof), false)
    assert.equal(exitCode, 1, stderr)
    assert.match(stderr, new RegExp(`Cannot import "pg" as root: ".*" belongs to "${BARMAN.name}"`))
    assert.match(stderr, /give ".*repository" to one who reads Barman's files/)
  })

  for (const [whose, uid] of [
    ['root', 0],
    ['another user', BARMAN.uid],
  ] as const) {
    test(`takes no command for ${whose} from what config-update writes`, LIMIT, async () => {
      await using house = await houseOfBarman()
      give(house.home, { uid, gid: uid })
      const proof = plantFilter(house, { uid, gid: uid })
      const { stderr } = await importInto(house, await repositoryOf(house, uid))
      assert.equal(existsSync(proof), false, stderr)
    })
  }

  test('runs the command of root’s own file as the repository’s user', LIMIT, async () => {
    await using house = await houseOfBarman()
    plantFilter(house, BARMAN)
    const proof = join(house.directory, 'as')
    await appendFile(house.configFile, `custom_decompression_filter = id -u > ${proof}; cat\n`)
    const { exitCode, stderr } = await importInto(house, await repositoryOf(house, BARMAN.uid))
    assert.equal(exitCode, 0, stderr)
    assert.equal(await readFile(proof, 'utf8'), `${BARMAN.uid}\n`)
  })

  test('obeys no configuration of a stranger’s, main file or beside', LIMIT, async () => {
    await using house = await houseOfBarman()
    const repository = await repositoryOf(house, BARMAN.uid)
    const beside = join(house.directory, 'barman.d', 'more.conf')
    const proof = join(house.directory, 'obeyed')
    await writeFile(beside, `[pg]\ncustom_decompression_filter = touch ${proof}; cat\n`)
    const said = async (path: string): Promise<void> => {
      chownSync(path, STRANGER.uid, STRANGER.gid)
      const { exitCode, stderr } = await importInto(house, repository)
      assert.equal(existsSync(proof), false)
      assert.equal(exitCode, 1, stderr)
      assert.match(stderr, /Cannot use Barman's configuration ".*": it belongs to user 54321/)
    }
    await said(beside)
    chownSync(beside, 0, 0)
    await said(join(house.directory, 'barman.d'))
    await said(house.configFile)
  })
})

describe('barman, typed by root', { skip: !isRoot && 'needs root' }, () => {
  test('tells nothing of a file that only root may read', LIMIT, async () => {
    await using house = await houseOfBarman()
    const secret = join(house.directory, 'shadow')
    await writeFile(secret, '[x]\nroot:$y$hidden:1\n', { mode: 0o600 })
    for (const path of ['.barman.auto.conf', 'pg/.active-model.auto']) {
      const link = join(house.home, path)
      assert.ok(actAs(BARMAN, 'ln -s "$1" "$2"', secret, link))
      const { stdout, stderr } = await house.barman(['check', 'pg'])
      const log = await readFile(join(house.directory, 'barman.log'), 'utf8').catch(() => '')
      assert.doesNotMatch(`${stdout.toString()}${stderr}${log}`, /hidden|\[x\]|root:/)
      assert.ok(actAs(BARMAN, 'rm "$1"', link))
    }
  })

  test('obeys only a main file that is root’s', LIMIT, async () => {
    await using house = await houseOfBarman()
    assert.equal((await house.barman(['list-servers', '--minimal'])).stdout.toString(), 'pg\n')
    chownSync(house.configFile, STRANGER.uid, STRANGER.gid)
    const { exitCode, stderr } = await house.barman(['list-servers'])
    assert.equal(exitCode, 1)
    assert.match(stderr, /^ERROR: Cannot use Barman's configuration .* belongs to user 54321/)
  })

  test(
    'is barman’s user when it reads the files beside, and says which it may not',
    LIMIT,
    async () => {
      await using house = await houseOfBarman()
      const beside = join(house.directory, 'barman.d')
      await writeFile(join(beside, 'more.conf'), '[more]\nconninfo = host=a\n', { mode: 0o600 })
      const file = await house.barman(['list-servers'])
      assert.match(file.stderr, /^ERROR: Cannot read ".*more\.conf": EACCES/)
      chmodSync(beside, 0o700)
      const directory = await house.barman(['list-servers'])
      assert.match(directory.stderr, /^ERROR: Cannot read ".*barman\.d": EACCES/)
    },
  )
})

test(
  'a pipe or a file without end in the place of what commands write holds nobody up',
  LIMIT,
  async () => {
    await using house = await barmanHouse(SERVER)
    await mkdir(join(house.home, 'pg'))
    for (const path of ['.barman.auto.conf', 'pg/.active-model.auto']) {
      const file = join(house.home, path)
      execFileSync('mkfifo', [file])
      const pipe = await house.run([
        'timeout',
        '30',
        join(house.binaries, 'barman'),
        'list-servers',
      ])
      assert.match(pipe.stderr, /^ERROR: Cannot read ".*auto.*": it is no regular file/)
      execFileSync('rm', [file])
      execFileSync('truncate', ['-s', '1G', file])
      const long = await house.barman(['list-servers'])
      assert.match(long.stderr, /^ERROR: Cannot read ".*auto.*": it is longer than 65536 bytes/)
      execFileSync('rm', [file])
    }
  },
)

test('what is no name of a model is not repeated, and --reset takes it away', LIMIT, async () => {
  await using house = await barmanHouse(SERVER)
  await mkdir(join(house.home, 'pg'))
  const secret = join(house.directory, 'secret')
  await writeFile(secret, 'root:$y$hidden:1:2\n')
  await symlink(secret, join(house.home, 'pg/.active-model.auto'))
  const { stdout, stderr } = await house.barman(['check', 'pg'])
  assert.match(stdout.toString(), /"[^"]*\.active-model\.auto" holds no name of a model/)
  assert.doesNotMatch(stdout.toString() + stderr, /hidden/)
  assert.equal((await house.barman(['config-switch', 'pg', '--reset'])).exitCode, 0)
  assert.doesNotMatch((await house.barman(['check', 'pg'])).stdout.toString(), /name of a model/)
})
