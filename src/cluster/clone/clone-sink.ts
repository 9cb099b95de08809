/**
 * Writes a base backup straight into a standby's directory and its tablespaces' ones. pg_control is held back: without
 * it nothing can be started from the directory. Files that only concern the primary are left out.
 */
import { posix } from 'node:path'
import { BackstayError } from '../../errors/backstay-error.ts'
import type { Host, TreeWriter } from '../../host/host.ts'
import { CONTROL_FILE_PATH } from '../../postgres/control-file.ts'
import { MANAGED_CONF_NAME } from '../../postgres/managed-conf.ts'
import { formatSize } from '../../util/size.ts'
import type {
  BaseBackupEntry,
  BaseBackupSink,
  BaseBackupStart,
  BaseBackupTablespace,
} from '../../wire/base-backup-sink.ts'
import { STANDBY_CONF_NAME } from '../names.ts'
import type { ServerWanted } from '../wanted.ts'
import { type CloneMark, writeCloneMark } from './clone-mark.ts'
import { findShortages, tablespaceTarget } from './room.ts'

/** Of the primary alone, or written anew by us. The log directory's own files are the primary's too. */
const LEFT_OUT = [
  MANAGED_CONF_NAME,
  STANDBY_CONF_NAME,
  'standby.signal',
  'recovery.signal',
  'recovery.conf',
  'recovery.done',
  'current_logfiles',
  'backup_manifest',
]
const LOG_PREFIX = 'log/'
/** Entries after which the crash point in the middle lies: every clone has more. */
const MIDDLE_ENTRY = 300

/** Where to, whose, and whom to tell. */
export interface CloneTarget {
  readonly host: Host
  readonly server: ServerWanted
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
  readonly #prefixes = new Map<number, string>()
  readonly #control: Uint8Array[] = []
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

  async begin(start: BaseBackupStart): Promise<void> {
    const { host, server, owner, mark } = this.#target
    const outside = start.tablespaces.filter(
      ({ oid, location }) => oid !== undefined && location?.startsWith('/') === true,
    )
    const targets = outside.map(({ location = '' }) => tablespaceTarget(server, location))
    await this.#checkRoom(start.tablespaces)
    await this.#checkEmpty(targets)
    await host.makeDirectory(server.directory, { mode: 0o700, owner })
    await writeCloneMark(host, server.directory, { ...mark, tablespaces: targets, owner })
    await this.#target.crashPoint('clone.marked')
    this.#trees.set(undefined, await host.openTree(server.directory, { owner }))
    for (const { oid, location = '' } of start.tablespaces) {
      if (oid === undefined) continue
      const path = tablespaceTarget(server, location)
      if (!location.startsWith('/')) this.#prefixes.set(oid, location)
      else {
        await host.makeDirectory(path, { mode: 0o700, owner })
        this.#trees.set(oid, await host.openTree(path, { owner }))
      }
    }
  }

  async entry(entry: BaseBackupEntry): Promise<void> {
    this.#entries += 1
    if (this.#entries === MIDDLE_ENTRY) await this.#target.crashPoint('clone.filling')
    const { tree, path } = this.#placeOf(entry)
    this.#writesTo = undefined
    if (path === '' || path === '.' || isLeftOut(entry)) return
    if (entry.kind === 'directory') return await tree.makeDirectory(path, entry.mode)
    if (entry.kind === 'link') {
      return await tree.makeLink(path, tablespaceTarget(this.#target.server, entry.target ?? ''))
    }
    if (path === CONTROL_FILE_PATH) {
      this.#writesTo = 'control'
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

  #placeOf(entry: BaseBackupEntry): { readonly tree: TreeWriter; readonly path: string } {
    const prefix = this.#prefixes.get(entry.tablespaceOid ?? -1)
    const tree = this.#trees.get(prefix === undefined ? entry.tablespaceOid : undefined)
    if (tree === undefined) {
      throw new BackstayError(
        'POSTGRES_PROTOCOL',
        `Cannot clone: file "${entry.path}" belongs to tablespace ${entry.tablespaceOid}, which was not announced`,
      )
    }
    return { tree, path: prefix === undefined ? entry.path : posix.join(prefix, entry.path) }
  }

  async #checkRoom(tablespaces: readonly BaseBackupTablespace[]): Promise<void> {
    const { host, server } = this.#target
    const needs = tablespaces.map(({ location, sizeBytes }) => ({
      path: location === undefined ? server.directory : tablespaceTarget(server, location),
      bytes: sizeBytes ?? 0,
    }))
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
