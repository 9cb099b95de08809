/**
 * Whether every server runs the program that is installed.
 */
import { isAnswering } from '../../cluster/replication.ts'
import { type Check, verdict } from './finding.ts'

/** A package update leaves the server with the old program until it is restarted. */
export const programInstalled: Check = (facts) =>
  facts.found.servers.filter(isAnswering).flatMap(({ name, sql }) => {
    const program = facts.programs.get(name)
    if (program === undefined) return []
    const say = verdict('server.program', name)
    const { path, isReplaced, installed } = program
    const isOther = installed !== undefined && installed !== sql.version
    if (!isReplaced && !isOther) return [say.ok(`it runs ${path}, PostgreSQL ${sql.version}`)]
    const there = installed === undefined ? 'nothing that runs' : `PostgreSQL ${installed}`
    return [
      say.warn({
        found: `it runs PostgreSQL ${sql.version}; in ${path} is ${there} now`,
        cause: 'a package update replaced the program after the server was started',
        remedy: `Run: backstay restart ${name}; or all in turn: backstay restart --rolling`,
      }),
    ]
  })
