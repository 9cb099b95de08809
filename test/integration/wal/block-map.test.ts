/**
 * The block map against two judges: PostgreSQL's own WAL summaries, and the bytes of data files before and after.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  statSync,
  truncateSync,
} from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parseControlFile } from '../../../src/postgres/control-file.ts'
import { formatLsn, type Lsn, parseLsn } from '../../../src/postgres/lsn.ts'
import type { BlockMap } from '../../../src/postgres/block-map.ts'
import { FORK_NUMBERS, locatorOf } from '../../../src/postgres/rel-file-locator.ts'
import {
  firstBlockOf,
  isUnloggedContent,
  parseRelationPath,
  RELATION_SEGMENT_BLOCKS,
} from '../../../src/postgres/relation-path.ts'
import type { ClusterRepository } from '../../../src/repository/cluster-repository.ts'
import { pagesToRead } from '../../../src/backup/take/pages-to-read.ts'
import { changedBlocks } from '../../../src/wal/changed-blocks.ts'
import {
  availableMajors,
  matrixMajors,
  startPostgres,
  type TestServer,
} from '../../harness/postgres.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'
import { until } from '../../harness/until.ts'
import { Dice, prepareWork, work, workOfAllKinds } from './block-workload.ts'
import { claimFor, startReceiver, switchWal, untilReceived } from './support.ts'

const SETTINGS = {
  wal_level: 'replica',
  max_prepared_transactions: 4,
  autovacuum: 'off',
  max_wal_size: '4GB',
  checkpoint_timeout: '1h',
}
const SEED = Number(process.env['BACKSTAY_SEED'] ?? Date.now() % 1e6)
const PAGE = 8192

interface Summary {
  readonly startLsn: Lsn
  readonly endLsn: Lsn
}

for (const major of availableMajors().filter((each) => each >= 17)) {
  test(`on ${major} the map names every block that the server's own summaries name (seed ${SEED})`, async () => {
    await using folder = temporaryDirectory()
    await using pg = await startPostgres({ major, settings: { ...SETTINGS, summarize_wal: 'on' } })
    const repository = await claimFor(pg, folder.path)
    await using receiver = startReceiver(pg, repository)
    await until('the receiver to have begun', async () => (await receiver.status())?.flushLsn)
    const begun = parseLsn(
      String((await pg.query('select pg_current_wal_lsn() l'))[0]?.['l']),
    ) as Lsn
    await prepareWork(pg, pg.socketDirectory)
    const dice = new Dice(SEED)
    await workOfAllKinds(pg, dice)
    await work(pg, dice, 40)
    await pg.query('checkpoint')
    await untilReceived(pg)
    const summaries = await until('the summaries to be written', async () =>
      readSummaries(pg, begun),
    )
    const rows = await compareWithSummaries(pg, repository, summaries)
    assert.ok(rows > 1000, `only ${rows} rows were compared`)
  })
}

/** Those after `begun`, when they reach the last checkpoint. */
async function readSummaries(pg: TestServer, begun: Lsn): Promise<Summary[] | undefined> {
  const [redo] = await pg.query('select redo_lsn::text as l from pg_control_checkpoint()')
  const rows = await pg.query(
    `select start_lsn::text s, end_lsn::text e from pg_available_wal_summaries() order by start_lsn`,
  )
  const summaries = rows.map((row) => ({
    startLsn: parseLsn(String(row['s'])) as Lsn,
    endLsn: parseLsn(String(row['e'])) as Lsn,
  }))
  const last = summaries.at(-1)
  if (last === undefined || last.endLsn < (parseLsn(String(redo?.['l'])) as Lsn)) return undefined
  return summaries.filter(({ startLsn }) => startLsn >= begun)
}

async function compareWithSummaries(
  pg: TestServer,
  repository: ClusterRepository,
  summaries: readonly Summary[],
): Promise<number> {
  let compared = 0
  for (const range of summaries) {
    const { map, reason } = await changedBlocks(repository, { timeline: 1, ...range })
    assert.ok(map, reason)
    const rows = await pg.query(
      `select * from pg_wal_summary_contents(1, '${formatLsn(range.startLsn)}', '${formatLsn(range.endLsn)}')`,
    )
    for (const row of rows) assert.equal(findMissing(map, row), undefined)
    compared += rows.length
  }
  return compared
}

