/**
 * Temporary directories of tests: removed on dispose, at process exit, and by the next run when this one was killed.
 * The next run also ends PostgreSQL servers left in them, each found by its working directory, never by name.
 */
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { isRoot } from './unprivileged-user.ts'

const PREFIX = `backstay-test-${process.getuid?.() ?? 0}-`
const owned = new Set<string>()
let reaped = false

/** A directory that is removed when disposed. */
export interface TemporaryDirectory extends AsyncDisposable {
  readonly path: string
}

/** Makes a directory like /tmp, in which the unprivileged user may make what is his, and nobody can change what is not. */
export function temporaryDirectory(): TemporaryDirectory {
  if (!reaped) reapDeadRuns()
  const path = mkdtempSync(join(tmpdir(), `${PREFIX}${process.pid}-${startTime(process.pid)}-`))
  owned.add(path)
  chmodSync(path, isRoot ? 0o1777 : 0o755)
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
  killLeftServers()
  for (const name of readdirSync(tmpdir())) {
    if (!isOfDeadRun(name)) continue
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

/** Whether it is the directory of a run whose process is gone. */
function isOfDeadRun(name: string): boolean {
  const match = name.startsWith(PREFIX) ? /^(\d+)-(\d+)-/.exec(name.slice(PREFIX.length)) : null
  return match !== null && startTime(Number(match[1])) !== match[2]
}

/** Those of runs whose temporary directory only their own processes could see. */
function killLeftServers(): void {
  for (const { pid, directory } of servers()) {
    const [name = ''] = directory.slice(tmpdir().length + 1).split('/')
    if (directory.startsWith(`${tmpdir()}/`) && isOfDeadRun(name)) kill(pid)
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
  for (const { pid, directory } of servers()) if (directory.startsWith(`${path}/`)) kill(pid)
}

/** The PostgreSQL processes of this machine, and where they work. */
function servers(): readonly { readonly pid: number; readonly directory: string }[] {
  return readdirSync('/proc').flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return []
    const program = link(`/proc/${pid}/exe`)
    const directory = link(`/proc/${pid}/cwd`)
    if (program === undefined || basename(program) !== 'postgres') return []
    return directory === undefined ? [] : [{ pid: Number(pid), directory }]
  })
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
