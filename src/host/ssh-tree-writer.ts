/**
 * Fills a directory on the other side of ssh: a tar stream made here, unpacked there by tar(1) as
 * the owner of the files, so that nothing can be written that he could not write himself.
 */
import { pipeline, type Writable } from 'node:stream'
import { createGzip } from 'node:zlib'
import { BackstayError, isBackstayError } from '../errors/backstay-error.ts'
import { fileError } from './file-error.ts'
import { NAMES_BYTES_MAX, splitNames } from './read-limit.ts'
import type { TreeFileAttributes, TreeWriter } from './host.ts'
import { RemoteTree } from './remote-tree.ts'
import type { RemoteResult, SshConnection } from './ssh-connection.ts'
import { RemoteFileError, type ShellFiles } from './shell-files.ts'
import { type TreeEntry, tarEnd, tarHeader, tarPadding } from '../postgres/tar/tar-writer.ts'
import { checkComplete, checkNotTooLong } from './tree-file.ts'
import { Gatherer, WriteBuffers } from './write-buffers.ts'

/** The stream lives as long as the clone; a dead connection is noticed by ssh itself. */
const STREAM_TIMEOUT_MS = 30 * 86_400_000
const GZIP_CHUNK_BYTES = 256 * 1024
const SYNC_TIMEOUT_MS = 3_600_000

/** Argument: the directory. File systems mounted inside it need a sync of everything. */
const SYNC = `
if grep -qF " $1/" /proc/self/mounts; then sync; else sync -f -- "$1/."; fi && sync -- "\${1%/*}/"
`

/** Where the tree is and whose it becomes. */
export interface SshTreeOptions {
  readonly connection: SshConnection
  readonly files: ShellFiles
  readonly directory: string
  readonly owner: string | undefined
  /** Whether the stream is compressed on its way. */
  readonly isCompressed: boolean
}

/** One tar stream on its way. */
interface Stream {
  readonly bytes: Gatherer
  readonly stdin: Promise<Writable>
  readonly ended: Promise<RemoteResult>
}

/** The TreeWriter of SshHost. */
export class SshTreeWriter implements TreeWriter {
  readonly #options: SshTreeOptions
  readonly #tree: RemoteTree
  readonly #buffers = new WriteBuffers()
  readonly #abort = new AbortController()
  #stream: Stream | undefined
  #file: { path: string; attributes: TreeFileAttributes; writtenBytes: number } | undefined
  #failure: { readonly error: unknown } | undefined

  private constructor(options: SshTreeOptions, tree: RemoteTree) {
    this.#options = options
    this.#tree = tree
  }

  /** Opens `directory`, made when missing, for filling. */
  static async open(options: SshTreeOptions): Promise<SshTreeWriter> {
    const { directory, owner, files, connection } = options
    await files.makeDirectory(directory, owner === undefined ? {} : { owner })
    const { stdout, stderr, exitCode } = await connection.run({
      command: ['find', '-H', directory, '-mindepth', '1', '-printf', '%y%P\\0'],
      directory: '/',
      environment: {},
      timeoutMs: SYNC_TIMEOUT_MS,
      outputLimitBytes: NAMES_BYTES_MAX,
    })
    if (exitCode !== 0) throw new RemoteFileError(stderr)
    return new SshTreeWriter(options, new RemoteTree(directory, splitNames(directory, stdout)))
  }