function findMissing(map: BlockMap, row: Record<string, unknown>): unknown {
  const number = (key: string): number => Number(row[key])
  const place = {
    tablespaceOid: number('reltablespace'),
    databaseOid: number('reldatabase'),
    fileNumber: number('relfilenode'),
    fork: number('relforknumber'),
  }
  const block = number('relblocknumber')
  if (place.fileNumber === 0) return map.isWhole(place) ? undefined : row
  if (row['is_limit_block'] === true) {
    return map.isWhole(place) || (map.limitOf(place) ?? Infinity) <= block ? undefined : row
  }
  return map.isChanged(place, block) ? undefined : row
}

for (const major of matrixMajors()) {
  test(`on ${major} every page that changed on disk is named by the map (seed ${SEED})`, async () => {
    await using folder = temporaryDirectory()
    await using pg = await startPostgres({ major, settings: SETTINGS })
    const repository = await claimFor(pg, folder.path)
    await prepareWork(pg, pg.socketDirectory)
    const dice = new Dice(SEED)
    await work(pg, dice, 20)
    await pg.query('create table border as select i from generate_series(1, 10) i')
    const [border] = await pg.query(`select pg_relation_filepath('border') as path`)
    // What lies in the segment of the start, before it, counts as well: a backup begins a segment, too.
    await switchWal(pg)
    await pg.stop()
    growToBorder(pg, String(border?.['path']))
    const before = readPages(pg.directory)
    const startLsn = checkpointOf(pg)
    await pg.start()
    await using receiver = startReceiver(pg, repository)
    await until('the receiver to have begun', async () => (await receiver.status())?.flushLsn)
    await workOfAllKinds(pg, dice)
    await pg.query('insert into border select i from generate_series(1, 1000) i')
    await work(pg, dice, 30)
    await pg.kill()
    await pg.start()
    await work(pg, dice, 5)
    await untilReceived(pg)
    await pg.stop()
    const endLsn = checkpointOf(pg)
    await receiver.stop()
    assert.deepEqual(await withoutMap(repository), [], 'each received segment has its map')
    const range = { timeline: 1, startLsn, endLsn }
    const { map, stops, reason } = await changedBlocks(repository, range)
    assert.ok(map, reason)
    assert.equal(stops?.length, 1, 'the crash is told')
    const found = comparePages(before, readPages(pg.directory), map)
    assert.deepEqual([found.unread, found.unnamed], [[], []])
    assert.ok(found.changed > 200, `only ${found.changed} pages changed`)
    assert.ok(found.read < found.pages / 10, `${found.read} of ${found.pages} pages were read`)
  })
}

/** Of the first segment the record may not be known that it begins with. */
async function withoutMap({ store, names, wal }: ClusterRepository): Promise<string[]> {
  const missing: string[] = []
  let isFirst = true
  for await (const name of wal.listSegments('00000001')) {
    const hasMap = (await store.size(names.walBlocks(name))) !== undefined
    if (!hasMap && !isFirst) missing.push(name)
    isFirst = false
  }
  return missing
}

/** Redo of the checkpoint that the stopped server ended with. */
function checkpointOf(pg: TestServer): Lsn {
  return parseControlFile(readFileSync(join(pg.directory, 'global/pg_control'))).checkpoint.redoLsn
}

interface Page {
  readonly hash: string
  /** Without LSN: a page that no WAL has made. */
  readonly isBlank: boolean
  /** Holds where to look for room; changed without WAL, and as good without the change (spgutils.c, SpGistUpdateMetaPage). */
  readonly isSpGistMeta: boolean
}

const ZERO = Buffer.alloc(PAGE)
const ZERO_PAGE: Page = { hash: '', isBlank: true, isSpGistMeta: false }
const SPGIST_MAGIC = 0xba0b_abee
const PAGE_HEADER_BYTES = 24

/** Of each relation file the pages. */
function readPages(directory: string): Map<string, readonly Page[]> {
  const files = new Map<string, readonly Page[]>()
  for (const path of relationPaths(directory)) files.set(path, pagesOf(join(directory, path)))
  return files
}

