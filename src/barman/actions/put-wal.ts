/**
 * Stores the WAL files a client sends. Everything is read and every checksum compared before
 * anything is stored; each file is durable when the command ends with 0. A segment is looked at
 * before it is taken, and one that is there with other content is refused with an error, so that
 * PostgreSQL keeps it.
 */
import type { BarmanServer } from '../../config/barman/model.ts'
import { isBackstayError } from '../../errors/backstay-error.ts'
import { parseWalFileName } from '../../postgres/segment-name.ts'
import { pushWalContent } from '../../wal/push.ts'
import type { BarmanContext } from '../context.ts'
import { openOrClaimBy } from '../server/claim.ts'
import { oneServer } from '../server/chosen-servers.ts'
import { checkFiles, type SentFile } from '../wal/checked-files.ts'
import { decompressWal } from '../wal/decompress.ts'
import { sshSuffix } from '../wal/remote-words.ts'
import { readTarMembers, type TarMember } from '../wal/tar-members.ts'

/** @throws {BackstayError} WAL_INVALID, WAL_CONFLICT, STORE, DISK_SPACE, … */
export async function run(context: BarmanContext): Promise<void> {
  const { output, options } = context
  const server = oneServer(context, { inactiveIsError: true })
  if (server === undefined) return
  if (server.isPassive) return output.error(`Cannot put WAL into passive server '${server.name}'`)
  if (options.test === true) {
    output.info(`Ready to accept WAL files for the server ${server.name}`)
    return
  }
  const members = await readMembers(context)
  if (members === undefined) return
  const place = ` in put-wal for server '${server.name}'${sshSuffix(context.environment)}`
  const { files, warnings, error } = checkFiles(members, place)
  for (const warning of warnings) output.warning(warning)
  if (error !== undefined) return output.error(error)
  const foreign = files.find(({ name }) => parseWalFileName(name) === undefined)
  if (foreign !== undefined) {
    return output.error(`Unsupported filename '${foreign.name}'${place}: it names no WAL file`)
  }
  for (const file of files) await store(context, server, file)
}

async function readMembers(context: BarmanContext): Promise<TarMember[] | undefined> {
  try {
    return await readTarMembers(context.stdin as AsyncIterable<Buffer>)
  } catch (error) {
    if (!isBackstayError(error, 'WAL_INVALID')) throw error
    context.output.exception(`${error.message}\nSee log file for more details.`)
    return undefined
  }
}

async function store(context: BarmanContext, server: BarmanServer, file: SentFile): Promise<void> {
  const { name } = file
  const content = await decompressWal(name, file.content)
  const repository = await openOrClaimBy(context, server, { name, content })
  await pushWalContent(repository, name, content)
}
