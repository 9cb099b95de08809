/**
 * A cluster whose file says how its connections are encrypted: everything that connects does so, and checks whom it talks to.
 */
import assert from 'node:assert/strict'
import { chmodSync, chownSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { checkCluster } from '../../../src/report/check.ts'
import type { ClusterWanted, SslWanted } from '../../../src/cluster/wanted.ts'
import { bringUp, planCluster } from '../../../src/build/up.ts'
import { roleConnections } from '../../../src/cli/session/wal-place.ts'
import { parseConninfo } from '../../../src/postgres/conninfo.ts'
import { SqlClient } from '../../../src/wire/sql-client.ts'
import { matrixMajors, temporaryDirectory } from '../../harness/postgres.ts'
import { isRoot, unprivilegedUser } from '../../harness/unprivileged-user.ts'
import { makeCertificates, type TestCertificates } from '../wire/certificates.ts'
import { makeHouse } from './house.ts'

const ROLE = 'backstay_replication'

/** The files as PostgreSQL wants them, and every OS user can reach them. */
function certificatesFor(directory: string): TestCertificates {
  const made = makeCertificates(directory)
  chmodSync(directory, 0o755)
  for (const key of [made.serverKey, made.clientKey]) {
    chmodSync(key, 0o600)
    if (isRoot) chownSync(key, unprivilegedUser.uid, unprivilegedUser.gid)
  }
  return made
}

const ssl = (mode: SslWanted['mode'], rootCert?: string): SslWanted => ({
  mode,
  rootCert,
  cert: undefined,
  key: undefined,
})

for (const major of matrixMajors()) {
  test(`PostgreSQL ${major}: what the file says of encryption holds for all that connect`, async (t) => {
    await using files = temporaryDirectory()
    const made = certificatesFor(files.path)
    const parameters = {
      ssl: 'on',
      ssl_cert_file: made.serverCertificate,
      ssl_key_file: made.serverKey,
    }
    await using house = await makeHouse({ major, parameters })
    const wish = (how: SslWanted | undefined): ClusterWanted => ({
      ...house.wanted,
      ...(how === undefined ? {} : { ssl: how }),
      servers: house.wanted.servers.map((server) => ({ ...server, address: 'localhost' })),
    })
    const verified = wish(ssl('verify-full', made.authority))
    const conninfo = async () => {
      const [row] = await house.query('db2', 'SELECT conninfo FROM pg_stat_wal_receiver')
      return parseConninfo(String(row?.['conninfo']))
    }
    const senders = async () =>
      house.query('db1', 'SELECT ssl FROM pg_stat_replication JOIN pg_stat_ssl USING (pid)')

    await t.test('verify-full: standbys follow over TLS that they check', async () => {
      await bringUp(house.context({ wanted: verified }))
      assert.deepEqual(await senders(), [{ ssl: true }])
      const found = await conninfo()
      assert.equal(found['sslmode'], 'verify-full')
      assert.equal(found['sslrootcert'], made.authority)
      const findings = await checkCluster(house.context({ wanted: verified }))
      const logins = findings.filter(({ check }) => check.includes('login'))
      assert.ok(logins.length > 0, findings.map(({ check }) => check).join())
      assert.deepEqual([...new Set(logins.map(({ status }) => status))], ['ok'])
    })

    await t.test('the backup server talks to a server of that authority only', async () => {
      await using other = temporaryDirectory()
      const strange = wish(ssl('verify-full', makeCertificates(other.path).authority))
      const passfile = join(house.wanted.stateDirectory, 'passwords')
      const connections = (wanted: ClusterWanted) =>
        roleConnections(wanted, ROLE).map((connection) => ({ ...connection, passfile }))
      for (const connection of connections(verified)) {
        await using sql = await SqlClient.connect(connection)
        const row = await sql.one('SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()')
        assert.equal(row['ssl'], true)
      }
      for (const connection of connections(strange)) {
        await assert.rejects(SqlClient.connect(connection), { code: 'POSTGRES_TLS' })
      }
    })

    await t.test('a change of it is planned and shown, and taken', async () => {
      const bound = wish(ssl('require'))
      const { plan } = await planCluster(house.context({ wanted: bound }))
      const text = JSON.stringify(plan)
      assert.match(text, /sslmode=require/)
      await bringUp(house.context({ wanted: bound }))
      const found = await conninfo()
      assert.equal(found['sslmode'], 'require')
      if (major >= 13) assert.equal(found['channel_binding'], 'require')
      if (major >= 16) assert.equal(found['require_auth'], 'scram-sha-256')
      assert.deepEqual(await senders(), [{ ssl: true }])
    })
  })
}
