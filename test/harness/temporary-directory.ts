/**
 * Temporary directories of tests: removed on dispose, at process exit, and by the next run when this one was killed.
 * The next run also ends PostgreSQL servers left in them, each found by its working directory, never by name.
 */
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
} from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { isRoot, unprivilegedUser } from './unprivileged-user.ts'

const PREFIX = `backstay-test-${process.getuid?.() ?? 0}-`
const owned = new Set<string>()
let reaped = false

/** A directory that is removed when disposed. */
export interface TemporaryDirectory extends AsyncDisposable {
  readonly path: string
}

/** Makes a directory that the unprivileged user owns and everybody may walk through. */
export function temporaryDirectory(): TemporaryDirectory {
  if (!reaped) reapDeadRuns()
  const path = mkdtempSync(join(tmpdir(), `${PREFIX}${process.pid}-${startTime(process.pid)}-`))
  owned.add(path)
  if (isRoot) chownSync(path, unprivilegedUser.uid, unprivilegedUser.gid)
  chmodSync(path, 0o755)
  return {
    path,
    async [Symbol.asyncDispose]() {
      killServersUnder(path)
      await rm(path, { recursive: true, force: true, maxRetries: 5 })
      owned.delete(path)
    },
  }
}

process.on('exit', () => {
  for (const path of owned) {
    killServersUnder(path)
    rmSync(path, { recursive: true, force: true, maxRetries: 5 })
  }
})

/** Removes what runs of this user left whose process is gone. */
function reapDeadRuns(): void {
  reaped = true
  for (const name of readdirSync(tmpdir())) {
    const match = name.startsWith(PREFIX) ? /^(\d+)-(\d+)-/.exec(name.slice(PREFIX.length)) : null
    if (match === null || startTime(Number(match[1])) === match[2]) continue
    const path = join(tmpdir(), name)
    try {
      killServersUnder(path)
      unmountUnder(path)
      rmSync(path, { recursive: true, force: true, maxRetries: 5 })
    } catch (error) {
      // What another run left must not fail this one.
      process.emitWarning(`Cannot remove ${path}: ${String(error)}`)
    }
  }
}

/** Detaches file systems that a test of full disks or power cuts mounted there. */
function unmountUnder(path: string): void {
  const mounted = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '')
    .filter((point) => point.startsWith(`${path}/`))
  for (const point of mounted.toReversed()) execFileSync('umount', ['--lazy', point])
}

/** Kills PostgreSQL processes whose working directory (their data directory) lies under `path`. */
function killServersUnder(path: string): void {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    const program = link(`/proc/${pid}/exe`)
    const directory = link(`/proc/${pid}/cwd`)
    if (program === undefined || basename(program) !== 'postgres') continue
    if (directory?.startsWith(`${path}/`) === true) kill(Number(pid))
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It ended by itself meanwhile.
  }
}

function link(path: string): string | undefined {
  try {
    return readlinkSync(path).replace(/ \(deleted\)$/, '')
  } catch {
    return undefined
  }
}

/** Start time of a process in clock ticks since boot: with the pid it names one process. Empty when there is none. */
function startTime(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''
  } catch {
    return ''
  }
}
