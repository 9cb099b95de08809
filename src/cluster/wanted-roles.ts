/**
 * The roles Backstay makes and the least each needs. The superuser is made by initdb and is not in
 * this list.
 */
import { type PostgresMajor, versionFacts } from '../postgres/version.ts'
import type { RoleFound } from './found-sql.ts'
import type { ClusterWanted } from './wanted.ts'

/** A role as it has to be. More rights than these are left alone: somebody gave them. */
export interface RoleWanted {
  readonly name: string
  /** What it is for, for people. */
  readonly purpose: string
  readonly connectionLimit: number
  readonly memberOf: readonly string[]
  /** Functions of pg_catalog it must be able to call, in database `postgres`. */
  readonly execute: readonly string[]
}

const UNLIMITED = -1

/**
 * Roles of the wish, in the order they are made. All of them can log in and replicate. Each name
 * once: a role may do two jobs.
 */
export function rolesWanted(wanted: ClusterWanted): readonly RoleWanted[] {
  const byName = new Map<string, RoleWanted>()
  for (const role of jobs(wanted)) {
    const other = byName.get(role.name)
    byName.set(role.name, other === undefined ? role : both(other, role))
  }
  return [...byName.values()]
}

function both(one: RoleWanted, other: RoleWanted): RoleWanted {
  const isLimited = one.connectionLimit !== UNLIMITED && other.connectionLimit !== UNLIMITED
  return {
    name: one.name,
    purpose: `${one.purpose}, ${other.purpose}`,
    connectionLimit: isLimited ? one.connectionLimit + other.connectionLimit : UNLIMITED,
    memberOf: [...new Set([...one.memberOf, ...other.memberOf])],
    execute: [...new Set([...one.execute, ...other.execute])],
  }
}

function jobs(wanted: ClusterWanted): readonly RoleWanted[] {
  const { replication, backup } = wanted
  const roles: RoleWanted[] = [
    {
      name: replication.role,
      purpose: 'standbys stream with it',
      connectionLimit: replication.connectionLimit,
      memberOf: [],
      execute: [],
    },
  ]
  if (backup === undefined) return roles
  roles.push(
    {
      name: backup.backupRole,
      purpose: 'takes backups',
      connectionLimit: UNLIMITED,
      memberOf: backupMemberships(wanted.postgres.version),
      execute: backupFunctions(wanted.postgres.version),
    },
    {
      name: backup.streamRole,
      purpose: 'receives WAL',
      connectionLimit: UNLIMITED,
      memberOf: [],
      execute: [],
    },
  )
  return roles
}

/** What has to change at a role, in words; empty when nothing has. */
export function roleChanges(
  role: RoleWanted,
  found: RoleFound | undefined,
  method: RoleFound['method'],
): readonly string[] {
  if (found === undefined) return [`create role "${role.name}": ${role.purpose}`]
  const changes: string[] = []
  if (!found.canLogin) changes.push('LOGIN')
  if (!found.canReplicate) changes.push('REPLICATION')
  if (found.connectionLimit !== role.connectionLimit) {
    changes.push(`CONNECTION LIMIT ${found.connectionLimit} → ${role.connectionLimit}`)
  }
  if (found.isExpired) changes.push("VALID UNTIL 'infinity'")
  if (found.password !== 'ours') changes.push('password: set to the one in the password file')
  else if (found.method !== method) changes.push(`password stored as ${found.method} → ${method}`)
  if (found.isSuperuser) return changes
  for (const group of role.memberOf) {
    if (!found.memberOf.includes(group)) changes.push(`GRANT ${group}`)
  }
  for (const signature of role.execute) {
    if (!found.mayExecute.includes(signature)) changes.push(`GRANT EXECUTE ON ${signature}`)
  }
  return changes
}

/** Every function that some role must be able to call. */
export function functionsOf(roles: readonly RoleWanted[]): readonly string[] {
  return [...new Set(roles.flatMap((role) => role.execute))]
}

function backupMemberships(major: PostgresMajor): readonly string[] {
  return major >= 15 ? ['pg_monitor', 'pg_checkpoint'] : ['pg_monitor']
}

/**
 * Source: PostgreSQL documentation, "Backup Control Functions"; names changed in 15, exclusive mode
 * went.
 */
function backupFunctions(major: PostgresMajor): readonly string[] {
  const backup = versionFacts(major).backupStartFunctions
    ? ['pg_backup_start(text,boolean)', 'pg_backup_stop(boolean)']
    : ['pg_start_backup(text,boolean,boolean)', 'pg_stop_backup(boolean,boolean)']
  return [...backup, 'pg_switch_wal()', 'pg_create_restore_point(text)']
}
