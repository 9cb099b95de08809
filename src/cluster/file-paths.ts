/**
 * Where the configuration files lie that Backstay writes for a server.
 */
import { posix } from 'node:path'
import { MANAGED_CONF_NAME } from '../postgres/managed-conf.ts'
import { versionFacts } from '../postgres/version.ts'
import { STANDBY_CONF_NAME } from './names.ts'
import type { ClusterWanted, ServerWanted } from './wanted.ts'

/** Where backstay.conf lies: beside the postgresql.conf at `mainPath`. */
export function managedConfPath(mainPath: string): string {
  return posix.join(posix.dirname(mainPath), MANAGED_CONF_NAME)
}

/**
 * Where the file lies that makes a server follow the primary. Up to 11 it is in the data directory,
 * from 12 on beside postgresql.conf.
 */
export function standbyFilePath(
  wanted: ClusterWanted,
  server: ServerWanted,
  mainPath: string,
): string {
  return versionFacts(wanted.postgres.version).recoveryConf
    ? posix.join(server.directory, 'recovery.conf')
    : posix.join(posix.dirname(mainPath), STANDBY_CONF_NAME)
}

/**
 * The empty file that makes a server start as a standby (12+); undefined where recovery.conf does
 * it.
 */
export function signalFilePath(wanted: ClusterWanted, server: ServerWanted): string | undefined {
  return versionFacts(wanted.postgres.version).recoveryConf
    ? undefined
    : posix.join(server.directory, 'standby.signal')
}
