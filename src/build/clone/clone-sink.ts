/**
 * Writes a base backup straight into a standby's directory and its tablespaces' ones. pg_control is
 * held back: without it nothing can be started from the directory. Files that only concern the
 * primary are left out.
 */
import { posix } from 'node:path'
import { BackstayError } from '../../errors/backstay-error.ts'
import type { Host, TreeWriter } from '../../host/host.ts'
import { runChecked } from '../../host/run-checked.ts'
import { CONTROL_FILE_PATH } from '../../postgres/control-file.ts'
import { MANAGED_CONF_NAME } from '../../postgres/managed-conf.ts'
import { isTablespaceContent, type TablespacePlace } from '../../postgres/tablespace-place.ts'
import { COPY_NOTE_NAME } from '../../restore/marker.ts'
import { formatSize } from '../../util/size.ts'
import type {
  BaseBackupEntry,
  BaseBackupSink,
  BaseBackupStart,
  BaseBackupTablespace,
} from '../../wire/base-backup-sink.ts'
import { STANDBY_CONF_NAME } from '../../cluster/names.ts'
import { type CloneMark, writeCloneMark } from '../../cluster/clone-mark.ts'
import {
  type ClonePair,
  directoryOfPlace,
  findShortages,
  tablespacePlaceOf,
  tablespaceRefusal,
} from '../../cluster/clone-room.ts'
import { refuseOccupied } from './refuse-occupied.ts'

/**
 * Of the primary alone, or written anew by us. The log directory's own files are the primary's too.
 */
const LEFT_OUT = [
  MANAGED_CONF_NAME,
  STANDBY_CONF_NAME,
  'standby.signal',
  'recovery.signal',
  'recovery.conf',
  'recovery.done',
  'current_logfiles',
  'backup_manifest',
  COPY_NOTE_NAME,
]
const LOG_PREFIX = 'log/'
/** PostgreSQL starts on nothing that others may read or the group may write. */
const MOST_MODE = 0o750
/** Entries after which the crash point in the middle lies: every clone has more. */
const MIDDLE_ENTRY = 300

/** Where to, whose, and whom to tell. */
export interface CloneTarget extends ClonePair {
  readonly host: Host
  /** OS user everything will belong to. */
  readonly owner: string
  readonly mark: Omit<CloneMark, 'tablespaces'>
  progress(doneBytes: number, totalBytes: number | undefined): void
  crashPoint(name: string): Promise<void>
}

/** One clone. `finish` makes everything but pg_control durable; `close` in any case. */
export class CloneSink implements BaseBackupSink, AsyncDisposable {
  readonly #target: CloneTarget
  readonly #trees = new Map<number | undefined, TreeWriter>()
  readonly #places = new Map<number, TablespacePlace>()
  readonly #control: Uint8Array[] = []
  #controlMode = 0o600
  #writesTo: TreeWriter | 'control' | undefined
  #totalBytes: number | undefined
  #doneBytes = 0
  #entries = 0

  constructor(target: CloneTarget) {
    this.#target = target
  }

