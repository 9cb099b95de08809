/**
 * Many odd values, quoted by us, read back by the programs they are quoted for: the server its postgresql.conf, libpq its connection strings.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import * as fc from 'fast-check'
import { formatConfLine } from '../../../src/postgres/conf-file.ts'
import { formatConninfo } from '../../../src/postgres/conninfo.ts'
import { availableMajors, debianBinaries, startPostgres } from '../../harness/postgres.ts'

const VALUES = 1500
const CONNECTIONS = 100
const LONGEST_NAME_BYTES = 63
const tools = debianBinaries()

const odd = fc.string({
  unit: fc.constantFrom(
    ...Array.from(`'"\\$=#%:;@ \t\n\r{}[]()-+.,aA0_ü☃`),
    '\\\\',
    "''",
    '\\n',
    '\\x41',
  ),
  maxLength: 12,
})
const value = fc
  .oneof(odd, odd, fc.string({ unit: 'grapheme', maxLength: 40 }))
  .filter((text) => !text.includes('\0') && text.isWellFormed())

suite('values we quote', () => {
  const major = availableMajors().at(-1) ?? assert.fail()
  test(`arrive in the settings of PostgreSQL ${major} unchanged`, async (t) => {
    const seed = Math.floor(Math.random() * 1e9)
    t.diagnostic(`seed ${seed}`)
    await using server = await startPostgres({ major })
    const values = fc.sample(value, { numRuns: VALUES, seed })
    const lines = values.map((text, index) => formatConfLine(`my.v${index}`, text))
    writeFileSync(join(server.directory, 'postgresql.auto.conf'), `${lines.join('\n')}\n`)
    const rows = await server.query(
      `SELECT name, setting, error FROM pg_file_settings WHERE sourcefile LIKE '%auto.conf' ORDER BY seqno`,
    )
    const expected = values.map((setting, index) => ({
      name: `my.v${index}`,
      setting,
      error: null,
    }))
    assert.deepEqual(rows, expected)
  })

  test(
    'arrive in connection strings as libpq reads them',
    {
      skip: tools === undefined && 'Debian’s PostgreSQL 15 is not installed',
    },
    async (t) => {
      const seed = Math.floor(Math.random() * 1e9)
      t.diagnostic(`seed ${seed}`)
      await using server = await startPostgres({ major: 15, hba: ['host all all all trust'] })
      const name = value.filter(
        (text) => text !== '' && Buffer.byteLength(text) <= LONGEST_NAME_BYTES,
      )
      const pairs = fc.sample(fc.tuple(name, value), { numRuns: CONNECTIONS, seed })
      for (const [dbname, password] of pairs) {
        const { host, port } = server
        const conninfo = formatConninfo({ password, host, port, dbname, user: 'postgres' })
        const { stderr } = spawnSync(join(tools ?? '', 'psql'), ['-X', '-w', conninfo], {
          encoding: 'utf8',
          env: { LC_ALL: 'C.UTF-8', PGCLIENTENCODING: 'UTF8' },
        })
        assert.ok(stderr.includes(`FATAL:  database "${dbname}" does not exist`), stderr)
      }
    },
  )
})
