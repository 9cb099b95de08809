/**
 * The peer pgBackRest: the installed one, or another build named by the environment variable PGBACKREST.
 */
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'

/** Where it is, and what it can do. */
export interface PgBackRest {
  readonly program: string
  /** As it says: `2.60.0`. */
  readonly version: string
  /** Whether it can store changed blocks of a file instead of the file: 2.46 and later. */
  readonly hasBlocks: boolean
}

/** Undefined when there is none; says which one it is otherwise. */
export function findPgBackRest(): PgBackRest | undefined {
  const program = process.env['PGBACKREST'] ?? '/usr/bin/pgbackrest'
  if (!existsSync(program)) {
    console.log('pgBackRest is not installed: left out')
    return undefined
  }
  const version = execFileSync(program, ['version'], { encoding: 'utf8' })
    .replace(/^pgBackRest /, '')
    .trim()
  console.log(`peer: pgBackRest ${version}`)
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return { program, version, hasBlocks: major > 2 || minor >= 46 }
}
