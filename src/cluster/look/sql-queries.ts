/**
 * The questions a look asks a server, per major version. Reads only; all of them need a superuser,
 * which Backstay is.
 */

/** Who the server is and where it is in the WAL. */
export const IDENTITY_QUERY = `
SELECT current_setting('server_version_num')::int AS "versionNumber",
       current_setting('server_version') AS version,
       (SELECT system_identifier::text FROM pg_control_system()) AS "systemIdentifier",
       pg_is_in_recovery() AS "inRecovery",
       CASE WHEN pg_is_in_recovery()
            THEN coalesce((SELECT received_tli FROM pg_stat_wal_receiver WHERE received_tli > 0),
                          (SELECT timeline_id FROM pg_control_checkpoint()))
            ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int
       END AS timeline,
       CASE WHEN NOT pg_is_in_recovery() THEN pg_current_wal_lsn() END AS current,
       pg_last_wal_receive_lsn() AS received,
       pg_last_wal_replay_lsn() AS replayed,
       CASE WHEN pg_is_in_recovery() THEN pg_is_wal_replay_paused() ELSE false END AS "isReplayPaused",
       extract(epoch FROM pg_last_xact_replay_timestamp())::float8 * 1000 AS "replayedCommitAtMs",
       extract(epoch FROM clock_timestamp())::float8 * 1000 AS "answeredAtMs",
       extract(epoch FROM pg_postmaster_start_time())::float8 * 1000 AS "startedAtMs",
       extract(epoch FROM pg_conf_load_time())::float8 * 1000 AS "configLoadedAtMs",
       (SELECT coalesce(sum(confl_tablespace + confl_lock + confl_snapshot + confl_bufferpin + confl_deadlock), 0)::int8
          FROM pg_stat_database_conflicts) AS conflicts,
       (SELECT count(*) FROM pg_stat_activity
         WHERE wait_event = 'SyncRep' AND state_change < now() - interval '5 s') AS "syncWaiters",
       (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS connections`

/**
 * Whose commits do not wait until a standby has them on disk: the server's default (empty text),
 * roles, databases. What remote_write waits for is in the memory of the standby's machine. Files
 * spell names as they like. Our own session says nothing about it but for what the server was
 * started with.
 */
export const ASYNCHRONOUS_QUERY = `
SELECT '' AS who FROM (SELECT setting FROM pg_file_settings WHERE lower(name) = 'synchronous_commit' AND applied ORDER BY seqno DESC LIMIT 1) AS f
 WHERE f.setting ~* '^(of|off|f|fa|fal|fals|false|n|no|0|local|remote_write)$'
UNION
SELECT '' FROM pg_settings
 WHERE name = 'synchronous_commit' AND source = 'command line' AND reset_val IN ('off', 'local', 'remote_write')
UNION ALL
SELECT concat_ws(' in ', 'role "' || r.rolname || '"', 'database "' || d.datname || '"')
  FROM pg_db_role_setting s CROSS JOIN unnest(s.setconfig) AS c
  LEFT JOIN pg_roles r ON r.oid = s.setrole LEFT JOIN pg_database d ON d.oid = s.setdatabase
 WHERE c ~* '^synchronous_commit=(of|off|f|fa|fal|fals|false|n|no|0|local|remote_write)$'`

/** All settings as they are in force. */
export const SETTINGS_QUERY = `
SELECT name, setting AS value, unit, vartype, context, source, pending_restart AS "isPendingRestart"
  FROM pg_settings`

/** Without a file it is a line that was taken away and waits for a restart. */
export const FILE_ERRORS_QUERY = `
SELECT sourcefile AS file, sourceline AS line, coalesce(name, '') AS name, error
  FROM pg_file_settings WHERE error IS NOT NULL AND sourcefile IS NOT NULL`

/** Included files came in 16. */
export function hbaErrorsQuery(major: number): string {
  const file = major >= 16 ? 'file_name' : "current_setting('hba_file')"
  return `
SELECT ${file} AS file, line_number AS line, error FROM pg_hba_file_rules WHERE error IS NOT NULL`
}

