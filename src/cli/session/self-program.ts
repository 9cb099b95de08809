/**
 * How this program starts itself again.
 */
import { lastingPath } from '../../util/lasting-path.ts'
import { packageFile } from '../version.ts'

/** Absolute paths of Node.js and of our launcher, whoever loaded this file. */
export function selfProgram(): readonly [string, ...string[]] {
  return [process.execPath, packageFile('bin/backstay.js')]
}

/**
 * The same for what outlives this version: a restore_command is run for as long as the server
 * follows.
 */
export function lastingProgram(): readonly string[] {
  return selfProgram().map((path) => lastingPath(path))
}
