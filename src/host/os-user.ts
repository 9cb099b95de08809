/**
 * Which OS user runs PostgreSQL on a host: it refuses root, so root needs somebody else.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import type { Host } from './host.ts'

/** How the user is chosen when the driver works as root. */
export interface OsUserWanted {
  /** From the cluster file; `postgres` by default there. */
  readonly configured: string
  /**
   * Taken when the configured user does not exist: only for data that may be lost (the demo),
   * because `nobody` is everybody's.
   */
  readonly fallback?: 'nobody'
  /**
   * Whether the configured user is taken even when he does not exist: installing PostgreSQL makes
   * him.
   */
  readonly mayBeMissing?: boolean
}

/**
 * The name of the user who owns the data directory and runs PostgreSQL: the driver's own user,
 * unless that is root.
 * @throws HOST_PRIVILEGE when root must be somebody who does not exist, with the command that makes
 * him.
 */
export async function decideOsUser(host: Host, wanted: OsUserWanted): Promise<string> {
  if (host.user !== 'root') return host.user
  const { configured, fallback } = wanted
  if (configured === 'root') throw rootRefused(host)
  if (wanted.mayBeMissing === true || (await userExists(host, configured))) return configured
  if (fallback !== undefined && (await userExists(host, fallback))) return fallback
  throw new BackstayError(
    'HOST_PRIVILEGE',
    `PostgreSQL on "${host.name}" is to run as OS user "${configured}", who does not exist`,
    {
      hint: `Make him: useradd --system --home-dir /var/lib/${configured} --shell /bin/bash ${configured}; or name another one in postgres.osUser.`,
      details: { host: host.name, user: configured },
    },
  )
}

/** Whether the machine knows an OS user of that name. */
export async function userExists(host: Host, user: string): Promise<boolean> {
  return (await host.run(['id', '-u', '--', user])).exitCode === 0
}

function rootRefused(host: Host): BackstayError {
  return new BackstayError(
    'HOST_PRIVILEGE',
    `PostgreSQL on "${host.name}" cannot run as root: PostgreSQL refuses it`,
    { hint: 'Name another user in postgres.osUser.', details: { host: host.name, user: 'root' } },
  )
}
