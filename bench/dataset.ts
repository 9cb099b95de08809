/**
 * The data that benchmarks run on: a primary of about the wanted size, half pgbench's accounts, half text and jsonb.
 * Built once (a minute or two) into the system's temporary directory and kept there for the next run.
 */
import { existsSync, readFileSync, readlinkSync, realpathSync } from 'node:fs'
import { chown, mkdir, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { PostgresMajor } from '../src/postgres/version.ts'
import { debianBinaries } from '../test/harness/binaries.ts'
import { openPostgres, type TestServer } from '../test/harness/postgres.ts'
import { initdb, initdbArgumentsOf } from '../test/harness/template.ts'
import { isRoot, unprivilegedUser } from '../test/harness/unprivileged-user.ts'
import { until } from '../test/harness/until.ts'

/** Raise it when the content changes, so that old copies are not used. */
const VERSION = 1
const GIB = 1024 ** 3
const WAIT_MS = 600_000
/** Measured on PostgreSQL 15, indexes included. */
const ACCOUNT_BYTES = 156
const DOCUMENT_BYTES = 1080

const BUILD_SETTINGS = {
  wal_level: 'minimal',
  max_wal_senders: 0,
  max_wal_size: '16GB',
  full_page_writes: 'off',
  autovacuum: 'off',
  maintenance_work_mem: '512MB',
} as const

/** What a benchmark asks for. */
export interface DatasetOptions {
  readonly sizeGb: number
  readonly major?: PostgresMajor
  /** Programs directory; Debian's by default, because the peers' tools are there. */
  readonly binaries?: string
}

/** A data directory that is stopped and complete. Copy it, or start it in place. */
export interface Dataset {
  readonly directory: string
  readonly binaries: string
  /** Starts it in place on a free port; dispose stops it. Waits while another benchmark runs on it. */
  start(settings?: Readonly<Record<string, string | number>>): Promise<TestServer>
}

/** Builds the data set unless it is there. */
export async function ensureDataset(options: DatasetOptions): Promise<Dataset> {
  const { sizeGb, major = 15 } = options
  const binaries = options.binaries ?? debianBinaries(major)
  if (binaries === undefined) throw new Error(`PostgreSQL ${major} with all tools is not installed`)
  const name = `backstay-bench-${process.getuid?.() ?? 0}-pg${major}-${sizeGb}gb-v${VERSION}`
  const base = join(tmpdir(), name)
  if (!existsSync(base)) await build({ base, sizeGb, major, binaries })
  const directory = join(base, 'data')
  const place = { major, directory, binaries }
  return {
    directory,
    binaries,
    start: async (settings = {}) => {
      await until(`nobody to run on ${directory}`, () => !isRunning(directory), WAIT_MS)
      return openPostgres({ ...place, settings })
    },
  }
}

/** Whether a server runs there: the process named in postmaster.pid works in the directory. */
function isRunning(directory: string): boolean {
  try {
    const [pid = ''] = readFileSync(join(directory, 'postmaster.pid'), 'utf8').split('\n')
    return readlinkSync(`/proc/${Number(pid)}/cwd`) === realpathSync(directory)
  } catch {
    return false
  }
}

interface Build {
  readonly base: string
  readonly sizeGb: number
  readonly major: PostgresMajor
  readonly binaries: string
}

async function build({ base, sizeGb, major, binaries }: Build): Promise<void> {
  const temporary = `${base}.building`
  const directory = join(temporary, 'data')
  console.error(`building the ${sizeGb} GB data set in ${base} …`)
  await rm(temporary, { recursive: true, force: true })
  await mkdir(temporary, { mode: 0o755 })
  if (isRoot) await chown(temporary, unprivilegedUser.uid, unprivilegedUser.gid)
  const programs = { directory: binaries, major, version: `${major}` }
  await initdb(directory, programs, initdbArgumentsOf(major, []))
  {
    await using server = await openPostgres({
      major,
      directory,
      binaries,
      settings: BUILD_SETTINGS,
    })
    await fill(server, sizeGb)
    await server.query('CHECKPOINT')
    await server.stop('fast')
  }
  await rename(temporary, base)
}

async function fill(server: TestServer, sizeGb: number): Promise<void> {
  const accounts = Math.round((sizeGb * GIB) / 2 / ACCOUNT_BYTES)
  const documents = Math.round((sizeGb * GIB) / 2 / DOCUMENT_BYTES)
  await server.query(`
    BEGIN;
    CREATE TABLE accounts (aid int, bid int, abalance int, filler char(84));
    INSERT INTO accounts SELECT n, n / 100000 + 1, 0, '' FROM generate_series(1, ${accounts}) n;
    ALTER TABLE accounts ADD PRIMARY KEY (aid);
    COMMIT`)
  await server.query(`
    BEGIN;
    CREATE TABLE documents (id int, title text, body text, data jsonb, changed timestamptz);
    INSERT INTO documents
      SELECT n, 'Document ' || n,
             (SELECT string_agg(md5((n * 31 + part)::text) || ' lorem ipsum dolor sit amet ', '')
                FROM generate_series(1, 12) part),
             jsonb_build_object('id', n, 'tags', ARRAY['a', 'b', md5(n::text)],
                                'price', n % 1000 / 7.0, 'note', md5((n * 7)::text)),
             '2026-01-01'::timestamptz + n * interval '1 second'
        FROM generate_series(1, ${documents}) n;
    ALTER TABLE documents ADD PRIMARY KEY (id);
    CREATE INDEX ON documents (title);
    COMMIT`)
  await server.query('VACUUM (FREEZE, ANALYZE)')
}
