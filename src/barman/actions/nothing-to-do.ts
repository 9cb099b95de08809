/**
 * Commands that repair what cannot break here: they say why there is nothing to do.
 */
import type { BarmanContext } from '../context.ts'
import { findServerBackup } from '../server/backups.ts'
import { oneServer, severalServers } from '../server/chosen-servers.ts'

/** `barman rebuild-xlogdb`: there is no xlog.db. */
export const rebuildXlogdb = {
  run(context: BarmanContext): Promise<void> {
    for (const { name } of severalServers(context, { inactive: true })) {
      context.output.info(
        `Nothing to rebuild for server ${name}: the repository lists its WAL itself`,
      )
    }
    return Promise.resolve()
  },
}

/** `barman lock-directory-cleanup`: whoever meets a dead process's lock removes it. */
export const lockDirectoryCleanup = {
  run({ output }: BarmanContext): Promise<void> {
    output.info(
      'Nothing to clean: locks of dead processes are recognised and removed by who meets them',
    )
    return Promise.resolve()
  },
}

/** generate-manifest: every backup has its manifest from the beginning. */
export const generateManifest = {
  async run(context: BarmanContext): Promise<void> {
    const server = oneServer(context)
    if (server === undefined) return
    const found = await findServerBackup(context, server, context.words[1] ?? '')
    if (found === undefined) return
    const { id } = found.backup.info
    context.output.error(`Backup ${id} has a manifest already: "barman verify-backup" reads it`)
  },
}
