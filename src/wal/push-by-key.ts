/**
 * Stores WAL that came with a database server's key: as any other push, and marked until the
 * receiver has seen the same.
 */
import { isBackstayError } from '../errors/backstay-error.ts'
import { parseWalFileName } from '../postgres/segment-name.ts'
import type { ClusterRepository } from '../repository/cluster-repository.ts'
import { storeOverPushed } from './contested.ts'
import type { StoreOutcome } from './judged-segment.ts'
import { pushWalContent } from './push.ts'
import {
  clearPushed,
  confirmPushed,
  isProvisional,
  markPushed,
  type PushedBy,
} from './pushed-mark.ts'

/** A WAL file under the name PostgreSQL archives it by. */
interface PushedFile {
  readonly name: string
  readonly content: Buffer
}

/**
 * Stores the file that a server pushed; durable when it resolves. What came before while no primary
 * answered makes room for what the primary has.
 * @throws {BackstayError} what `pushWalContent` throws
 */
export async function pushByKey(
  repository: ClusterRepository,
  file: PushedFile,
  by: PushedBy,
): Promise<StoreOutcome> {
  const { name, content } = file
  try {
    const outcome = await push(repository, file, by)
    if (by.isAsked && outcome === 'present') await confirmPushed(repository, name, by.server)
    return outcome
  } catch (error) {
    const isContested = by.isAsked && isBackstayError(error, 'WAL_CONFLICT')
    if (!isContested || !(await isProvisional(repository, name))) throw error
    // What is pushed is proved before what is there makes room for it: only then it is a conflict.
    await storeOverPushed(repository, name, async () => pushWalContent(repository, name, content))
    await markPushed(repository, name, by)
    return 'stored'
  }
}

async function push(
  repository: ClusterRepository,
  { name, content }: PushedFile,
  by: PushedBy,
): Promise<StoreOutcome> {
  const isMarked =
    (await isNew(repository, name)) && (await markPushed(repository, name, by)) === 'stored'
  try {
    const outcome = await pushWalContent(repository, name, content)
    if (outcome === 'replaced') await markPushed(repository, name, by)
    if (outcome === 'present' && isMarked) await clearPushed(repository, name)
    return outcome
  } catch (error) {
    // Nothing of it was stored. After any other error that is not known, and a mark too many does
    // no harm.
    const isRefused =
      isBackstayError(error, 'WAL_CONFLICT') || isBackstayError(error, 'WAL_INVALID')
    if (isMarked && isRefused) await clearPushed(repository, name)
    throw error
  }
}

/** Only what the receiver stores too is marked. */
async function isNew({ wal, store, names }: ClusterRepository, name: string): Promise<boolean> {
  const file = parseWalFileName(name)
  if (file?.kind === 'segment') return !(await wal.hasSegment(name))
  if (file?.kind !== 'history') return false
  return (await store.size(names.walHistory(file.timeline))) === undefined
}
