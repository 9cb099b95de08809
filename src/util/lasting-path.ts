/**
 * Paths of this program that outlive it. A machine that `up` gives Backstay to holds each version
 * in a directory of its own, and removes the old ones; a link beside them names the one in use.
 * What a file keeps (a program of a PATH, a restore_command) goes through the link.
 */
import { existsSync, symlinkSync } from 'node:fs'
import { basename, dirname, join, relative, resolve } from 'node:path'

/** The link that names the version in use. */
export const CURRENT_NAME = 'current'
/** Lies in a version that arrived whole, and in no other directory. */
export const COMPLETE_NAME = '.complete'

const ROOT = resolve(import.meta.dirname, '../..')

/**
 * The path under which the file of the version in use will be found, for an absolute path within
 * the package; any other path as it is.
 * @param root directory of the package
 */
export function lastingPath(path: string, root = ROOT): string {
  const inside = relative(root, path)
  if (inside.startsWith('..') || !existsSync(join(root, COMPLETE_NAME))) return path
  const through = join(dirname(root), CURRENT_NAME, inside)
  return existsSync(through) ? through : path
}

/**
 * Makes the link where this is a version that has none beside it yet.
 * @throws what the file system says
 */
export function ensureCurrentLink(root = ROOT): void {
  if (!existsSync(join(root, COMPLETE_NAME))) return
  const link = join(dirname(root), CURRENT_NAME)
  if (!existsSync(link)) symlinkSync(basename(root), link)
}