function relationPaths(directory: string): string[] {
  const folders = ['global', ...below(directory, 'base')]
  for (const space of below(directory, 'pg_tblspc')) {
    for (const version of below(directory, space)) folders.push(...below(directory, version))
  }
  return folders
    .flatMap((folder) => below(directory, folder))
    .filter((path) => parseRelationPath(path) !== undefined)
}

function below(directory: string, folder: string): string[] {
  const place = join(directory, folder)
  if (!existsSync(place) || !statSync(place).isDirectory()) return []
  return readdirSync(place).map((entry) => `${folder}/${entry}`)
}

function pagesOf(path: string): Page[] {
  const pages: Page[] = []
  const page = Buffer.alloc(PAGE)
  const file = openSync(path, 'r')
  try {
    while (readSync(file, page, 0, PAGE, null) > 0) pages.push(pageOf(page))
  } finally {
    closeSync(file)
  }
  return pages
}

function pageOf(page: Buffer): Page {
  if (page.equals(ZERO)) return ZERO_PAGE
  return {
    hash: createHash('md5').update(page).digest('base64'),
    isBlank: page.readBigUInt64LE(0) === 0n,
    isSpGistMeta: page.readUInt32LE(PAGE_HEADER_BYTES) === SPGIST_MAGIC,
  }
}

/** As if the table had grown to 1 GB by pages that nobody wrote to: what comes next lies in its second file. */
function growToBorder(pg: TestServer, path: string): void {
  truncateSync(join(pg.directory, path), RELATION_SEGMENT_BLOCKS * PAGE)
}

type Pages = ReadonlyMap<string, readonly Page[]>

interface Comparison {
  /** Pages that changed and would be taken from what there was before. */
  readonly unread: readonly string[]
  /** Pages that changed and that the map does not name, in any fork but the free space map. */
  readonly unnamed: readonly string[]
  readonly changed: number
  readonly read: number
  readonly pages: number
}

/** What a backup would be that reads only what the map says, against the files. */
function comparePages(before: Pages, after: Pages, map: BlockMap): Comparison {
  const unlogged = new Set(
    [...after.keys(), ...before.keys()].flatMap((path) => {
      const file = parseRelationPath(path)
      return file?.fork === 'init' ? [file.relation] : []
    }),
  )
  const found = { unread: [] as string[], unnamed: [] as string[], changed: 0, read: 0, pages: 0 }
  for (const [path, pages] of after) {
    const file = parseRelationPath(path)
    if (file === undefined || isUnloggedContent(file, unlogged)) continue
    const old = before.get(path)
    const isRead = readerOf(path, { pages, old }, map)
    const place = { ...locatorOf(file), fork: FORK_NUMBERS[file.fork] }
    found.pages += pages.length
    for (const [index, page] of pages.entries()) {
      if (isRead(index)) found.read += 1
      if (!isChanged(old?.[index], page)) continue
      found.changed += 1
      if (!isRead(index)) found.unread.push(`${path} block ${index}`)
      const isNew = old?.[index] === undefined
      if (file.fork === 'fsm' || isNew || map.isChanged(place, firstBlockOf(file) + index)) continue
      found.unnamed.push(`${path} block ${index}`)
    }
  }
  return found
}

/** Changes that no WAL tells do not count: a page with none is one that a crash may leave. */
function isChanged(old: Page | undefined, page: Page): boolean {
  return old?.hash !== page.hash && old?.isBlank !== true && !page.isSpGistMeta
}

function readerOf(
  path: string,
  { pages, old }: { pages: readonly Page[]; old: readonly Page[] | undefined },
  map: BlockMap,
): (block: number) => boolean {
  const referenceBytes = old && old.length * PAGE
  const wanted = pagesToRead({ path, sizeBytes: pages.length * PAGE, referenceBytes }, map)
  if (wanted === 'all') return () => true
  const blocks = new Set(
    wanted.flatMap(({ from, to }) => Array.from({ length: to - from }, (_, i) => from + i)),
  )
  return (block) => blocks.has(block)
}
