/**
 * Promise: the archive command never overwrites, and a segment it reports as archived is whole.
 */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { archiveCommandFor } from '../../../src/cluster/archive-command.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'
import { isRoot } from '../../harness/unprivileged-user.ts'

const SEGMENT = '000000010000000000000007'

interface Ran {
  readonly code: number | null
  readonly said: string
}

/** Runs the command as PostgreSQL's archiver does: `%p`, `%f` and `%%` replaced, through `sh -c`, in the data directory. */
function archive(directory: string, data: string, server = 'db1'): Ran {
  const command = archiveCommandFor(directory, server).replaceAll(
    /%[pf%]/g,
    (code) => ({ '%p': `pg_wal/${SEGMENT}`, '%f': SEGMENT, '%%': '%' })[code] ?? '',
  )
  const { status, stderr } = spawnSync('sh', ['-c', command], { cwd: data, encoding: 'utf8' })
  return { code: status, said: stderr }
}

async function dataDirectory(base: string, content: Buffer): Promise<string> {
  const data = join(base, 'data')
  await mkdir(join(data, 'pg_wal'), { recursive: true })
  await writeFile(join(data, 'pg_wal', SEGMENT), content)
  return data
}

for (const name of ['archive', "a b'c %d $(touch x)"]) {
  test(`the archive command in "${name}"`, async (t) => {
    await using base = temporaryDirectory()
    const directory = join(base.path, name)
    await mkdir(directory)
    const content = Buffer.alloc(1024 * 1024, 7)
    const data = await dataDirectory(base.path, content)
    const target = join(directory, SEGMENT)

    await t.test('archives a segment under its own name, and leaves nothing else', async () => {
      assert.deepEqual(archive(directory, data), { code: 0, said: '' })
      assert.ok((await readFile(target)).equals(content))
      assert.deepEqual(readdirSync(directory), [SEGMENT])
    })

    await t.test('takes the same content again', () => {
      assert.deepEqual(archive(directory, data), { code: 0, said: '' })
    })

    await t.test('refuses other content, says so, and keeps what is there', async () => {
      await writeFile(target, 'another segment')
      const { code, said } = archive(directory, data)
      assert.equal(code, 1)
      assert.match(said, new RegExp(`${SEGMENT} with other content`))
      assert.equal(await readFile(target, 'utf8'), 'another segment')
    })

    await t.test('overwrites the temporary file of a try that died', async () => {
      await rm(target)
      await writeFile(join(directory, `.${SEGMENT}.db1`), 'half')
      assert.equal(archive(directory, data).code, 0)
      assert.ok((await readFile(target)).equals(content))
      assert.deepEqual(readdirSync(directory), [SEGMENT])
    })

    await t.test('fails without a target directory', async () => {
      await rm(directory, { recursive: true })
      assert.equal(archive(directory, data).code, 1)
    })
  })
}

test(
  'the archive command on a full disk fails and leaves nothing',
  { skip: !isRoot && 'needs root' },
  async (t) => {
    await using base = temporaryDirectory()
    const directory = join(base.path, 'archive')
    await mkdir(directory)
    const data = await dataDirectory(base.path, Buffer.alloc(2 * 1024 * 1024, 7))
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', directory], { stdio: 'pipe' })
    } catch {
      t.skip('tmpfs cannot be mounted here')
      return
    }
    try {
      const { code, said } = archive(directory, data)
      assert.equal(code, 1)
      assert.match(said, /No space left/)
      assert.deepEqual(readdirSync(directory), [])
      assert.ok(!existsSync(join(directory, SEGMENT)))
    } finally {
      execFileSync('umount', [directory])
    }
  },
)