/** $1: names of roles, $2: signatures of functions in pg_catalog. */
export const ROLES_QUERY = `
SELECT r.rolname AS name, r.rolsuper AS "isSuperuser", r.rolcanlogin AS "canLogin",
       r.rolreplication AS "canReplicate", r.rolconnlimit AS "connectionLimit",
       coalesce(r.rolvaliduntil < now(), false) AS "isExpired", r.rolpassword AS verifier,
       ARRAY(SELECT g.rolname::text FROM pg_auth_members m JOIN pg_authid g ON g.oid = m.roleid
              WHERE m.member = r.oid) AS "memberOf",
       ARRAY(SELECT f FROM unnest($2::text[]) AS f
              WHERE to_regprocedure('pg_catalog.' || f) IS NOT NULL
                AND has_function_privilege(r.oid, to_regprocedure('pg_catalog.' || f), 'EXECUTE')) AS "mayExecute"
  FROM pg_authid r WHERE r.rolname = ANY ($1::text[])`

/** `wal_status` and `safe_wal_size` came in 13. */
export function slotsQuery(major: number): string {
  const columns =
    major >= 13
      ? 'wal_status AS "walStatus", safe_wal_size AS "safeBytes"'
      : 'NULL AS "walStatus", NULL AS "safeBytes"'
  return `
SELECT slot_name AS name, slot_type = 'physical' AS "isPhysical", temporary AS "isTemporary", active AS "isActive",
       restart_lsn AS "restartLsn",
       pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END,
                       restart_lsn)::int8 AS "retainedBytes",
       ${columns}, ${major >= 17 ? 'invalidation_reason' : 'NULL'} AS "invalidationReason"
  FROM pg_replication_slots`
}

/** Who receives WAL from it: standbys, receivers, base backups. */
export const SENDERS_QUERY = `
SELECT pid, usename AS "user", coalesce(application_name, '') AS "applicationName", host(client_addr) AS "clientAddress",
       state, sync_state AS "syncState", sent_lsn AS "sentLsn", flush_lsn AS "flushLsn", replay_lsn AS "replayLsn",
       extract(epoch FROM replay_lag)::float8 * 1000 AS "replayLagMs",
       CASE WHEN pg_is_in_recovery() THEN false ELSE coalesce(replay_lsn > pg_current_wal_flush_lsn(), false) END AS "isAhead"
  FROM pg_stat_replication`

/** A standby's own walreceiver; no row while it has none. */
export const RECEIVER_QUERY = `
SELECT status, received_tli AS timeline, slot_name AS slot, sender_host AS "senderHost", sender_port AS "senderPort",
       extract(epoch FROM clock_timestamp() - last_msg_receipt_time)::float8 * 1000 AS "lastMessageAgeMs"
  FROM pg_stat_wal_receiver`

/** How archiving goes, and how many segments wait for it. */
export const ARCHIVER_QUERY = `
SELECT archived_count AS "archivedCount", last_archived_wal AS "lastArchivedSegment",
       extract(epoch FROM last_archived_time)::float8 * 1000 AS "lastArchivedAtMs",
       failed_count AS "failedCount", last_failed_wal AS "lastFailedSegment",
       extract(epoch FROM last_failed_time)::float8 * 1000 AS "lastFailedAtMs",
       (SELECT count(*) FROM pg_ls_dir('pg_wal/archive_status', true, false) AS f WHERE f LIKE '%.ready') AS "readyCount"
  FROM pg_stat_archiver`

/** Tablespaces outside the data directory. */
export const TABLESPACES_QUERY = `
SELECT oid::int8 AS oid, spcname AS name, pg_tablespace_location(oid) AS location
  FROM pg_tablespace WHERE pg_tablespace_location(oid) LIKE '/%'`

/**
 * What a clone has to copy, in and outside the data directory; walks all files. `location` is ''
 * for the directory.
 */
export const SIZES_QUERY = `
SELECT coalesce(nullif(pg_tablespace_location(oid), ''), '') AS location, sum(pg_tablespace_size(oid))::int8 AS bytes
  FROM pg_tablespace GROUP BY 1`
