/**
 * The lines of a check about the PostgreSQL server: reachable, privileges, settings, slot. Pure.
 */
import type { BarmanServer } from '../../config/barman/model.ts'
import { isSupportedMajor } from '../../postgres/version.ts'
import type { ServerLook, SqlFacts } from '../server/look-server.ts'
import { type CheckLine, failed, judge, ok } from './strategy.ts'

const PRIVILEGES = 'superuser or standard user with backup privileges'

/** From `PostgreSQL` to `replication slot`. */
export function connectionLines(server: BarmanServer, look: ServerLook): CheckLine[] {
  const { sql, sqlError, stream, streamError } = look
  return [
    sql === undefined ? failed('PostgreSQL', sqlError ?? '') : ok('PostgreSQL'),
    ...(sql === undefined ? [] : [privilegeLine(sql)]),
    ...(stream === undefined && streamError === undefined
      ? []
      : [judge('PostgreSQL streaming', stream !== undefined, streamError)]),
    ...(sql === undefined ? [] : [walLevelLine(sql)]),
    ...(sql === undefined || server.slotName === undefined
      ? []
      : slotLines(server, server.slotName, sql)),
  ]
}

function privilegeLine(sql: SqlFacts): CheckLine {
  if (sql.hasBackupPrivileges) return ok(PRIVILEGES)
  return failed(
    'no access to backup functions',
    'privileges for PostgreSQL backup functions are required (see documentation)',
  )
}

function walLevelLine({ settings }: SqlFacts): CheckLine {
  const isEnough = settings.get('wal_level') !== 'minimal'
  return judge('wal_level', isEnough, "please set it to a higher level than 'minimal'")
}

function slotLines(server: BarmanServer, slotName: string, { slot }: SqlFacts): CheckLine[] {
  const line = 'replication slot'
  if (!server.streamingArchiver) {
    if (slot === undefined) return []
    const state = slot.active ? 'active' : 'initialised'
    return [
      ok(line, `WARNING: slot '${slotName}' is ${state} but not required by the current config`),
    ]
  }
  if (slot === undefined) {
    return [
      failed(
        line,
        `replication slot '${slotName}' doesn't exist. Please execute 'barman receive-wal --create-slot ${server.name}'`,
      ),
    ]
  }
  if (slot.restartLsn === null) {
    return [failed(line, `slot '${slotName}' not initialised: is 'receive-wal' running?`)]
  }
  return [judge(line, slot.active, `slot '${slotName}' not active: is 'receive-wal' running?`)]
}

/** What Barman says of the programs it runs is said here of the parts that stand in their place. */
export function programLines(look: ServerLook): CheckLine[] {
  const isCompatible = isCompatibleWith(look)
  const isKnown = look.sql !== undefined || look.stream !== undefined
  const version = `PostgreSQL version: ${look.sql?.serverVersion ?? 'Unknown'}`
  return [
    ok('pg_basebackup'),
    judge('pg_basebackup compatible', isCompatible, version),
    ...(isKnown ? [ok('pg_basebackup supports tablespaces mapping')] : []),
  ]
}

/** Only when something is wrong with the configuration. */
export function configurationLines({ problems }: BarmanServer): CheckLine[] {
  return problems.length === 0 ? [] : [{ ...failed('configuration'), more: problems }]
}

/** The receiver's, from `pg_receivexlog` on. */
export function receiverLines(look: ServerLook, isReceiving: boolean): CheckLine[] {
  const version = `PostgreSQL version: ${look.sql?.serverVersion ?? 'Unknown'}`
  return [
    ok('pg_receivexlog'),
    judge('pg_receivexlog compatible', isCompatibleWith(look), version),
    judge('receive-wal running', isReceiving, 'See the Barman log file for more details'),
  ]
}

function isCompatibleWith({ sql, stream }: ServerLook): boolean {
  const major = sql?.major ?? stream?.major
  return major !== undefined && isSupportedMajor(major)
}

/**
 * Whether both ways, and the repository, lead to one cluster. `stored`: what the repository says.
 */
export function coherenceLine(look: ServerLook, stored: string | undefined): CheckLine {
  const name = 'systemid coherence'
  const overSql = look.sql?.systemIdentifier
  const overStream = look.stream?.systemIdentifier
  const known = overStream ?? overSql
  if (overSql !== undefined && overStream !== undefined && overSql !== overStream) {
    return failed(
      name,
      'is the streaming DSN targeting the same server of the PostgreSQL connection string?',
    )
  }
  if (known === undefined) return ok(name, 'no system Id available')
  if (stored === undefined) return ok(name, 'no system Id stored on disk')
  return judge(
    name,
    stored === known,
    `the system Id of the connected PostgreSQL server changed, stored in "the repository": ${stored}`,
  )
}

/** archive_mode, archive_command and what the archiver did last. */
export function archivingLines({ sql }: ServerLook): CheckLine[] {
  if (sql === undefined) return []
  const { settings, archiver } = sql
  const isOn = ['on', 'always'].includes(settings.get('archive_mode') ?? '')
  const command = settings.get('archive_command') ?? ''
  const isSet = isOn && command !== '' && command !== '(disabled)'
  return [
    judge('archive_mode', isOn, "please set it to 'on' or 'always'"),
    judge('archive_command', isSet, 'please set it accordingly to documentation'),
    ...(archiver === undefined ? [] : [judge('continuous archiving', archiver.is_archiving)]),
  ]
}
