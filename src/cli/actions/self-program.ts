/**
 * How this program starts itself again.
 */
import { realpathSync } from 'node:fs'

/** Absolute paths of Node.js and of our launcher. */
export function selfProgram(): readonly [string, ...string[]] {
  const launcher = process.argv[1]
  return launcher === undefined ? [process.execPath] : [process.execPath, realpathSync(launcher)]
}
