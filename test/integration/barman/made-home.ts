/**
 * Makes a Barman home as Barman makes it, from a live server and without Barman: backups as directories or archives, in both
 * layouts of the metadata, WAL in every compression. The formats are those of files that Barman 3.4 to 3.20 wrote.
 */
import { execFileSync } from 'node:child_process'
import { createReadStream, existsSync } from 'node:fs'
import {
  appendFile,
  copyFile,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rm,
  writeFile,
} from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { formatLsn, toLsn } from '../../../src/postgres/lsn.ts'
import type {
  BaseBackupEntry,
  BaseBackupSink,
  BaseBackupStart,
} from '../../../src/wire/base-backup-sink.ts'
import { ReplicationConnection } from '../../../src/wire/replication-connection.ts'
import type { TestServer } from '../../harness/postgres.ts'

const PACKERS: Readonly<Record<string, readonly string[]>> = {
  gz: ['gzip', '-1'],
  zst: ['zstd', '-q', '-1', '--rm'],
  lz4: ['lz4', '-q', '-1', '--rm', '-m'],
  bz2: ['bzip2', '-1'],
  xz: ['xz', '-1'],
}

/** Whether this machine has the program that packs so: `gz`, `lz4`, …; `tar` and `none` need none. */
export function canPack(ending: string): boolean {
  const program = PACKERS[ending]?.[0]
  return program === undefined || existsSync(`/usr/bin/${program}`) || existsSync(`/bin/${program}`)
}

/** How a backup is kept. */
export interface MadeBackup {
  readonly id: string
  /** `plain`, `tar`, or the ending of compressed archives. */
  readonly kind: 'plain' | 'tar' | 'gz' | 'zst' | 'lz4' | 'bz2'
  readonly layout: 'meta' | 'base'
  readonly name?: string
  readonly keep?: 'full' | 'standalone'
  /** Id of the backup an incremental one stands on. */
  readonly parent?: string
  /** Replaces lines of backup.info: key → value, or undefined to leave the line out. */
  readonly changes?: Readonly<Record<string, string | undefined>>
}

/** A server's directory in a Barman home. */
export class MadeHome {
  readonly directory: string
  readonly name: string
  readonly #pg: TestServer

  constructor(directory: string, name: string, pg: TestServer) {
    this.directory = directory
    this.name = name
    this.#pg = pg
  }

  /** Takes a base backup and puts it there as `made` says. */
  async takeBackup(made: MadeBackup): Promise<void> {
    await this.#keepWal()
    const folder = join(this.directory, 'base', made.id)
    const data = join(folder, 'data')
    await mkdir(data, { recursive: true, mode: 0o700 })
    const isTar = made.kind !== 'plain'
    const plain = isTar ? await mkdtemp(join(dirname(this.directory), 'tar-')) : folder
    const writer = new TreeWriter(isTar ? join(plain, 'data') : data, plain)
    const beganAt = new Date()
    const { start, end } = await this.#receive(writer, made)
    const facts = { made, start, endLsn: end.endLsn, beganAt }
    if (isTar) await packTrees(plain, data, { kind: made.kind, start })
    await this.#describe(folder, facts)
    if (isTar) await rm(plain, { recursive: true })
  }

