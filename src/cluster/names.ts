/**
 * Names that Backstay gives to what it makes: files, slots, schema. One place, because a name is
 * how we know what is ours.
 */
import { posix } from 'node:path'

/**
 * Settings that make a server follow the primary (12+); included from backstay.conf, without
 * meaning on a primary.
 */
export const STANDBY_CONF_NAME = 'backstay-standby.conf'

/**
 * In a data directory while a clone fills it. With no `global/pg_control` beside it the clone did
 * not finish.
 */
export const CLONE_MARK_NAME = 'backstay-clone.json'

/** Schema of the canary table, in database `postgres`. */
export const SCHEMA_NAME = 'backstay'

const SLOT_PREFIX = 'backstay_'
const SLOT_NAME_MAX = 63

/**
 * The physical slot a standby streams from: `backstay_db2`. Slot names know only lower-case
 * letters, digits and `_`.
 */
export function slotNameOf(server: string): string {
  const name = server.toLowerCase().replaceAll(/[^a-z0-9_]/g, '_')
  return `${SLOT_PREFIX}${name}`.slice(0, SLOT_NAME_MAX)
}

/** Whether a slot has a name that only Backstay gives. */
export function isOurSlotName(name: string): boolean {
  return name.startsWith(SLOT_PREFIX)
}

/**
 * The password file a server's walreceiver reads. It lies beside the data directory, not in it, so
 * that no base backup carries a password.
 */
export function passfilePathOf(dataDirectory: string): string {
  return `${dataDirectory}.pgpass`
}

/**
 * What a server prints before its own log is open; beside the data directory, appended to on every
 * start.
 */
export function startLogPathOf(dataDirectory: string): string {
  return `${dataDirectory}.log`
}

/** The password file of the OS user who owns the repository; readers of the repository skip it. */
export function repositoryPassfileOf(repository: string): string {
  return posix.join(repository, '.pgpass')
}
