/**
 * Whether a path is in the hands of people one trusts: it and every directory above it. Who can
 * rename or write one of them decides what is found there, and so what is run. Access control lists
 * are not looked at; they show as the group's bits.
 */
import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readlinkSync,
  type Stats,
} from 'node:fs'
import { dirname, isAbsolute, join, sep } from 'node:path'
import { mayRunAll } from './sudo-caller.ts'

/** What speaks against a path. */
export interface Distrust {
  /** The path itself or a directory above it. */
  readonly path: string
  /** Completes “<path> …”: `belongs to "eve"`. */
  readonly why: string
  /**
   * Nothing is there, in a directory in which others may make it: it can be claimed
   * (`claimDirectory`).
   */
  readonly isMissing?: true
}

const OTHERS_WRITE = 0o002
const GROUP_WRITES = 0o020
const STICKY = 0o1000
const ROOT = 0
/** Followed in one path, as the kernel does. */
export const MOST_LINKS = 40

/**
 * Who is trusted by a process: itself and root; for root the user who called sudo too, where he may
 * do everything as root anyway.
 * @param sudoUid what sudo put into SUDO_UID; sudo is asked about him, which can take a moment.
 */
export function trustedUids(uid: number, sudoUid: string | undefined): ReadonlySet<number> {
  const caller = uid === ROOT && /^\d+$/.test(sudoUid ?? '') ? Number(sudoUid) : ROOT
  const isTrusted = caller !== ROOT && mayRunAll(caller)
  return new Set([uid, ROOT, ...(isTrusted ? [caller] : [])])
}

/**
 * The first thing that speaks against `path` (absolute), looked at from `/` down; undefined when
 * nothing does. Links are followed, and must be trusted themselves; `..` leads where the system
 * goes, to the directory above what was reached. Of a sticky directory (/tmp) anybody may write
 * only what is his own, so what a trusted user has in there counts, unless it may be a second name
 * that somebody gave a file of his; what is not there yet does not, for anybody may make it in the
 * next moment. Below directories that only trusted users may write, what is missing counts as
 * theirs, and so does what this process may not look at (root's 0700 directory, seen by
 * PostgreSQL's user): whoever uses it meets the refusal.
 * @throws Node's error when a directory cannot be looked into for another reason.
 */
export function findDistrust(path: string, trusted: ReadonlySet<number>): Distrust | undefined {
  let pending = partsOf(isAbsolute(path) ? path : `${process.cwd()}/${path}`)
  let at: string = sep
  let links = 0
  let above = lstatSync(at)
  let found = judge(at, above, trusted)
  while (found === undefined && pending.length > 0) {
    const [part = ''] = pending
    pending = pending.slice(1)
    if (part === '..') {
      at = dirname(at)
      above = lstatSync(at)
      continue
    }
    const next = join(at, part)
    const facts = lookAt(next)
    if (facts === 'hidden' || facts === undefined) return unseen(next, above, facts)
    found = judge(next, facts, trusted)
    if (facts.isFile() && facts.nlink > 1 && isShared(above)) {
      found ??= { path: next, why: 'has a second name, which somebody else may have given it' }
    }
    if (!facts.isSymbolicLink()) [at, above] = [next, facts]
    else {
      links += 1
      if (links > MOST_LINKS) return { path: next, why: 'is a link that leads nowhere' }
      const target = readlinkSync(next)
      pending = [...partsOf(target), ...pending]
      if (isAbsolute(target)) [at, above] = [sep, lstatSync(sep)]
    }
  }
  return found
}

/**
 * Makes what `findDistrust` found missing, so that it is ours before somebody else can make it, and
 * judges the whole path again: what it finds now is there. Everything below can be made in peace
 * then.
 * @param found what `findDistrust` said of `path`.
 * @param mode of the directory when it is made here.
 */
export function claimDirectory(
  path: string,
  found: Distrust,
  rights: { readonly trusted: ReadonlySet<number>; readonly mode: number },
): Distrust | undefined {
  if (found.isMissing !== true) return found
  if (makeOwn(found.path)) setMode(found.path, rights.mode)
  return findDistrust(path, rights.trusted)
}

/** False when it could not be made; the judgement afterwards says what is there instead. */
function makeOwn(path: string): boolean {
  try {
    mkdirSync(path, { mode: 0o700 })
    return true
  } catch {
    return false
  }
}

/** Whatever the umask is. */
function setMode(path: string, mode: number): void {
  const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW)
  try {
    if (fstatSync(fd).uid === process.getuid?.()) fchmodSync(fd, mode)
  } finally {
    closeSync(fd)
  }
}

/** undefined: nothing is there; `hidden`: the directory above keeps this process out. */
function lookAt(path: string): Stats | 'hidden' | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EACCES') return 'hidden'
    throw error
  }
}

function unseen(path: string, above: Stats, seen: 'hidden' | undefined): Distrust | undefined {
  if (!isShared(above)) return undefined
  if (seen === 'hidden') return { path, why: 'cannot be looked at, and others may make it' }
  return { path, why: 'is not there, and others may make it', isMissing: true }
}

/** Whether others than the owner may make something in the directory. */
function isShared(directory: Stats): boolean {
  if ((directory.mode & OTHERS_WRITE) !== 0) return true
  return (directory.mode & GROUP_WRITES) !== 0 && !isPrivateGroup(directory)
}

function partsOf(path: string): string[] {
  return path.split(sep).filter((part) => part !== '' && part !== '.')
}

function judge(path: string, facts: Stats, trusted: ReadonlySet<number>): Distrust | undefined {
  if (!trusted.has(facts.uid)) return { path, why: `belongs to ${userName(facts.uid)}` }
  if (facts.isSymbolicLink() || (facts.isDirectory() && (facts.mode & STICKY) !== 0))
    return undefined
  if ((facts.mode & OTHERS_WRITE) !== 0) return { path, why: 'may be written by everybody' }
  if ((facts.mode & GROUP_WRITES) === 0 || isPrivateGroup(facts)) return undefined
  return { path, why: `may be written by group ${groupName(facts.gid)}` }
}

/**
 * Where each user has a group of his own (umask 002), writing is his alone. Root's group counts as
 * root, unless anybody else is in it: a container gives it to users of any number.
 */
function isPrivateGroup({ uid, gid }: Stats): boolean {
  if (gid === ROOT && process.getgid?.() === ROOT && process.getuid?.() !== ROOT) return false
  const users = linesOf('/etc/passwd')
  const owner = users.find(([, , id]) => Number(id) === uid)?.[0]
  const groups = linesOf('/etc/group').filter(([, , id]) => Number(id) === gid)
  const members = groups.flatMap(([, , , names = '']) => names.split(',')).filter(Boolean)
  const primaries = users.filter(([, , , primary]) => Number(primary) === gid)
  if (gid === ROOT) {
    return members.every((name) => name === 'root') && primaries.every(([, , id]) => id === '0')
  }
  if (owner === undefined || groups.length === 0) return false
  return members.every((name) => name === owner) && primaries.every(([name]) => name === owner)
}

function userName(uid: number): string {
  const name = linesOf('/etc/passwd').find(([, , id]) => Number(id) === uid)?.[0]
  return name === undefined ? `user ${uid}` : `"${name}"`
}

function groupName(gid: number): string {
  const name = linesOf('/etc/group').find(([, , id]) => Number(id) === gid)?.[0]
  return name === undefined ? String(gid) : `"${name}"`
}

function linesOf(file: string): string[][] {
  try {
    return readFileSync(file, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => line.split(':'))
  } catch {
    return []
  }
}
