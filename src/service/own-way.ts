/**
 * Whose a way into the repository is. ssh does what its configuration says, a command of the
 * caller's included: that of another user is obeyed by nobody, and by root least of all.
 */
import { statSync } from 'node:fs'
import { wayPaths } from '../cluster/machine/way-files.ts'
import { BackstayError } from '../errors/backstay-error.ts'
import { findDistrust } from '../util/trusted-path.ts'

const ROOT = 0

/**
 * The configuration of a way that is the caller's own; for root, with every directory above it.
 * @throws {BackstayError} DIRECTORY_OWNER
 */
export function ownWayConfig(way: string): string {
  const { config } = wayPaths(way)
  const uid = process.geteuid?.() ?? ROOT
  const other = uid === ROOT ? distrustOf(config) : ownedByOther([way, config], uid)
  if (other === undefined) return config
  throw new BackstayError('DIRECTORY_OWNER', `Will not use the way in "${way}": ${other}`, {
    hint: 'Run it as the OS user whose way it is, which is PostgreSQL’s.',
  })
}

/** Root's commands are not for whoever can exchange a directory. */
function distrustOf(config: string): string | undefined {
  const found = findDistrust(config, new Set([ROOT]))
  return found && `"${found.path}" ${found.why}`
}

function ownedByOther(paths: readonly string[], uid: number): string | undefined {
  const other = paths.find((path) => {
    const owner = statSync(path, { throwIfNoEntry: false })?.uid
    return owner !== undefined && owner !== uid && owner !== ROOT
  })
  return other && `"${other}" is another user's`
}
