/**
 * A lock file on this machine that survives a dead holder: two `backstay up` for one cluster never
 * work at once, and a killed one never blocks the next. For local files; a repository has locks of
 * its own in its store.
 */
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { constants } from 'node:fs'
import { type FileHandle, link, open, readFile, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { BackstayError } from '../errors/backstay-error.ts'
import type { Clock } from '../util/clock.ts'
import {
  isProcessIdentity,
  livenessOf,
  type ProcessIdentity,
  thisProcess,
} from '../util/process-identity.ts'
import { errnoOf, fileError } from './file-error.ts'
import { unlessMissing } from './local-files.ts'

const TRIES = 20
const MUTEX_TIMEOUT_MS = 5000

/** Who holds a lock, as its file says. */
export interface LockHolder {
  readonly identity: ProcessIdentity
  /** What the holder does, in words for people: `backstay up`. */
  readonly purpose: string
  /** ISO 8601, UTC. */
  readonly since: string
  /** Makes this one lock different from every other. */
  readonly token: string
}

/** How a lock is asked for. */
export interface LockRequest {
  readonly purpose: string
  readonly clock: Clock
}

/** A lock that is held until it is disposed or the process ends. */
export interface ProcessLock extends AsyncDisposable {
  readonly path: string
  readonly holder: LockHolder
}

/**
 * Takes the lock `path` (its directory must exist) or fails at once. The file of a holder that has
 * died is taken over.
 * @throws REPOSITORY_LOCKED naming pid, host and since when: also for a holder of another host or
 * container, whose death cannot be known.
 */
export async function acquireProcessLock(path: string, request: LockRequest): Promise<ProcessLock> {
  const holder: LockHolder = {
    identity: thisProcess(),
    purpose: request.purpose,
    since: new Date(request.clock.now()).toISOString(),
    token: randomBytes(12).toString('hex'),
  }
  try {
    await take(path, holder)
  } catch (error) {
    throw fileError(holder.identity.host, `take the lock "${path}"`, error)
  }
  return { path, holder, [Symbol.asyncDispose]: () => release(path, holder) }
}

async function take(path: string, holder: LockHolder): Promise<void> {
  for (let attempt = 0; attempt < TRIES; attempt++) {
    if (await create(path, holder)) return
    const other = await readHolder(path)
    if (other === undefined) continue
    if (livenessOf(other.identity, holder.identity) !== 'dead') throw locked(path, other)
    await removeDead(path, holder.identity)
  }
  throw new BackstayError('REPOSITORY_LOCKED', `The lock "${path}" changes hands all the time`)
}

/** Makes the file with its whole content in one step; false when there is one. */
async function create(path: string, holder: LockHolder): Promise<boolean> {
  const temporary = join(dirname(path), `.${basename(path)}.${holder.token}.tmp`)
  const file = await open(temporary, 'wx', 0o644)
  try {
    await file.writeFile(`${JSON.stringify(holder, undefined, 2)}\n`)
    // After a power loss there is a whole lock file of a dead holder or none.
    await file.sync()
    await link(temporary, path)
    return true
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return false
    throw error
  } finally {
    await file.close()
    await rm(temporary, { force: true })
  }
}

/**
 * Removes the file if its holder is dead. Only one process at a time can be in here, so what is
 * removed is what was judged.
 */
async function removeDead(path: string, self: ProcessIdentity): Promise<void> {
  const mutex = await enter(path)
  try {
    const other = await readHolder(path)
    if (other !== undefined && livenessOf(other.identity, self) === 'dead') await rm(path)
  } finally {
    await mutex.close()
  }
}

/**
 * A lock of the kernel on a file beside the lock's: flock(1) takes it on the open file that we
 * share with it, so it is held until we close the file, and gone with us. Who may not open the file
 * (0600, in a directory of our own) can hold nobody up.
 */
async function enter(path: string): Promise<FileHandle> {
  const { O_RDWR, O_CREAT, O_NOFOLLOW } = constants
  const file = await open(`${path}.takeover`, O_RDWR | O_CREAT | O_NOFOLLOW, 0o600)
  try {
    const words = ['-x', '-w', String(MUTEX_TIMEOUT_MS / 1000), '3']
    const child = spawn('flock', words, { stdio: ['ignore', 'ignore', 'ignore', file.fd] })
    const [exitCode] = (await once(child, 'exit')) as [number | null]
    if (exitCode === 0) return file
    throw new BackstayError(
      'TIMEOUT',
      `Waited ${MUTEX_TIMEOUT_MS / 1000} s to take over "${path}", which another process does as well`,
    )
  } catch (error) {
    await file.close()
    throw error
  }
}

async function release(path: string, holder: LockHolder): Promise<void> {
  const current = await readHolder(path)
  if (current?.token === holder.token) await rm(path, { force: true })
}

async function readHolder(path: string): Promise<LockHolder | undefined> {
  const text = await unlessMissing(readFile(path, 'utf8'))
  if (text === undefined) return undefined
  const holder = parseHolder(text)
  if (holder !== undefined) return holder
  throw new BackstayError('FAILED', `"${path}" is not a lock file`, {
    hint: 'Look at it; remove it if no Backstay works.',
  })
}

function parseHolder(text: string): LockHolder | undefined {
  try {
    const value = JSON.parse(text) as Partial<LockHolder> | null
    return isProcessIdentity(value?.identity) &&
      [value.token, value.purpose, value.since].every((part) => typeof part === 'string')
      ? (value as LockHolder)
      : undefined
  } catch {
    return undefined
  }
}

function locked(path: string, other: LockHolder): BackstayError {
  const { identity, purpose, since } = other
  const host = identity.host.replace(/\/.*/, '')
  return new BackstayError(
    'REPOSITORY_LOCKED',
    `"${purpose}" is at work already: pid ${identity.pid} on "${host}", since ${since}`,
    {
      hint: `Wait for it. If that process is gone (another host, another container), remove "${path}".`,
      details: { path, pid: identity.pid, host, since, purpose },
    },
  )
}
