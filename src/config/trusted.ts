/**
 * Refuses files and directories whose content is obeyed and which somebody else could have written.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import { claimDirectory, type Distrust, findDistrust, trustedUids } from '../util/trusted-path.ts'
import { refusedCaller } from '../util/sudo-caller.ts'

/**
 * Refuses a path that somebody else could have put there, or could change under our hands.
 * @param what names it in messages: `the cluster file`.
 * @throws DIRECTORY_OWNER
 */
export function checkTrusted(path: string, what: string, trusted?: ReadonlySet<number>): void {
  const found = findDistrust(path, trusted ?? ownUids())
  if (found !== undefined) throw distrusted(path, what, found)
}

/** What a directory is for, and the mode of its first part where that has to be made. */
export interface DirectoryUse {
  /** Names it in messages: `the demo`. */
  readonly what: string
  readonly mode: number
}

/**
 * The same for a directory that may be missing where others could make it (/tmp): its first missing
 * part is made, and then judged.
 * @throws DIRECTORY_OWNER
 */
export function claimTrusted(
  path: string,
  { what, mode }: DirectoryUse,
  trusted: ReadonlySet<number> = ownUids(),
): void {
  const before = findDistrust(path, trusted)
  const found = before && claimDirectory(path, before, { trusted, mode })
  if (found !== undefined) throw distrusted(path, what, found)
}

/** This process's user and root. */
export function ownUids(): ReadonlySet<number> {
  return trustedUids(process.getuid?.() ?? 0, undefined)
}

function distrusted(path: string, what: string, found: Distrust): BackstayError {
  const uid = process.getuid?.() ?? 0
  const place = found.path === path ? 'it' : `"${found.path}"`
  const self = uid === 0 ? 'root' : `user ${uid}`
  const caller = refusedCaller()
  const isCallers = caller !== undefined && found.why.includes(`"${caller}"`)
  const why = isCallers
    ? `"${caller}" called sudo, but may not run everything as root with his own password, or may run something with less (sudo -ll -U ${caller}): root would do for him what sudo does not let him. `
    : ''
  const remedy = found.isMissing === true ? 'make' : 'chown and chmod'
  return new BackstayError(
    'DIRECTORY_OWNER',
    `Cannot use ${what} "${path}": ${place} ${found.why}, and ${self} would do what it says`,
    {
      hint: `${why}It and every directory above it must belong to ${uid === 0 ? self : `${self} or root`} and be writable by nobody else: ${remedy} "${found.path}", or move it.`,
      details: { path, found: found.path },
    },
  )
}