  async makeDirectory(path: string, mode: number): Promise<void> {
    await this.#guard(`make directory "${path}"`, async () => {
      const place = this.#tree.placeDirectory(path)
      await this.#makeParents(place.missingParents)
      const { files, directory, owner } = this.#options
      // tar runs as the owner, who may not change what is somebody else's still.
      if (place.wasThere) {
        const ownership = owner === undefined ? { mode } : { mode, owner }
        await files.makeDirectory(`${directory}/${place.path}`, ownership)
      } else await this.#addEntry({ kind: 'directory', path: place.path, mode })
    })
  }

  async makeLink(path: string, target: string): Promise<void> {
    await this.#guard(`make link "${path}"`, async () => {
      const place = this.#tree.placeFile(path)
      await this.#makeParents(place.missingParents)
      await this.#addEntry({ kind: 'link', path: place.path, mode: 0o777, target })
      this.#tree.addLink(place.path)
    })
  }

  async beginFile(path: string, attributes: TreeFileAttributes): Promise<void> {
    await this.#guard(`write "${path}"`, async () => {
      if (this.#file !== undefined) throw misuse('another file is being written')
      const place = this.#tree.placeFile(path)
      await this.#makeParents(place.missingParents)
      await this.#addEntry({ kind: 'file', ...attributes, path: place.path })
      this.#file = { path, attributes, writtenBytes: 0 }
    })
  }

  write(chunk: Uint8Array): void | Promise<void> {
    const file = this.#file
    if (file === undefined) throw misuse('no file was begun')
    const action = `write "${file.path}"`
    try {
      this.#throwIfFailed()
      file.writtenBytes += chunk.length
      checkNotTooLong(file.path, file.attributes.sizeBytes, file.writtenBytes)
      return this.#openStream()
        .bytes.write(chunk)
        ?.catch((error: unknown) => this.#fail(action, error))
    } catch (error) {
      return this.#fail(action, error)
    }
  }

  async endFile(): Promise<void> {
    const file = this.#file
    if (file === undefined) throw misuse('no file was begun')
    this.#file = undefined
    await this.#guard(`write "${file.path}"`, async () => {
      const { sizeBytes } = file.attributes
      checkComplete(file.path, sizeBytes, file.writtenBytes)
      await this.#openStream().bytes.write(tarPadding(sizeBytes))
    })
  }

  async sync(): Promise<void> {
    const { connection, directory } = this.#options
    await this.#guard(`make "${directory}" durable`, async () => {
      if (this.#file !== undefined) throw misuse('a file is being written')
      await this.#endStream()
      const result = await connection.run({
        command: ['sh', '-c', SYNC, 'sh', directory],
        directory: '/',
        environment: {},
        timeoutMs: SYNC_TIMEOUT_MS,
      })
      if (result.exitCode !== 0) throw new RemoteFileError(result.stderr)
    })
  }

  async close(): Promise<void> {
    const stream = this.#stream
    this.#stream = undefined
    this.#file = undefined
    if (stream === undefined) return
    this.#abort.abort(new Error('closed'))
    await stream.ended.catch(() => undefined)
    await stream.bytes.settle()
  }

  async #makeParents(paths: readonly string[]): Promise<void> {
    for (const path of paths) await this.#addEntry({ kind: 'directory', path, mode: 0o700 })
  }

  async #addEntry(
    entry: Omit<TreeEntry, 'sizeBytes' | 'modifiedAtMs'> & Partial<TreeEntry>,
  ): Promise<void> {
    const { clock } = this.#options.connection.options
    const whole = { sizeBytes: 0, modifiedAtMs: clock.now(), ...entry }
    await this.#openStream().bytes.write(tarHeader(whole))
  }

  #openStream(): Stream {
    this.#stream ??= startTar(this.#options, this.#buffers, this.#abort.signal)
    return this.#stream
  }

  async #endStream(): Promise<void> {
    const stream = this.#stream
    if (stream === undefined) return
    await stream.bytes.write(tarEnd(stream.bytes.totalBytes))
    await stream.bytes.flush()
    ;(await stream.stdin).end()
    this.#stream = undefined
    const result = await stream.ended
    if (result.exitCode !== 0) throw new RemoteFileError(result.stderr)
  }

  async #guard(action: string, work: () => Promise<void>): Promise<void> {
    this.#throwIfFailed()
    try {
      await work()
    } catch (error) {
      await this.#fail(action, error)
    }
  }

  /**
   * Throws the first failure from then on. Where the stream broke, what tar or ssh said is the
   * reason.
   */
  async #fail(action: string, error: unknown): Promise<never> {
    const stream = this.#stream
    if (stream === undefined || isBackstayError(error)) this.#setFailure(action, error)
    else this.#setFailure(action, await reasonOf(stream, error))
    throw this.#failure?.error
  }

  #setFailure(action: string, error: unknown): void {
    const { name } = this.#options.connection.options
    this.#failure ??= { error: fileError(name, action, error) }
  }

  #throwIfFailed(): void {
    if (this.#failure !== undefined) throw this.#failure.error
  }
}

function startTar(options: SshTreeOptions, buffers: WriteBuffers, signal: AbortSignal): Stream {
  const { connection, directory, owner, isCompressed } = options
  const started = Promise.withResolvers<Writable>()
  const ended = connection.run({
    command: [
      'tar',
      isCompressed ? '-xz' : '-x',
      '-p',
      '--no-same-owner',
      '-f',
      '-',
      '-C',
      directory,
    ],
    user: owner,
    directory: '/',
    environment: {},
    timeoutMs: STREAM_TIMEOUT_MS,
    signal,
    input: (stdin) => started.resolve(isCompressed ? compressInto(stdin) : stdin),
  })
  // Told when the stream is written to or ended.
  ended.catch(started.reject)
  started.promise.catch(() => undefined)
  const bytes = new Gatherer(buffers, async (bytes) => writeTo(await started.promise, bytes))
  return { bytes, stdin: started.promise, ended }
}

/** The fastest level takes two thirds off a program. When either end breaks, both are closed. */
function compressInto(stdin: Writable): Writable {
  const gzip = createGzip({ level: 1, chunkSize: GZIP_CHUNK_BYTES })
  // Why it broke, tar or ssh says; the writer learns by the close.
  pipeline(gzip, stdin, () => undefined)
  return gzip
}

function writeTo(stdin: Writable, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    // A compressor that is closed in the middle forgets who waits for it.
    const lose = (): void => reject(new Error('the stream was closed'))
    stdin.once('close', lose)
    stdin.write(bytes, (error) => {
      stdin.off('close', lose)
      if (error == null) resolve()
      else reject(error)
    })
  })
}

/** Why the stream broke: what tar said before it ended. */
async function reasonOf(stream: Stream, error: unknown): Promise<unknown> {
  try {
    const result = await stream.ended
    return result.stderr.trim() === '' ? error : new RemoteFileError(result.stderr)
  } catch (reason) {
    return reason
  }
}

function misuse(why: string): BackstayError {
  return new BackstayError('BUG', `Cannot write into a tree: ${why}`)
}
