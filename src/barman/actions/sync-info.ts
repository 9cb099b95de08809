/**
 * Says what of a server is here, for a passive Barman that wants to copy it.
 */
import type { BarmanServer } from '../../config/barman/model.ts'
import { addBytes, formatLsn } from '../../postgres/lsn.ts'
import { formatSegmentName, segmentOf } from '../../postgres/segment-name.ts'
import { listBackups } from '../../repository/catalogue.ts'
import type { ClusterRepository } from '../../repository/cluster-repository.ts'
import { storedEnds } from '../../wal/held-wal.ts'
import { barmanThere } from '../passive/primary-repository.ts'
import { askPrimary } from '../passive/primary-shell.ts'
import type { BarmanContext } from '../context.ts'
import type { Json } from '../output/python-json.ts'
import { oneServer } from '../server/chosen-servers.ts'
import { openServer } from '../server/barman-place.ts'
import { BARMAN_VERSION } from '../version.ts'

/** @throws {BackstayError} HOST_COMMAND, STORE */
export async function run(context: BarmanContext): Promise<void> {
  const { output, options } = context
  const server = oneServer(context)
  if (server === undefined) return
  if (options.primary === true) return await askOther(context, server)
  if (server.isPassive) {
    return output.error(`Server '${server.name}' is passive: ask its primary with --primary`)
  }
  const repository = await openServer(context, server)
  if (repository === undefined) {
    return output.error(`Nothing of server '${server.name}' is stored yet`)
  }
  const { identity, store } = repository
  const { systemIdentifier, major, segmentBytes } = identity
  const backups = (await listBackups(repository)).map(({ info }) => [
    info.id,
    {
      backup_id: info.id,
      backup_name: info.label,
      begin_xlog: formatLsn(info.startLsn),
      end_xlog: formatLsn(info.stopLsn),
      size: info.bytes.database,
      status: 'DONE',
      systemid: systemIdentifier,
      timeline: info.timeline,
      version: info.postgres.versionNumber,
    },
  ])
  const info = {
    last_position: 0,
    last_name: await lastName(repository),
    backups: Object.fromEntries(backups) as Readonly<Record<string, Json>>,
    wals: [],
    version: BARMAN_VERSION,
    backstay: {
      repository: store.location,
      cluster: identity.cluster,
      systemIdentifier,
      major,
      segmentBytes,
    },
  }
  // One object on either format, as Barman prints it.
  for (const [key, value] of Object.entries(info)) output.data(key, value)
  output.lines(JSON.stringify(info, undefined, 4))
}

/** Name of the newest finished segment; empty when there is none. */
async function lastName(repository: ClusterRepository): Promise<string> {
  const [timeline, endLsn] = [...(await storedEnds(repository))].at(-1) ?? []
  if (timeline === undefined || endLsn === undefined) return ''
  const { segmentBytes } = repository.identity
  return formatSegmentName(
    segmentOf(addBytes(endLsn, -1), { timeline, segmentBytes }),
    segmentBytes,
  )
}

async function askOther(context: BarmanContext, server: BarmanServer): Promise<void> {
  const { output, signal, config } = context
  const { primarySshCommand: command, forwardsConfigPath, name } = server
  if (command === undefined) return output.error(`Server '${name}' has no primary_ssh_command`)
  const configFile = forwardsConfigPath ? config.file : undefined
  const text = await askPrimary({ command, signal }, barmanThere({ name, configFile }, 'sync-info'))
  output.lines(text.trimEnd())
}
