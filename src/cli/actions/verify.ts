/**
 * Proves replication with a row.
 */
import { verifyCluster } from '../../build/verify.ts'
import type { OPTIONS } from '../commands/verify.ts'
import type { CommandContext, CommandResult } from '../context.ts'
import { openClusterSession } from '../session/cluster-session.ts'

/** @throws PRIMARY_MISSING, what writing on the primary throws */
export async function run(context: CommandContext<typeof OPTIONS>): Promise<CommandResult> {
  await using session = await openClusterSession(context)
  const proof = await verifyCluster(session.cluster, { timeoutMs: context.options.timeout })
  const bad = proof.standbys.filter((standby) => !standby.isProved)
  return {
    data: { cluster: session.wanted.name, ...proof },
    text: () =>
      [
        ...proof.checked,
        ...bad.map(({ server, reason }) => `not proved: ${server}: ${reason ?? ''}`),
        proof.isProved ? 'replication is proved' : 'replication is NOT proved',
      ].join('\n'),
    exitCode: proof.isProved ? 0 : 3,
  }
}
