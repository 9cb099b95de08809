/**
 * What has to be known of a server before it is backed up, asked over the replication connection.
 */
import type { Lsn } from '../../postgres/lsn.ts'
import type { TimelineHistory } from '../../postgres/timeline.ts'
import { versionFacts } from '../../postgres/version.ts'
import type { ServerIdentity } from '../../repository/cluster-repository.ts'
import { parseSize } from '../../util/size.ts'
import type { ReplicationConnection } from '../../wire/replication-connection.ts'

/** The server as it is now. */
export interface BackedUpServer extends ServerIdentity {
  /** As `server_version_num`. */
  readonly versionNumber: number
  readonly timeline: number
  readonly history: TimelineHistory
  /** The history file as it is; undefined on timeline 1. */
  readonly historyContent: Buffer | undefined
  readonly flushLsn: Lsn
  readonly blockBytes: number
  readonly dataChecksums: boolean
  /** 17+: it knows which blocks changed. */
  readonly summarizesWal: boolean
}

/** Asks the server. @throws {BackstayError} what the connection throws. */
export async function askServer(
  connection: ReplicationConnection,
  signal: AbortSignal,
): Promise<BackedUpServer> {
  const { systemIdentifier, timeline, flushLsn } = await connection.identifySystem({ signal })
  const show = (setting: string): Promise<string> => connection.show(setting, { signal })
  const facts = versionFacts(connection.major)
  const found =
    timeline === 1
      ? { history: { timeline, switches: [] }, content: undefined }
      : await connection.timelineHistory(timeline, { signal })
  return {
    systemIdentifier,
    major: connection.major,
    segmentBytes: parseSize(await show('wal_segment_size')) ?? 0,
    versionNumber: Number(await show('server_version_num')),
    timeline,
    history: found.history,
    historyContent: found.content,
    flushLsn,
    blockBytes: Number(await show('block_size')),
    dataChecksums: (await show('data_checksums')) === 'on',
    summarizesWal: facts.incrementalBackup && (await show('summarize_wal')) === 'on',
  }
}
