/**
 * Configuration files for a directory whose origin keeps them elsewhere (Debian: /etc/postgresql),
 * so that it can be opened.
 */
import { formatConfLine } from '../postgres/conf-file.ts'
import type { ReplayDemands } from '../postgres/parameter-change.ts'
import { demandedSettings } from './replay-demands.ts'

const HEADER = '# Written by Backstay: the backup holds no such file.'

/** The files that are missing: name → content. Local logins by the OS user's name only. */
export function standInFiles(
  present: { has(name: string): boolean },
  demands: ReplayDemands,
): Readonly<Record<string, string>> {
  const files = {
    'postgresql.conf': [HEADER, ...leastSettings(demands), ''].join('\n'),
    'pg_hba.conf': `${HEADER}\nlocal all all peer\n`,
    'pg_ident.conf': `${HEADER}\n`,
  }
  return Object.fromEntries(Object.entries(files).filter(([name]) => !present.has(name)))
}

/** Recovery refuses to go on with less than the origin had. */
function leastSettings(demands: ReplayDemands): string[] {
  return Object.entries(demandedSettings(demands, new Map())).map(([name, value]) =>
    formatConfLine(name, value),
  )
}
