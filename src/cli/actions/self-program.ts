/**
 * How this program starts itself again.
 */
import { packageFile } from '../version.ts'

/** Absolute paths of Node.js and of our launcher, whoever loaded this file. */
export function selfProgram(): readonly [string, ...string[]] {
  return [process.execPath, packageFile('bin/backstay.js')]
}
