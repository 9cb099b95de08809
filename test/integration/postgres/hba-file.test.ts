/**
 * pg_hba.conf as we read it, against pg_hba_file_rules of live servers, and the rule we say decides against the login itself.
 */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { Client } from 'pg'
import { readHbaBlock, removeHbaBlock, setHbaBlock } from '../../../src/postgres/hba-block.ts'
import { type HbaEntry, parseHba } from '../../../src/postgres/hba-file.ts'
import { matchHba } from '../../harness/hba-match.ts'
import { availableMajors, startPostgres, type TestServer } from '../../harness/postgres.ts'

const MAJORS = availableMajors().filter((major) => [11, 13, 14, 16, 18].includes(major))

const LINES = [
  'local all all trust',
  'local a,b,"c d" +g,"x,y" peer map=m # comment',
  'local "all" "" md5',
  'local all all ident',
  'local all all gss',
  'host all all all scram-sha-256',
  'host all all samehost md5',
  'host replication repl samenet md5',
  'host all all db1.lan md5',
  'host all all .example.com md5',
  'host all all 10.0.0.0/8 md5',
  'host all all 10.1.2.3/32 md5',
  'host all all 10.0.0.0 255.0.0.0 md5',
  'host all all fe80::/10 md5',
  'host all all ::1/128 md5',
  'host all all 10.0.0.0/33 md5',
  'host all all 10.0.0.1 md5',
  'host all all 10.0.0.0 ffff:: md5',
  'host all all db1/24 md5',
  'host all all',
  'host all',
  'host',
  'hots all all all md5',
  'host,local all all all md5',
  'host all all all md5,trust',
  'host all all all nonsense',
  'host all all all peer',
  'host all all all cert',
  'host all all all trust novalue',
  'host "a""b" all all trust',
  'host a"b c"d all all trust',
  'host all, x all all trust',
  'host all all all trust#comment',
  'host all \\',
  ' all all trust',
  'hostnossl all all all trust',
  'hostnogssenc all all all trust',
]

interface ServerRule {
  readonly line_number: number
  readonly type: string | null
  readonly database: string[] | null
  readonly user_name: string[] | null
  readonly auth_method: string | null
  readonly error: string | null
}

for (const major of MAJORS) {
  suite(`pg_hba.conf of PostgreSQL ${major}`, () => {
    test('is read as the server reads it', async () => {
      await using server = await startPostgres({ major })
      const text = `${LINES.join('\n')}\n`
      writeFileSync(join(server.directory, 'pg_hba.conf'), text)
      const rules = (await server.query(
        'SELECT line_number, type, database, user_name, auth_method, error FROM pg_hba_file_rules ORDER BY 1',
      )) as unknown as ServerRule[]
      assert.deepEqual(parseHba(text, major).map(describe), rules.map(describeRule))
    })

    test('with our block is one the server accepts, in the place that decides', async () => {
      await using server = await startPostgres({ major, hba: ['host all all all reject'] })
      const file = join(server.directory, 'pg_hba.conf')
      const before = readFileSync(file, 'utf8')
      const rules = ['host all all 127.0.0.1/32 scram-sha-256']
      writeFileSync(file, setHbaBlock(before, rules, major))
      await server.stop()
      await server.start()
      assert.equal((await server.query('SELECT 1 AS one'))[0]?.['one'], 1)
      assert.deepEqual(readHbaBlock(readFileSync(file, 'utf8'), major), rules)
      assert.equal(removeHbaBlock(readFileSync(file, 'utf8'), major), before)
    })

    test('decides logins as we say', async () => {
      await using server = await startPostgres({ major })
      await server.query("CREATE ROLE anna LOGIN REPLICATION PASSWORD 'x'")
      await server.query('CREATE DATABASE shop')
      const text = [
        'host shop anna 127.0.0.0 255.255.255.0 trust',
        'host all postgres 127.0.0.1/32 trust',
        'host "replication" anna all trust',
        'host sameuser,template1 all 127.0.0.1/32 trust',
        '',
      ].join('\n')
      writeFileSync(join(server.directory, 'pg_hba.conf'), text)
      await server.stop()
      await server.start()
      const entries = parseHba(text, major)
      for (const [user, database, replication] of [
        ['anna', 'shop', false],
        ['anna', 'postgres', false],
        ['anna', 'template1', false],
        ['postgres', 'postgres', false],
        ['anna', 'shop', true],
      ] as const) {
        const connection = { type: 'host', user, database, replication, ssl: false } as const
        const verdict = matchHba(entries, { ...connection, address: '127.0.0.1' }, major)
        const code = await login(server, { user, database, replication })
        const what = `${user} to ${database}${replication ? ' for replication' : ''}`
        assert.equal(code === undefined, verdict.decides !== undefined, what)
        assert.equal(code, verdict.decides === undefined ? '28000' : undefined, what)
      }
    })
  })
}

/** SQLSTATE of the refusal, or undefined when the login succeeded. */
async function login(
  server: TestServer,
  as: { user: string; database: string; replication: boolean },
): Promise<string | undefined> {
  const { user, database } = as
  const options = { host: '127.0.0.1', port: server.port, user, database }
  const client = new Client({ ...options, ...(as.replication && { replication: 'true' }) })
  client.on('error', () => undefined)
  try {
    await client.connect()
    return undefined
  } catch (error) {
    return (error as { code?: string }).code
  } finally {
    await client.end()
  }
}

function describe(entry: HbaEntry): unknown[] {
  if (entry.kind !== 'rule') return [entry.line, 'refused']
  const { type, databases, users, method } = entry.rule
  const names = (field: typeof databases): string[] => field.map((token) => token.text)
  const shown = type === 'local' && method === 'ident' ? 'peer' : method
  return [entry.line, type, names(databases), names(users), shown]
}

function describeRule(rule: ServerRule): unknown[] {
  if (rule.error !== null) return [rule.line_number, 'refused']
  return [rule.line_number, rule.type, rule.database, rule.user_name, rule.auth_method]
}
