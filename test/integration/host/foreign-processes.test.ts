/**
 * A process counts as ours, to be ended or waited for, only when it works in this very directory for a user who may: a mark in a data
 * directory is its user's own word, and anybody may call a process `initdb`.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { removeUnfinishedClone } from '../../../src/cluster/clone-mark.ts'
import { cloneCommand } from '../../../src/cluster/clone-process.ts'
import type { ClusterContext } from '../../../src/cluster/context.ts'
import { lookDirectory } from '../../../src/cluster/look/look-directory.ts'
import { CLONE_MARK_NAME } from '../../../src/cluster/names.ts'
import { LocalHost } from '../../../src/host/local-host.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'
import { isRoot, unprivilegedUser } from '../../harness/unprivileged-user.ts'
import { until } from '../../harness/until.ts'
import { server } from '../../unit/cluster/builders.ts'

/** daemon, on every Debian and Red Hat system. */
const OTHER_UID = 1
const owner = unprivilegedUser.name
const host = new LocalHost('here')

/** A process that does nothing, called `words`, of a user. */
async function startCalled(words: readonly string[], uid?: number): Promise<StoppedLater> {
  const [name = '', ...rest] = words
  const drop =
    uid === undefined ? [] : ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups']
  // A shell with a second command to come stays itself.
  const shell = ['bash', '-c', 'exec -a "$0" sh -c "sleep 60; :" "$@"', name, ...rest]
  const [program = '', ...after] = [...drop, ...shell]
  const child = spawn(program, after, { stdio: 'ignore', cwd: '/', detached: true })
  const pid = child.pid ?? 0
  const isReady = (): boolean =>
    readFileSync(`/proc/${pid}/cmdline`, 'utf8').startsWith(`${name}\0-c\0sleep`)
  await until('the process to have its name', isReady)
  return { pid, [Symbol.dispose]: () => void process.kill(-pid, 'SIGKILL') }
}

interface StoppedLater extends Disposable {
  readonly pid: number
}

function markedDirectory(base: string, pid: number): string {
  const directory = join(base, 'data')
  mkdirSync(directory, { mode: 0o700 })
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const startTicks = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19])
  const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  const worker = { pid, startTicks, bootId }
  const mark = { server: 'db2', source: 'db1', startedAt: '', major: 18, tablespaces: [], worker }
  writeFileSync(join(directory, CLONE_MARK_NAME), JSON.stringify(mark))
  const { uid, gid } = unprivilegedUser
  if (isRoot)
    for (const path of [join(directory, CLONE_MARK_NAME), directory]) chownSync(path, uid, gid)
  return directory
}

function isAlive(pid: number): boolean {
  try {
    return !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ')
  } catch {
    return false
  }
}

test('a mark that names the clone into another directory does not end it', async () => {
  await using base = temporaryDirectory()
  chmodSync(base.path, 0o755)
  using other = await startCalled(['backstay', ...cloneCommand('/srv/other')])
  const directory = markedDirectory(base.path, other.pid)
  await removeUnfinishedClone(host, { directory, owner })
  assert.ok(isAlive(other.pid))
})

test('nor what only begins like its directory', async () => {
  await using base = temporaryDirectory()
  chmodSync(base.path, 0o755)
  using other = await startCalled(['backstay', ...cloneCommand(join(base.path, 'data2'))])
  const directory = markedDirectory(base.path, other.pid)
  await removeUnfinishedClone(host, { directory, owner })
  assert.ok(isAlive(other.pid))
})

test('the clone into its own directory is ended', async () => {
  await using base = temporaryDirectory()
  chmodSync(base.path, 0o755)
  using own = await startCalled(['backstay', ...cloneCommand(join(base.path, 'data'))])
  const directory = markedDirectory(base.path, own.pid)
  await removeUnfinishedClone(host, { directory, owner })
  assert.ok(!isAlive(own.pid))
})

test(
  'a process of a third user that is called so is not ended',
  { skip: !isRoot && 'needs root' },
  async () => {
    await using base = temporaryDirectory()
    chmodSync(base.path, 0o755)
    const words = ['backstay', ...cloneCommand(join(base.path, 'data'))]
    using other = await startCalled(words, OTHER_UID)
    const directory = markedDirectory(base.path, other.pid)
    await removeUnfinishedClone(host, { directory, owner })
    assert.ok(isAlive(other.pid))
  },
)

test(
  'an initdb counts as ours when it is of the OS user, and of nobody else',
  { skip: !isRoot && 'needs root' },
  async () => {
    await using base = temporaryDirectory()
    const directory = join(base.path, 'db1')
    mkdirSync(directory)
    const note = { directory, startedAt: '' }
    const context = {
      state: { readInitdbNote: async () => note },
      machineOf: async () => ({ host, osUser: owner, usesSystemd: false }),
    } as unknown as ClusterContext
    const look = async () => lookDirectory(context, host, server('db1', { directory }))
    const words = ['initdb', `--pgdata=${directory}`]
    using other = await startCalled(words, OTHER_UID)
    assert.ok(isAlive(other.pid))
    assert.deepEqual(await look(), { state: 'initdb-unfinished', workerPid: undefined })
    using own = await startCalled(words, unprivilegedUser.uid)
    assert.deepEqual(await look(), { state: 'initdb-unfinished', workerPid: own.pid })
  },
)
