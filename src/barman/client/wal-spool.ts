/**
 * Where WAL that was fetched ahead waits until recovery asks for it. What lies there is given to
 * recovery, so nobody else may have put it there.
 */
import { copyFile, lstat, mkdir, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { printable } from '../../errors/printable.ts'
import { parseWalFileName } from '../../postgres/segment-name.ts'

/**
 * Beside the file that PostgreSQL wants, so in pg_wal: taking one is a rename, and servers do not
 * take each other's.
 */
const OWN_SPOOL = '.barman-spool'
const PRIVATE = 0o700
const OTHERS_WRITE = 0o022

/** The spool to use; undefined, and it is said why, when others could have filled it. */
export async function openSpool(
  named: string | undefined,
  destination: string,
): Promise<string | undefined> {
  const directory = named ?? join(dirname(destination), OWN_SPOOL)
  try {
    if (named === undefined) await makeOwn(directory)
    else await claimNamed(named)
    return directory
  } catch (error) {
    const why = (error as Error).message
    process.stderr.write(printable(`WARNING: nothing is fetched ahead: ${why}\n`))
    return undefined
  }
}

/** In PostgreSQL's own directory. @throws {Error} when something of another user is there */
async function makeOwn(directory: string): Promise<void> {
  await mkdir(directory, { mode: PRIVATE }).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  })
  const facts = await lstat(directory)
  const isOwn = facts.isDirectory() && facts.uid === process.getuid?.()
  if (isOwn && (facts.mode & OTHERS_WRITE) === 0) return
  throw new Error(`"${directory}" is no directory that only this user may write`)
}

/** @throws {BackstayError} DIRECTORY_OWNER */
async function claimNamed(directory: string): Promise<void> {
  const { claimTrusted } = await import('../../config/trusted.ts')
  claimTrusted(directory, { what: '--spool-dir', mode: PRIVATE })
  await mkdir(directory, { recursive: true, mode: PRIVATE })
}

/** Gives a segment that waits to recovery; false when none of our own does. */
export async function takeSpooled(
  spool: string,
  name: string,
  destination: string,
): Promise<boolean> {
  const spooled = join(spool, name)
  if (!isSegment(name) || !(await isOwnFile(spooled))) return false
  try {
    await rename(spooled, destination)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EXDEV') return false
  }
  const temporary = temporaryFor(destination)
  await copyFile(spooled, temporary)
  await rename(temporary, destination)
  await rm(spooled)
  return true
}

async function isOwnFile(path: string): Promise<boolean> {
  const facts = await lstat(path).catch(() => undefined)
  return facts?.isFile() === true && facts.uid === process.getuid?.()
}

/**
 * The segments to fetch ahead, of what the Barman host lists: whatever else it says could name any
 * file here.
 */
export function namesAhead(listed: string, asked: string, most: number): readonly string[] {
  const names = new Set(listed.split('\n').filter((name) => isSegment(name) && name !== asked))
  return [...names].slice(0, most)
}

function isSegment(name: string): boolean {
  return parseWalFileName(name)?.kind === 'segment'
}

/** In the same folder, so that it gets its name by a rename. */
export function temporaryFor(target: string): string {
  return join(dirname(target), `.${basename(target)}.barman-${process.pid}`)
}
