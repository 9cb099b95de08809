/**
 * A disk that belongs below a path and is not mounted, as fstab tells: what is written there would
 * disappear when it comes back.
 */
import { readFile, realpath } from 'node:fs/promises'
import { dirname } from 'node:path'
import { BackstayError } from '../errors/backstay-error.ts'

/**
 * @throws {BackstayError} REPOSITORY_MISSING when the disk that `directory` belongs on is not
 * mounted.
 */
export async function requireDisk(directory: string): Promise<void> {
  const [fstab, mounts] = await Promise.all(['/etc/fstab', '/proc/self/mounts'].map(readIfThere))
  // Without the list of what is mounted nothing can be said.
  if (fstab === undefined || mounts === undefined) return
  const mountPoint = absentMount(await existing(directory), { fstab, mounts })
  if (mountPoint === undefined) return
  throw new BackstayError(
    'REPOSITORY_MISSING',
    `Cannot make a repository in "${directory}": /etc/fstab has a disk for "${mountPoint}", which is not mounted`,
    { hint: 'Mount it. Nothing was made in its place.', details: { directory, mountPoint } },
  )
}

/**
 * The innermost mount point of `fstab` at or above `path`, when it is not among `mounts` (as
 * /proc/self/mounts has them). A disk that fstab does not mount by itself (`noauto`) may be away on
 * purpose, but the path below it is its own all the same.
 */
export function absentMount(
  path: string,
  { fstab, mounts }: { readonly fstab: string; readonly mounts: string },
): string | undefined {
  const above = mountPoints(fstab).filter(
    (point) => point !== '/' && (path === point || path.startsWith(`${point}/`)),
  )
  const innermost = above.sort((a, b) => b.length - a.length)[0]
  if (innermost === undefined) return undefined
  return mountPoints(mounts).includes(innermost) ? undefined : innermost
}

/** Second field of each line, in both files; blanks are escaped as \040 (fstab(5)). */
function mountPoints(text: string): string[] {
  return text.split('\n').flatMap((line) => {
    if (line.trimStart().startsWith('#')) return []
    const point = line.trim().split(/[ \t]+/)[1]
    if (point === undefined || !point.startsWith('/')) return []
    const path = point.replaceAll(/\\([0-7]{3})/g, (_all, octal: string) =>
      String.fromCodePoint(Number.parseInt(octal, 8)),
    )
    return [path === '/' ? path : path.replace(/\/+$/, '')]
  })
}

async function readIfThere(path: string): Promise<string | undefined> {
  return await readFile(path, 'utf8').catch(() => undefined)
}

/** `path` with what exists of it resolved: fstab names no links. */
async function existing(path: string): Promise<string> {
  for (let at = path; at !== dirname(at); at = dirname(at)) {
    const real = await realpath(at).catch(() => undefined)
    if (real !== undefined) return real + path.slice(at.length)
  }
  return path
}
