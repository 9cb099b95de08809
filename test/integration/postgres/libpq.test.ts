/**
 * Connection strings and password files as we write them, read by libpq itself (psql of Debian's PostgreSQL 15).
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { formatConninfo } from '../../../src/postgres/conninfo.ts'
import { lookupPassword, upsertPassfileLine } from '../../../src/postgres/passfile.ts'
import {
  debianBinaries,
  startPostgres,
  temporaryDirectory,
  type TestServer,
} from '../../harness/postgres.ts'

const tools = debianBinaries()
const skip = tools === undefined && 'Debian’s PostgreSQL 15 is not installed'

/** Names and passwords with everything that has a meaning somewhere. */
const ODD = [String.raw`it's \a:b* "c" =`, String.raw`\\''::`, '*', '#x', 'grün  ', "'"]

interface Login {
  readonly user: string
  readonly database: string
}

async function makeRoles(server: TestServer): Promise<Login[]> {
  const logins = ODD.map((user) => ({ user, database: user }))
  for (const name of ODD) {
    const identifier = `"${name.replaceAll('"', '""')}"`
    const literal = `E'${name.replace(/[\\']/g, String.raw`\$&`)}'`
    await server.query(`CREATE ROLE ${identifier} LOGIN PASSWORD ${literal}`)
    await server.query(`CREATE DATABASE ${identifier}`)
  }
  return logins
}

function psql(conninfo: string, environment: Readonly<Record<string, string>> = {}): string {
  const sql = "SELECT current_user || ' in ' || current_database()"
  const { stdout, stderr } = spawnSync(
    join(tools ?? '', 'psql'),
    ['-X', '-w', '-A', '-t', '-c', sql, conninfo],
    { encoding: 'utf8', env: { LC_ALL: 'C.UTF-8', PGCLIENTENCODING: 'UTF8', ...environment } },
  )
  return stdout.replace(/\n$/, '') || stderr
}

suite('libpq', { skip }, () => {
  test('reads the connection strings we write', async () => {
    await using server = await startPostgres({ major: 15 })
    for (const { user, database } of await makeRoles(server)) {
      const { host, port } = server
      const conninfo = formatConninfo({ host, port, user, dbname: database, password: user })
      assert.equal(psql(conninfo), `${user} in ${database}`)
    }
  })

  test('finds the passwords we put into a password file, and so do we', async () => {
    await using server = await startPostgres({ major: 15 })
    await using place = temporaryDirectory()
    const passfile = join(place.path, 'pass')
    const { host, port } = server
    let text = `# kept\n${host}:${port}:*:*:wrong\n`
    const logins = await makeRoles(server)
    for (const { user, database } of logins) {
      text = upsertPassfileLine(text, { host, port, user, database, password: user })
    }
    writeFileSync(passfile, text, { mode: 0o600 })
    for (const { user, database } of logins) {
      const conninfo = formatConninfo({ host, port, user, dbname: database, passfile })
      assert.equal(psql(conninfo), `${user} in ${database}`)
      assert.equal(lookupPassword(text, { host, port, user, database }), user)
    }
  })

  test('looks up "localhost" for its default socket directory only, as we do', async () => {
    await using place = temporaryDirectory()
    await using server = await startPostgres({ major: 15, hba: ['local all all scram-sha-256'] })
    const { port, socketDirectory: host, password } = server
    const passfile = join(place.path, 'pass')
    for (const [line, works] of [
      [`localhost:${port}:*:*:${password}`, false],
      [`${host.replaceAll(':', String.raw`\:`)}:${port}:*:*:${password}`, true],
    ] as const) {
      writeFileSync(passfile, `${line}\n`, { mode: 0o600 })
      const wanted = { host, port, user: 'postgres', database: 'postgres' }
      const conninfo = formatConninfo({
        host,
        port,
        user: 'postgres',
        dbname: 'postgres',
        passfile,
      })
      assert.equal(psql(conninfo) === 'postgres in postgres', works)
      assert.equal(lookupPassword(line, wanted), works ? password : undefined)
    }
  })
})
