/**
 * Paths inside a tree: relative, without a way out. Says nothing about links, which only the file
 * system knows.
 */
import { BackstayError } from '../errors/backstay-error.ts'

/**
 * The parts of a relative path; none for `.`, the tree itself. A trailing `/` and `.` parts are
 * dropped.
 * @throws FAILED for an absolute or empty path, and for one with `..` or a NUL byte.
 */
export function treePathParts(path: string): readonly string[] {
  const parts = path.split('/')
  if (path === '' || path.startsWith('/') || path.includes('\0') || parts.includes('..')) {
    throw new BackstayError('FAILED', `Cannot write "${path}": the path leaves the directory`, {
      hint: 'The data came with a path that nobody honest writes: find out where it came from.',
      details: { path },
    })
  }
  return parts.filter((part) => part !== '' && part !== '.')
}
