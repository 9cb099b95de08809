/**
 * The incoming directory: WAL that an archive_command has copied there by itself (cp, rsync, scp).
 * Files are taken in order of their names and removed once they are durable in the repository.
 */
import { mkdir, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { BarmanServer } from '../../config/barman/model.ts'
import { BackstayError, isBackstayError } from '../../errors/backstay-error.ts'
import { parseWalFileName } from '../../postgres/segment-name.ts'
import { syncDirectory } from '../../util/sync-directory.ts'
import { pushWalContent } from '../../wal/push.ts'
import type { BarmanContext } from '../context.ts'
import { openOrClaimBy } from '../server/claim.ts'
import { decompressWal, incomingBytesMax } from './decompress.ts'
import { readRegular } from '../../util/read-regular.ts'

/** What became of one file. */
export interface TakenFile {
  readonly name: string
  /** Undefined: stored. Otherwise why it was set aside. */
  readonly setAside: string | undefined
}

/**
 * Names waiting, sorted; what is being written (dot files, *.tmp) is not among them. An absent
 * directory holds none.
 */
export async function listIncoming(server: BarmanServer): Promise<string[]> {
  const names = await readdir(server.incomingDirectory).catch(() => [])
  return names.filter((name) => !name.startsWith('.') && !name.endsWith('.tmp')).sort()
}

/**
 * Stores what waits. A file that is no WAL, or is there with other content, goes to the errors
 * directory; one that is too short stays: it may still be written.
 * @throws {BackstayError} STORE, DISK_SPACE; POSTGRES_UNREACHABLE when it is not known yet whose
 * WAL it is.
 */
export async function takeIncoming(
  context: BarmanContext,
  server: BarmanServer,
): Promise<TakenFile[]> {
  const taken: TakenFile[] = []
  const waiting = await listIncoming(server)
  const most = server.archiverBatchSize === 0 ? waiting.length : server.archiverBatchSize
  for (const name of waiting.slice(0, most)) taken.push(await takeOne(context, server, name))
  if (taken.length > 0) await syncDirectory(server.incomingDirectory)
  return taken
}

async function takeOne(
  context: BarmanContext,
  server: BarmanServer,
  name: string,
): Promise<TakenFile> {
  const path = join(server.incomingDirectory, name)
  if (parseWalFileName(name) === undefined) {
    return await setAside(context, server, { name, kind: 'unknown', why: 'it is no WAL file' })
  }
  try {
    const content = await decompressWal(name, await readWaiting(name, path))
    const repository = await openOrClaimBy(context, server, { name, content })
    await pushWalContent(repository, name, content)
    await rm(path)
    return { name, setAside: undefined }
  } catch (error) {
    if (!isBackstayError(error)) throw error
    if (error.code === 'WAL_CONFLICT') {
      return await setAside(context, server, { name, kind: 'duplicate', why: error.message })
    }
    if (error.code === 'WAL_INVALID') return { name, setAside: error.message }
    throw error
  }
}

/**
 * The directory is open to whoever archives.
 * @throws {BackstayError} WAL_INVALID for what is no file, or too long for one
 */
async function readWaiting(name: string, path: string): Promise<Buffer> {
  try {
    return await readRegular(path, incomingBytesMax(name))
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code !== 'EINVAL' && code !== 'EFBIG') throw error
    throw new BackstayError('WAL_INVALID', `Cannot read "${path}": ${message}`, { cause: error })
  }
}

async function setAside(
  { clock }: BarmanContext,
  server: BarmanServer,
  file: { name: string; kind: 'unknown' | 'duplicate'; why: string },
): Promise<TakenFile> {
  const stamp = new Date(clock.now()).toISOString().replace(/[-:]|\.\d+/g, '')
  await mkdir(server.errorsDirectory, { recursive: true, mode: 0o700 })
  const target = join(server.errorsDirectory, `${file.name}.${stamp}.${file.kind}`)
  await rename(join(server.incomingDirectory, file.name), target)
  await syncDirectory(server.errorsDirectory)
  return { name: file.name, setAside: file.why }
}
