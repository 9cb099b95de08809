/**
 * A sink for tests: writes a base backup to a directory, the simplest way there is.
 */
import { chownSync, closeSync, mkdirSync, openSync, symlinkSync, writeSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type {
  BaseBackupEnd,
  BaseBackupEntry,
  BaseBackupSink,
  BaseBackupStart,
} from '../../../src/wire/base-backup-sink.ts'
import { isRoot, unprivilegedUser } from '../../harness/unprivileged-user.ts'

/** Everything that was delivered, and the directory itself. */
export class DirectorySink implements BaseBackupSink {
  readonly entries: BaseBackupEntry[] = []
  readonly calls: string[] = []
  readonly #directoryOf: (oid: number | undefined) => string
  #file: number | undefined
  #remaining = 0
  #manifest: Buffer[] = []
  start: BaseBackupStart | undefined
  finish: BaseBackupEnd | undefined

  constructor(directoryOf: (oid: number | undefined) => string) {
    this.#directoryOf = directoryOf
    this.#directory(directoryOf(undefined), 0o700)
  }

  get manifestText(): string {
    return Buffer.concat(this.#manifest).toString()
  }

  begin(start: BaseBackupStart): void {
    this.#call('begin')
    this.start = start
    for (const { oid } of start.tablespaces) this.#directory(this.#directoryOf(oid), 0o700)
  }

  entry(entry: BaseBackupEntry): void {
    this.#call('entry')
    this.entries.push(entry)
    const path = join(this.#directoryOf(entry.tablespaceOid), entry.path)
    if (entry.kind === 'directory') this.#directory(path, entry.mode)
    if (entry.kind === 'link') symlinkSync(entry.target ?? '', path)
    if (entry.kind !== 'file') return
    this.#directory(dirname(path), 0o700)
    this.#file = openSync(path, 'w', entry.mode)
    this.#remaining = entry.sizeBytes
    if (isRoot) chownSync(path, unprivilegedUser.uid, unprivilegedUser.gid)
  }

  data(chunk: Uint8Array): void {
    if (this.#file === undefined) throw new Error('data without a file')
    writeSync(this.#file, chunk)
    this.#remaining -= chunk.length
  }

  endFile(): void {
    if (this.#file === undefined || this.#remaining !== 0) throw new Error('a file is incomplete')
    closeSync(this.#file)
    this.#file = undefined
  }

  manifest(chunk: Uint8Array): void {
    this.#call('manifest')
    this.#manifest.push(Buffer.from(chunk))
  }

  end(end: BaseBackupEnd): void {
    this.#call('end')
    this.finish = end
  }

  #call(name: string): void {
    if (this.#file !== undefined) throw new Error(`${name} inside a file`)
    if (this.calls.at(-1) !== name) this.calls.push(name)
  }

  #directory(path: string, mode: number): void {
    if (mkdirSync(path, { recursive: true, mode }) === undefined) return
    if (isRoot) chownSync(path, unprivilegedUser.uid, unprivilegedUser.gid)
  }
}

/** A sink that drops everything, with the calls a test wants to see replaced. */
export function droppingSink(replaced: Partial<BaseBackupSink> = {}): BaseBackupSink {
  const nothing = (): void => undefined
  return {
    begin: nothing,
    entry: nothing,
    data: nothing,
    endFile: nothing,
    manifest: nothing,
    end: nothing,
    ...replaced,
  }
}
