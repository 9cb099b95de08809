/**
 * What the program calls itself, and where it is.
 */
import { readFileSync, realpathSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** The Barman whose command line this is. */
export const BARMAN_VERSION = '3.17.0'

/** The version in package.json. */
export function backstayVersion(): string {
  const manifest = JSON.parse(readFileSync(packageFile('package.json'), 'utf8')) as {
    readonly version: string
  }
  return manifest.version
}

/** The absolute path of a file of this package, in a checkout and when installed. */
function packageFile(path: string): string {
  return fileURLToPath(new URL(`../../${path}`, import.meta.url))
}

/** Node.js and the launcher of a program of ours, absolute: `backstay.js`, `barman.js`. */
export function ownProgram(launcher: string): string[] {
  return [process.execPath, realpathSync(packageFile(`bin/${launcher}`))]
}