  /** Copies every finished segment and history of the running server, each with the next of these compressions. */
  async storeWal(compressions: readonly string[]): Promise<void> {
    // Something to finish: a switch right after another does nothing.
    await this.#pg.query("SELECT pg_logical_emit_message(false, 'a', 'b')")
    const [row] = await this.#pg.query('SELECT pg_walfile_name(pg_switch_wal()) AS last')
    const source = join(this.#pg.directory, 'pg_wal')
    const names = (await readdir(source)).filter(
      (name) => /^[0-9A-F]{24}(\.[0-9A-F]{8}\.backup)?$/.test(name) || name.endsWith('.history'),
    )
    const wanted = names.filter((name) => name.slice(0, 24) <= String(row?.['last']))
    for (const [index, name] of wanted.sort().entries()) {
      await this.#storeOne(join(source, name), name, compressions[index % compressions.length])
    }
  }

  /** The server must not remove WAL before it is copied. */
  async #keepWal(): Promise<void> {
    await this.#pg.query(`SELECT pg_create_physical_replication_slot('kept', true)
      WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = 'kept')`)
  }

  async #storeOne(from: string, name: string, compression = 'none'): Promise<void> {
    const isHistory = name.endsWith('.history')
    const folder = join(this.directory, 'wals', isHistory ? '' : name.slice(0, 16))
    const path = join(folder, name)
    await mkdir(folder, { recursive: true })
    await copyFile(from, path)
    const packer = isHistory ? undefined : PACKERS[compression]
    if (packer !== undefined) {
      execFileSync(packer[0] ?? '', [...packer.slice(1), path])
      execFileSync('mv', [`${path}.${compression}`, path])
    }
    const word = packer === undefined ? 'None' : compression
    const line = `${name}\t${(await readFile(path)).length}\t1795332286.49\t${word}\tNone\n`
    await appendFile(join(this.directory, 'wals', `${this.name}-xlog.db`), line)
  }

  async #receive(
    writer: TreeWriter,
    { parent, kind }: MadeBackup,
  ): Promise<Awaited<ReturnType<ReplicationConnection['baseBackup']>>> {
    await using connection = await ReplicationConnection.connect(this.#pg.connection)
    if (parent !== undefined) {
      const manifest = join(this.directory, 'base', parent, 'data', 'backup_manifest')
      await connection.uploadManifest(createReadStream(manifest))
    }
    const isIncremental = parent !== undefined
    return await connection.baseBackup(
      { label: 'barman', tablespaceMap: kind !== 'plain', incremental: isIncremental },
      writer,
    )
  }

  async #describe(folder: string, facts: BackupFacts): Promise<void> {
    const { made } = facts
    const meta = join(this.directory, 'meta')
    const isMeta = made.layout === 'meta'
    const info = await infoText(this.#pg, facts)
    await mkdir(meta, { recursive: true })
    await writeFile(
      isMeta ? join(meta, `${made.id}-backup.info`) : join(folder, 'backup.info'),
      info,
    )
    if (made.keep === undefined) return
    const annotations = join(folder, 'annotations')
    if (!isMeta) await mkdir(annotations)
    await writeFile(isMeta ? join(meta, `${made.id}-keep`) : join(annotations, 'keep'), made.keep)
  }
}

interface BackupFacts {
  readonly made: MadeBackup
  readonly start: BaseBackupStart
  readonly endLsn: bigint
  readonly beganAt: Date
}

async function infoText(pg: TestServer, facts: BackupFacts): Promise<string> {
  const { made, start, endLsn, beganAt } = facts
  const [row = {}] = await pg.query(
    `SELECT system_identifier::text AS id, current_setting('server_version_num') AS version,
      current_setting('data_checksums') AS checksums FROM pg_control_system()`,
  )
  const pythonTime = (date: Date): string =>
    date.toISOString().replace('T', ' ').replace('Z', '000+00:00')
  const spaces = start.tablespaces.filter(({ oid }) => oid !== undefined)
  const fields: Record<string, string | undefined> = {
    backup_label: undefined,
    backup_name: made.name,
    begin_time: pythonTime(beganAt),
    begin_xlog: formatLsn(start.startLsn),
    compression: 'None',
    copy_stats: "{'copy_time': 3.592029, 'total_time': 3.592029}",
    data_checksums: String(row['checksums']),
    encryption: 'None',
    end_time: pythonTime(new Date()),
    end_xlog: formatLsn(toLsn(endLsn)),
    error: 'None',
    mode: 'postgres',
    parent_backup_id: made.parent ?? 'None',
    server_name: 'main',
    size: '1000000',
    status: 'DONE',
    systemid: String(row['id']),
    tablespaces:
      spaces.length === 0
        ? 'None'
        : `[${spaces.map(({ oid, location }, index) => `('ts${index}', ${oid}, '${location}')`).join(', ')}]`,
    timeline: String(start.timeline),
    version: String(row['version']),
    xlog_segment_size: '16777216',
    ...made.changes,
  }
  return Object.entries(fields)
    .flatMap(([key, value]) => (value === undefined ? [] : [`${key}=${value}\n`]))
    .join('')
}

async function packTrees(
  from: string,
  to: string,
  { kind, start }: { kind: MadeBackup['kind']; start: BaseBackupStart },
): Promise<void> {
  for (const { oid } of start.tablespaces) {
    const tree = join(from, oid === undefined ? 'data' : String(oid))
    const archive = join(to, `${oid ?? 'base'}.tar`)
    const names = (await readdir(tree)).filter((name) => name !== 'backup_manifest')
    execFileSync('tar', ['--format=ustar', '-C', tree, '-cf', archive, ...names.sort()])
    const packer = PACKERS[kind]
    if (packer !== undefined) execFileSync(packer[0] ?? '', [...packer.slice(1), archive])
  }
  const manifest = join(from, 'data', 'backup_manifest')
  await copyFile(manifest, join(to, 'backup_manifest')).catch(() => undefined)
}

/** Writes a base backup as pg_basebackup does into directories. */
class TreeWriter implements BaseBackupSink {
  readonly #data: string
  readonly #spaces: string
  #file: Awaited<ReturnType<typeof open>> | undefined
  #manifest: Buffer[] = []

  constructor(data: string, spaces: string) {
    this.#data = data
    this.#spaces = spaces
  }

  async begin({ tablespaces }: BaseBackupStart): Promise<void> {
    await mkdir(this.#data, { recursive: true })
    for (const { oid } of tablespaces) {
      if (oid !== undefined) await mkdir(join(this.#spaces, String(oid)))
    }
  }

  async entry({ kind, path, tablespaceOid, mode, target }: BaseBackupEntry): Promise<void> {
    const root =
      tablespaceOid === undefined ? this.#data : join(this.#spaces, String(tablespaceOid))
    const whole = join(root, path)
    if (kind === 'directory') await mkdir(whole, { recursive: true, mode })
    else if (kind === 'link') execFileSync('ln', ['-s', target ?? '', whole])
    else this.#file = await open(whole, 'w', mode)
  }

  async data(chunk: Uint8Array): Promise<void> {
    await this.#file?.write(chunk)
  }

  async endFile(): Promise<void> {
    await this.#file?.close()
    this.#file = undefined
  }

  manifest(chunk: Uint8Array): void {
    this.#manifest.push(Buffer.from(chunk))
  }

  async end(): Promise<void> {
    if (this.#manifest.length === 0) return
    await writeFile(join(this.#data, 'backup_manifest'), Buffer.concat(this.#manifest))
  }
}