  /** pg_control as it came. @throws POSTGRES_PROTOCOL when it did not come. */
  get control(): Buffer {
    if (this.#control.length > 0) return Buffer.concat(this.#control)
    throw new BackstayError('POSTGRES_PROTOCOL', 'Cannot clone: the base backup has no pg_control')
  }

  /** Its mode: the group may read a whole cluster or nothing of it. */
  get controlMode(): number {
    return this.#controlMode
  }

  /**
   * @throws DIRECTORY_FOREIGN for a tablespace the cluster file does not speak of, DISK_SPACE;
   * nothing is written then.
   */
  async begin(start: BaseBackupStart): Promise<void> {
    const { host, server, owner, mark } = this.#target
    this.#decidePlaces(start.tablespaces)
    const targets = [...this.#places.values()].flatMap((place) =>
      place.kind === 'inside' || place.kind === 'refused' ? [] : [place.directory],
    )
    await this.#checkRoom(start.tablespaces)
    await this.#checkEmpty(targets)
    await refuseOccupied(host, { server: server.name, directory: server.directory, owner })
    await host.makeDirectory(server.directory, { mode: 0o700, owner })
    await writeCloneMark(host, server.directory, { ...mark, tablespaces: targets, owner })
    await this.#target.crashPoint('clone.marked')
    this.#trees.set(undefined, await host.openTree(server.directory, { owner }))
    for (const [oid, place] of this.#places) await this.#openPlace(oid, place)
  }

  async entry(entry: BaseBackupEntry): Promise<void> {
    this.#entries += 1
    if (this.#entries === MIDDLE_ENTRY) await this.#target.crashPoint('clone.filling')
    const { tree, path } = this.#placeOf(entry)
    this.#writesTo = undefined
    if (entry.path === '' || entry.path === '.' || isLeftOut(entry)) return
    this.#checkContent(entry)
    if (entry.kind === 'directory') {
      if (path === 'global') await this.#giveMode(entry.mode & MOST_MODE)
      return await tree.makeDirectory(path, entry.mode)
    }
    if (entry.kind === 'link') return await tree.makeLink(path, this.#linkTarget(entry))
    if (path === CONTROL_FILE_PATH) {
      this.#writesTo = 'control'
      this.#controlMode = entry.mode & MOST_MODE
      return
    }
    await tree.beginFile(path, entry)
    this.#writesTo = tree
  }

  data(chunk: Uint8Array): void | Promise<void> {
    this.#doneBytes += chunk.length
    this.#target.progress(this.#doneBytes, this.#totalBytes)
    if (this.#writesTo === 'control') this.#control.push(Uint8Array.from(chunk))
    else return this.#writesTo?.write(chunk)
  }

  async endFile(): Promise<void> {
    if (this.#writesTo !== 'control') await this.#writesTo?.endFile()
    this.#writesTo = undefined
  }

  manifest(): void {
    // Not asked for: nothing reads it in a standby.
  }

  end(): void {
    // The end position matters to recovery, which finds it in the WAL.
  }

  /** Makes everything written so far durable. */
  async finish(): Promise<void> {
    for (const tree of this.#trees.values()) await tree.sync()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const tree of this.#trees.values()) await tree.close()
  }

  #decidePlaces(tablespaces: readonly BaseBackupTablespace[]): void {
    for (const { oid, location = '' } of tablespaces) {
      if (oid === undefined) continue
      const place = tablespacePlaceOf(this.#target, { oid, location })
      if (place.kind === 'refused') throw tablespaceRefusal(this.#target, location, place.why)
      this.#places.set(oid, place)
    }
  }

  /** The directories themselves come without one; all of a cluster have the same. */
  async #giveMode(mode: number): Promise<void> {
    for (const tree of this.#trees.values()) await tree.makeDirectory('.', mode)
  }

  async #openPlace(oid: number, place: TablespacePlace): Promise<void> {
    if (place.kind === 'inside' || place.kind === 'refused') return
    const { host, owner } = this.#target
    const { directory } = place
    await this.#checkEmpty([directory])
    if (place.kind === 'named') await host.makeDirectory(directory, { mode: 0o700, owner })
    else await this.#makeAsOwner(directory)
    this.#trees.set(oid, await host.openTree(directory, { owner }))
  }

  /**
   * The name came from the server: whatever it says, nothing is made or given away that
   * PostgreSQL's user could not make.
   */
  async #makeAsOwner(directory: string): Promise<void> {
    const { host, owner, server } = this.#target
    await runChecked(host, ['mkdir', '-p', '-m', '700', '--', directory], { user: owner })
    const found = await host.inspect(directory)
    if (found?.kind === 'directory' && found.owner === owner) return
    throw new BackstayError(
      'DIRECTORY_OWNER',
      `Cannot clone to server "${server.name}": tablespace directory "${directory}" is ${found?.kind === 'directory' ? `of "${found.owner}"` : 'no directory'}`,
      { hint: `Give it to "${owner}": install -d -o ${owner} -m 700 ${directory}` },
    )
  }

  #placeOf(entry: BaseBackupEntry): { readonly tree: TreeWriter; readonly path: string } {
    const { tablespaceOid } = entry
    const place = tablespaceOid === undefined ? undefined : this.#places.get(tablespaceOid)
    const isInside = place?.kind === 'inside'
    const tree = this.#trees.get(isInside ? undefined : tablespaceOid)
    if (tree !== undefined) {
      return { tree, path: isInside ? posix.join(place.path, entry.path) : entry.path }
    }
    throw this.#strange(
      `file "${entry.path}" belongs to tablespace ${tablespaceOid}, which was not announced`,
    )
  }

  /** A tablespace's archive may hold only what PostgreSQL writes there. */
  #checkContent({ tablespaceOid, path, kind }: BaseBackupEntry): void {
    if (tablespaceOid === undefined) return
    const major = this.#target.wanted.postgres.version
    if (kind !== 'link' && isTablespaceContent(path, major)) return
    throw this.#strange(
      `tablespace ${tablespaceOid} holds "${path}", which PostgreSQL ${major} never writes there`,
    )
  }

  /** The only links a server has are those to the tablespaces it announced. */
  #linkTarget({ path }: BaseBackupEntry): string {
    const [, oid] = /^pg_tblspc\/(\d+)$/.exec(path) ?? []
    const place = this.#places.get(Number(oid))
    if (place?.kind === 'named' || place?.kind === 'allowed') return place.directory
    throw this.#strange(`"${path}" is a link, and to no tablespace that was announced`)
  }

  #strange(what: string): BackstayError {
    return new BackstayError('POSTGRES_PROTOCOL', `Cannot clone: ${what}`)
  }

  async #checkRoom(tablespaces: readonly BaseBackupTablespace[]): Promise<void> {
    const { host, server } = this.#target
    const needs = tablespaces.map(({ oid, sizeBytes }) => {
      const place = oid === undefined ? undefined : this.#places.get(oid)
      const path = place === undefined ? undefined : directoryOfPlace(server, place)
      return { path: path ?? server.directory, bytes: sizeBytes ?? 0 }
    })
    this.#totalBytes = needs.reduce((sum, need) => sum + need.bytes, 0)
    for (const shortage of await findShortages(host, needs)) {
      throw new BackstayError(
        'DISK_SPACE',
        `Cannot clone to server "${server.name}": "${shortage.path}" has ${formatSize(shortage.freeBytes)} free, ${formatSize(shortage.neededBytes)} are needed`,
      )
    }
  }

  async #checkEmpty(targets: readonly string[]): Promise<void> {
    const { host, server } = this.#target
    for (const path of targets) {
      const names = (await host.list(path)) ?? []
      if (names.length === 0) continue
      throw new BackstayError(
        'DIRECTORY_FOREIGN',
        `Cannot clone to server "${server.name}": tablespace directory "${path}" holds "${names[0]}" already`,
        { hint: `Map it elsewhere: servers.${server.name}.tablespaces in the cluster file.` },
      )
    }
  }
}

function isLeftOut(entry: BaseBackupEntry): boolean {
  if (entry.tablespaceOid !== undefined || entry.kind === 'directory') return false
  return LEFT_OUT.includes(entry.path) || entry.path.startsWith(LOG_PREFIX)
}
