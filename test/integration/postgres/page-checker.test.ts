/**
 * The page checker against every relation file of live servers, and against pg_checksums.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { closeSync, openSync, readdirSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { type Lsn, parseLsn } from '../../../src/postgres/lsn.ts'
import { allocatePageMemory, PageChecker } from '../../../src/postgres/page-checker.ts'
import { firstBlockOf, parseRelationPath } from '../../../src/postgres/relation-path.ts'
import {
  availableMajors,
  debianBinaries,
  startPostgres,
  type TestServer,
} from '../../harness/postgres.ts'

const PAGE = 8192
const MEMORY = 64 * 1024 * 1024

/** Tables with every kind of page: heap, TOAST, all built-in index types, sequence, maps, unlogged. */
const CONTENT = `
  CREATE TABLE rows AS SELECT n, md5(n::text) t, repeat(md5(n::text), 100) toast FROM generate_series(1, 3000) n;
  CREATE INDEX ON rows (n); CREATE INDEX ON rows USING hash (t); CREATE INDEX ON rows USING brin (n);
  CREATE TABLE points AS SELECT point(n, n) p, ARRAY[n, n + 1] a FROM generate_series(1, 3000) n;
  CREATE INDEX ON points USING gist (p); CREATE INDEX ON points USING spgist (p);
  CREATE INDEX ON points USING gin (a); CREATE SEQUENCE numbers; SELECT nextval('numbers');
  CREATE UNLOGGED TABLE unlogged AS SELECT 1;`

/** Bad pages of all relation files of a stopped server, as `path:block`. */
function findBad(server: TestServer): string[] {
  const checker = new PageChecker(allocatePageMemory(MEMORY))
  const names = readdirSync(server.directory, { recursive: true, encoding: 'utf8' })
  return names.flatMap((name) => {
    const file = parseRelationPath(name)
    if (file === undefined) return []
    const content = readFileSync(join(server.directory, name))
    assert.equal(content.length % PAGE, 0, name)
    checker.bytes.set(content)
    const range = { offset: 0, pageCount: content.length / PAGE }
    return checker.findBadPages(range, firstBlockOf(file)).map((block) => `${name}:${block}`)
  })
}

async function makeContent(server: TestServer): Promise<string> {
  await server.query(CONTENT)
  await server.query('VACUUM')
  const [row] = await server.query("CHECKPOINT; SELECT pg_relation_filepath('rows') AS path")
  return String(row?.['path'])
}

function flipBit(path: string, position: number): void {
  const byte = readFileSync(path)[position] ?? assert.fail()
  const file = openSync(path, 'r+')
  writeSync(file, Buffer.of(byte ^ 0x10), 0, 1, position)
  closeSync(file)
}

for (const major of availableMajors()) {
  suite(`pages of PostgreSQL ${major}`, () => {
    test('are all good, and one flipped bit is found', async () => {
      await using server = await startPostgres({ major })
      const path = await makeContent(server)
      await server.stop()
      assert.deepEqual(findBad(server), [])
      flipBit(join(server.directory, path), 3 * PAGE + 5000)
      flipBit(join(server.directory, path), 7 * PAGE + 9)
      assert.deepEqual(findBad(server), [`${path}:3`, `${path}:7`])
    })

    test('that changed are told from those that did not', async () => {
      await using server = await startPostgres({ major, settings: { autovacuum: 'off' } })
      const path = await makeContent(server)
      const [before] = await server.query('SELECT pg_current_wal_insert_lsn()::text AS lsn')
      await server.query("UPDATE rows SET t = 'new' WHERE n = 1; CHECKPOINT")
      await server.stop()
      const checker = new PageChecker(allocatePageMemory(MEMORY))
      const content = readFileSync(join(server.directory, path))
      checker.bytes.set(content)
      const pageCount = content.length / PAGE
      const lsn: Lsn = parseLsn(String(before?.['lsn'])) ?? assert.fail()
      const bitmap = checker.changedSince({ offset: 0, pageCount }, lsn)
      const changed = Array.from({ length: pageCount }, (_, page) => page).filter(
        (page) => ((bitmap[page >> 3] ?? 0) & (1 << (page & 7))) !== 0,
      )
      // The page of the old row version and the one that took the new.
      assert.ok(changed.includes(0) && changed.length <= 2 && pageCount > 10, String(changed))
    })
  })
}

const tools = debianBinaries()
const skip = tools === undefined && 'Debian’s PostgreSQL 15 is not installed'

test('pg_checksums finds the same bad pages', { skip }, async () => {
  await using server = await startPostgres({ major: 15, binaries: tools ?? '' })
  const path = await makeContent(server)
  await server.stop()
  for (const page of [0, 2, 11]) flipBit(join(server.directory, path), page * PAGE + 4000)
  const check = spawnSync(join(tools ?? '', 'pg_checksums'), ['--check', '-D', server.directory], {
    encoding: 'utf8',
    env: { LC_ALL: 'C' },
  })
  assert.match(check.stdout, /Bad checksums: +3\n/)
  const named = [...check.stderr.matchAll(/in file "([^"]+)", block (\d+):/g)].map(
    ([, file = '', block]) => `${file.slice(server.directory.length + 1)}:${block}`,
  )
  assert.deepEqual(findBad(server), named)
})
