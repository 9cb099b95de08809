/**
 * What every action on a server's processes and data directory needs to know.
 */
import type { PostgresBinaries } from './binaries.ts'
import type { Host } from './host.ts'
import type { PostgresService } from './postgres-unit.ts'

/** One data directory on a host, with the programs and the OS user that go with it. */
export interface PostgresInstance {
  /** What people call the server, for messages. */
  readonly name: string
  readonly host: Host
  readonly binaries: PostgresBinaries
  /** Absolute path of the data directory. */
  readonly directory: string
  /** postgresql.conf, where it does not lie in the directory. */
  readonly configFile?: string | undefined
  /** OS user that owns the directory and runs the server (`decideOsUser`). */
  readonly user: string
  /** How systemd knows it, where that starts servers; left out, pg_ctl starts it. */
  readonly service?: PostgresService | undefined
}
