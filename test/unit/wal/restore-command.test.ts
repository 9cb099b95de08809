/** The text of restore_command, run by a real shell as PostgreSQL runs it. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { prefetchDirectoryFor } from '../../../src/wal/prefetch-folder.ts'
import { restoreCommand } from '../../../src/wal/restore-command.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'

const SEGMENT = '000000010000000000000003'

/** What PostgreSQL does with %f, %p and %%. */
function substitute(command: string, file: string, path: string): string {
  return command.replaceAll(/%([fp%])/g, (_, letter: string) =>
    letter === 'f' ? file : letter === 'p' ? path : '%',
  )
}

async function runIn(directory: string): Promise<{ status: number | null; stdout: string }> {
  const command = restoreCommand({
    program: ['/bin/echo', "it's 100% called"],
    repository: '/var/lib/back stay',
    cluster: 'shop',
    standby: false,
  })
  const text = substitute(command, SEGMENT, 'pg_wal/RECOVERYXLOG')
  return spawnSync('/bin/sh', ['-c', text], { cwd: directory, encoding: 'utf8' })
}

describe('restoreCommand', () => {
  it('calls the program when nothing was prefetched, every word whole', async () => {
    await using folder = temporaryDirectory()
    mkdirSync(join(folder.path, 'pg_wal'))
    const { status, stdout } = await runIn(folder.path)
    assert.equal(status, 0)
    assert.equal(
      stdout,
      `it's 100% called wal get --repository /var/lib/back stay --cluster shop ${SEGMENT} pg_wal/RECOVERYXLOG\n`,
    )
  })

  it('takes a prefetched segment without calling the program', async () => {
    await using folder = temporaryDirectory()
    const target = join(folder.path, 'pg_wal/RECOVERYXLOG')
    const directory = await prefetchDirectoryFor(target)
    mkdirSync(directory, { recursive: true })
    writeFileSync(join(directory, SEGMENT), 'prefetched')
    const { status, stdout } = await runIn(folder.path)
    assert.deepEqual([status, stdout], [0, ''])
    assert.equal(readFileSync(target, 'utf8'), 'prefetched')
    assert.ok(!existsSync(join(directory, SEGMENT)))
  })

  it('takes nothing that was prefetched before the machine was started', async () => {
    await using folder = temporaryDirectory()
    const stale = join(folder.path, 'pg_wal/.backstay/00000000-0000-0000-0000-000000000000')
    mkdirSync(stale, { recursive: true })
    writeFileSync(join(stale, SEGMENT), 'torn')
    assert.match((await runIn(folder.path)).stdout, /wal get/)
  })
})
