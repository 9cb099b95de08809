/**
 * Whether a directory of this machine is the data directory of the server at the other end of a
 * connection. The same path on another machine, or that of a server that runs no more, is not.
 */
import { stat } from 'node:fs/promises'
import { BackstayError } from '../../errors/backstay-error.ts'
import type { SqlClient } from '../../wire/sql-client.ts'
import type { ControlFile } from '../../postgres/control-file.ts'

/**
 * Each process of a server has its data directory as its working directory; of another machine's
 * there is no process of that number here that has.
 * @throws {BackstayError} POSTGRES_IDENTITY when it is not, or cannot be seen to be
 */
export async function requireSameDirectory(
  sql: SqlClient,
  directory: string,
  { systemIdentifier }: Pick<ControlFile, 'systemIdentifier'>,
): Promise<void> {
  const found = await sql.one<{ pid: number; systemIdentifier: string }>(
    'SELECT pg_backend_pid() AS pid, system_identifier::text AS "systemIdentifier" FROM pg_control_system()',
  )
  if (found.systemIdentifier !== systemIdentifier) {
    throw isNot(
      directory,
      `it is of cluster ${systemIdentifier}, the server of ${found.systemIdentifier}`,
    )
  }
  const [own, servers] = await Promise.all([
    stat(directory),
    stat(`/proc/${found.pid}/cwd`).catch(() => undefined),
  ])
  if (servers?.dev === own.dev && servers.ino === own.ino) return
  throw isNot(directory, `no process ${found.pid} that works in it is seen on this machine`)
}

function isNot(directory: string, why: string): BackstayError {
  return new BackstayError(
    'POSTGRES_IDENTITY',
    `Cannot read the files in ${directory} as those of the server: ${why}`,
    { hint: 'Take the backup by the stream (read: stream), or on the server’s own machine.' },
  )
}
