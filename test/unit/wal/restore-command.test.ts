/** The text of restore_command, run by a real shell as PostgreSQL runs it. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text as textOf } from 'node:stream/consumers'
import { describe, it } from 'node:test'
import { announcementName, prefetchDirectoryFor } from '../../../src/wal/prefetch-folder.ts'
import { restoreCommand } from '../../../src/wal/restore-command.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'
import { until } from '../../harness/until.ts'

const SEGMENT = '000000010000000000000003'

/** What PostgreSQL does with %f, %p and %%. */
function substitute(command: string, file: string, path: string): string {
  return command.replaceAll(/%([fp%])/g, (_, letter: string) =>
    letter === 'f' ? file : letter === 'p' ? path : '%',
  )
}

function command(): string {
  return restoreCommand({
    program: ['/bin/echo', "it's 100% called"],
    place: { repository: '/var/lib/back stay' },
    cluster: 'shop',
    standby: false,
  })
}

/** Whether a process has a child called sleep. */
function isSleeping(pid: number): boolean {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ')
  return children.some((child) => nameOf(child) === 'sleep')
}

function nameOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim()
  } catch {
    return ''
  }
}

async function runIn(directory: string): Promise<{ status: number | null; stdout: string }> {
  const text = substitute(command(), SEGMENT, 'pg_wal/RECOVERYXLOG')
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

  it('waits for a segment that is being fetched', async () => {
    await using folder = temporaryDirectory()
    const target = join(folder.path, 'pg_wal/RECOVERYXLOG')
    const directory = await prefetchDirectoryFor(target)
    mkdirSync(directory, { recursive: true })
    const announced = join(directory, announcementName(SEGMENT))
    writeFileSync(announced, 'whole by now')
    const text = substitute(command(), SEGMENT, 'pg_wal/RECOVERYXLOG')
    const shell = spawn('/bin/sh', ['-c', text], { cwd: folder.path })
    const said = textOf(shell.stdout)
    await until('the shell to wait', () => isSleeping(shell.pid ?? 0))
    renameSync(announced, join(directory, SEGMENT))
    assert.equal(await said, '')
    assert.equal(readFileSync(target, 'utf8'), 'whole by now')
  })

  it('calls the program when the fetching it waited for was given up', async () => {
    await using folder = temporaryDirectory()
    const directory = await prefetchDirectoryFor(join(folder.path, 'pg_wal/RECOVERYXLOG'))
    mkdirSync(directory, { recursive: true })
    writeFileSync(join(directory, announcementName(SEGMENT)), '')
    assert.match((await runIn(folder.path)).stdout, /wal get/)
  })

  it('takes nothing that was prefetched before the machine was started', async () => {
    await using folder = temporaryDirectory()
    const stale = join(folder.path, 'pg_wal/.backstay/00000000-0000-0000-0000-000000000000')
    mkdirSync(stale, { recursive: true })
    writeFileSync(join(stale, SEGMENT), 'torn')
    assert.match((await runIn(folder.path)).stdout, /wal get/)
  })
})
