/**
 * A role that may create a schema in the database "postgres" makes what `verify` writes to first: nothing of it runs as superuser.
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { type Sighting, sendCanary } from '../../../src/build/canary.ts'
import { bringUp } from '../../../src/build/up.ts'
import type { ServerWanted } from '../../../src/cluster/wanted.ts'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'
import { withSql } from '../../../src/wire/sql-client.ts'
import { matrixMajors } from '../../harness/binaries.ts'
import { until } from '../../harness/until.ts'
import { type House, makeHouse } from './house.ts'

const TABLE =
  'CREATE TABLE backstay.canary (token uuid PRIMARY KEY, written_at timestamptz NOT NULL DEFAULT now())'
/** Does what only a superuser may, whatever it is called as. */
const EVIL = `
CREATE SCHEMA backstay;
CREATE FUNCTION backstay.rise() RETURNS uuid LANGUAGE plpgsql AS
  $$ BEGIN ALTER ROLE app SUPERUSER; RETURN '00000000-0000-0000-0000-000000000000'; END $$;
CREATE FUNCTION backstay.fire() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN ALTER ROLE app SUPERUSER; RETURN NEW; END $$`
const TRIGGER =
  'CREATE TRIGGER t BEFORE INSERT ON backstay.canary FOR EACH ROW EXECUTE PROCEDURE backstay.fire()'
const VIEW = 'CREATE VIEW backstay.canary AS SELECT backstay.rise() AS token, now() AS written_at'

async function asApp(house: House, statements: string): Promise<void> {
  const { address: host, port } = house.wanted.servers[0] as ServerWanted
  const passfile = `${house.path}/app.pgpass`
  writeFileSync(passfile, '*:*:*:app:app\n', { mode: 0o600 })
  await withSql({ host, port, user: 'app', passfile }, async (sql) => sql.query(statements))
}

async function send(house: House, timeoutMs = 30_000): Promise<Sighting | undefined> {
  const canary = { primary: 'db1', standbys: ['db2'], token: randomUUID(), timeoutMs }
  return (await sendCanary(house.context(), canary)).get('db2')
}

async function isRefused(house: House, why: RegExp): Promise<void> {
  await assert.rejects(
    send(house),
    (error) => isBackstayError(error, 'NOT_READY') && why.test(error.message),
  )
  const [app] = await house.query('db1', "SELECT rolsuper FROM pg_roles WHERE rolname = 'app'")
  assert.equal(app?.['rolsuper'], false, 'app is a superuser now')
}

for (const major of matrixMajors()) {
  describe(`PostgreSQL ${major} with somebody else's canary`, () => {
    test('is refused, and on a standby that is behind too; ours is written', async () => {
      const access = ['host all app 127.0.0.1/32 scram-sha-256']
      await using house = await makeHouse({ major, backup: false, access })
      await bringUp(house.context())
      await house.query('db1', "CREATE ROLE app LOGIN PASSWORD 'app'")
      await house.query('db1', 'GRANT CREATE ON DATABASE postgres TO app')
      const clear = async (): Promise<void> =>
        void (await house.query('db1', 'DROP SCHEMA IF EXISTS backstay CASCADE'))

      await asApp(house, `${EVIL}; ${TABLE}; ${TRIGGER}`)
      await isRefused(house, /its schema belongs to role "app"/)
      await clear()

      await asApp(house, EVIL)
      await isRefused(house, /its schema belongs to role "app"/)
      await clear()

      await asApp(house, `${EVIL}; ${TABLE}; ${TRIGGER}`)
      await house.query('db1', 'ALTER SCHEMA backstay OWNER TO postgres')
      await isRefused(house, /it belongs to role "app"/)
      await house.query('db1', 'ALTER TABLE backstay.canary OWNER TO postgres')
      await isRefused(house, /it has a trigger/)
      await house.query('db1', 'DROP TRIGGER t ON backstay.canary')
      const added = 'ALTER TABLE backstay.canary'
      await house.query('db1', `${added} ADD COLUMN more uuid DEFAULT backstay.rise()`)
      await isRefused(house, /it has a default/)
      await house.query('db1', `${added} ALTER COLUMN more DROP DEFAULT`)
      await isRefused(house, /it has other columns/)
      await house.query('db1', `${added} DROP COLUMN more, ADD CHECK (backstay.rise() <> token)`)
      await isRefused(house, /it has a constraint/)
      await clear()
      assert.equal((await send(house))?.reason, undefined)
      assert.equal((await send(house))?.reason, undefined)
      await clear()

      // What a standby shows may be older than what the primary was found to have.
      await asApp(house, `${EVIL}; ${VIEW}`)
      await isRefused(house, /its schema belongs to role "app"/)
      await until('the standby shows the view', async () => {
        const [row] = await house.query(
          'db2',
          "SELECT 1 FROM pg_class WHERE relname = 'canary' AND relkind = 'v'",
        )
        return row !== undefined
      })
      await house.query('db2', 'SELECT pg_wal_replay_pause()')
      await clear()
      assert.match((await send(house, 2000))?.reason ?? '', /its schema belongs to role "app"/)
      await house.query('db2', 'SELECT pg_wal_replay_resume()')
      assert.equal((await send(house))?.reason, undefined)
    })
  })
}
