/**
 * A site whose defaults for sessions stand against everything Backstay does: the cluster is built, looked at, backed up and
 * switched over all the same.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { checkCluster } from '../../../src/report/check.ts'
import { switchOver } from '../../../src/failover/switchover.ts'
import { clusterStatus } from '../../../src/report/status.ts'
import { bringUp } from '../../../src/build/up.ts'
import { verifyCluster } from '../../../src/build/verify.ts'
import { chooseServer } from '../../../src/wal/choose-server.ts'
import { ReplicationConnection } from '../../../src/wire/replication-connection.ts'
import { matrixMajors } from '../../harness/binaries.ts'
import { isInOrder, Vault } from '../roles/support.ts'
import { type House, makeHouse } from './house.ts'

/** As the operator's own parameters, so that standbys get them with their first start. */
const DEFAULTS = {
  default_transaction_isolation: 'serializable',
  default_transaction_read_only: 'on',
  default_transaction_deferrable: 'on',
  search_path: 'shop, public',
  datestyle: 'SQL, DMY',
  intervalstyle: 'sql_standard',
  timezone: 'Asia/Kathmandu',
  standard_conforming_strings: 'off',
  escape_string_warning: 'off',
  client_encoding: 'LATIN1',
  bytea_output: 'escape',
  extra_float_digits: '-15',
  array_nulls: 'off',
  statement_timeout: '900',
  lock_timeout: '50',
  idle_in_transaction_session_timeout: '50',
}

function parametersOf(major: number): Readonly<Record<string, string>> {
  return {
    ...DEFAULTS,
    ...(major >= 14 ? { idle_session_timeout: '150' } : {}),
    ...(major >= 17 ? { transaction_timeout: '900' } : {}),
  }
}

/** Functions that would win over PostgreSQL's own by their argument types, and a role that is not its owner's any more. */
const TRAPS = [
  'SET default_transaction_read_only = off; CREATE SCHEMA shop',
  'CREATE ROLE nobody_at_all',
  `CREATE FUNCTION shop.current_setting(name) RETURNS text LANGUAGE sql AS $$ SELECT 'trapped'::text $$`,
  `CREATE FUNCTION shop.pg_wal_lsn_diff(pg_lsn, text) RETURNS numeric LANGUAGE sql AS $$ SELECT -1::numeric $$`,
  'CREATE TABLE shop.pg_settings AS SELECT 1 AS nothing',
  'ALTER ROLE postgres SET role = nobody_at_all',
  "ALTER ROLE postgres SET default_tablespace = 'no_such_tablespace'",
  "ALTER ROLE postgres SET search_path = 'shop', 'pg_catalog'",
  'ALTER ROLE postgres SET default_transaction_read_only = on',
  "ALTER ROLE postgres SET statement_timeout = '800ms'",
  "ALTER DATABASE postgres SET default_transaction_isolation = 'serializable'",
]

async function setTraps(house: House): Promise<void> {
  for (const statement of TRAPS) await house.query('db1', statement)
}

for (const major of matrixMajors()) {
  describe(`PostgreSQL ${major} with hostile defaults`, () => {
    test('a cluster is built, checked, received from and switched over', async () => {
      await using house = await makeHouse({ major, parameters: parametersOf(major) })
      await bringUp(house.context())
      await setTraps(house)
      await isInOrder(house, 'db1')
      const status = await clusterStatus(house.context())
      assert.deepEqual(
        status.servers.map(({ state }) => state),
        ['running', 'streaming'],
      )
      const findings = await checkCluster(house.context())
      assert.deepEqual(
        findings.filter(({ status: verdict }) => verdict === 'fail'),
        [],
      )
      await using _vault = await Vault.open(house)
      await switchOver(house.context())
      assert.ok((await verifyCluster(house.context())).isProved)
      await isInOrder(house, 'db2')
    })

    test('the primary is told from the standby over the replication protocol, which survives a pause', async () => {
      await using house = await makeHouse({ major, parameters: parametersOf(major) })
      await bringUp(house.context())
      const { wanted } = house
      const servers = wanted.servers.toReversed().map((server) => ({
        host: server.address,
        port: server.port,
        user: wanted.replication.role,
        passfile: house.context().state.passfile,
      }))
      await using chosen = await chooseServer(servers, AbortSignal.timeout(20_000))
      assert.equal(chosen.options.port, wanted.servers[0]?.port)
      await using connection = await ReplicationConnection.connect(chosen.options)
      const { systemIdentifier } = await connection.identifySystem()
      // Longer than idle_session_timeout: this is what is tested.
      await delay(400)
      assert.equal((await connection.identifySystem()).systemIdentifier, systemIdentifier)
    })
  })
}
