/**
 * Gives a WAL file: its bytes and nothing else on standard output, or into a directory.
 */
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { parseWalFileName } from '../../postgres/segment-name.ts'
import type { ClusterRepository } from '../../repository/cluster-repository.ts'
import type { BarmanContext } from '../context.ts'
import { oneServer } from '../server/chosen-servers.ts'
import { openServer } from '../server/barman-place.ts'
import { findStoredWal, findWal, peekWal } from '../wal/find-wal.ts'
import { sshSuffix } from '../wal/remote-words.ts'

const INVALID_EXIT_CODE = 3

/** @throws {BackstayError} REPOSITORY_DAMAGED, STORE */
export async function run(context: BarmanContext): Promise<void> {
  const { output, options } = context
  const server = oneServer(context, { inactive: true })
  if (server === undefined) return
  if (options.test === true) {
    output.info(`Ready to retrieve WAL files from the server ${server.name}`)
    return
  }
  const name = context.words[1] ?? ''
  const suffix = sshSuffix(context.environment)
  if (parseWalFileName(name) === undefined) {
    return invalid(context, `'${name}' is not a valid wal file name${suffix}`)
  }
  const repository = await openServer(context, server)
  const most = options.peek
  if (most !== undefined) {
    output.lines(...(repository === undefined ? [] : await peekWal(repository, name, most)))
    return
  }
  const content = repository === undefined ? undefined : await find(context, repository, name)
  if (content === undefined) {
    return output.error(`WAL file '${name}' not found in server '${server.name}'${suffix}`)
  }
  await give(context, name, content)
}

/**
 * The bytes to give. With --keep-compression as they are stored, where they are stored compressed.
 */
async function find(
  context: BarmanContext,
  repository: ClusterRepository,
  name: string,
): Promise<Buffer | undefined> {
  const { options } = context
  const stored =
    options.keepCompression === true ? await findStoredWal(repository, name) : undefined
  if (stored !== undefined) return stored
  const content = await findWal(repository, name, options.partial === true)
  return content && (await compressed(context, content))
}

function invalid({ output }: BarmanContext, text: string): void {
  output.exitCode = INVALID_EXIT_CODE
  output.error(text)
}

async function compressed({ options }: BarmanContext, content: Buffer): Promise<Buffer> {
  if (options.gzip === true || options.x === true) return await promisify(gzip)(content)
  if (options.bzip2 !== true) return content
  return await (await import('../wal/pipe-through.ts')).pipeThrough(['bzip2', '-c'], content)
}

async function give(context: BarmanContext, name: string, content: Buffer): Promise<void> {
  const directory = context.options.outputDirectory
  if (directory === undefined) return await write(context.stdout, content)
  const isDirectory = await stat(directory).then(
    (found) => found.isDirectory(),
    () => false,
  )
  if (!isDirectory) return invalid(context, `'${directory}' is not a directory`)
  const { replaceFile } = await import('../../host/local-files.ts')
  await replaceFile(join(directory, name), content, { mode: 0o600, owner: undefined })
}

async function write(stream: NodeJS.WritableStream, content: Buffer): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  stream.write(content, (error) => (error == null ? resolve() : reject(error)))
  await promise
}
