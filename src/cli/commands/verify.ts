/**
 * `backstay verify`: proof that a row crosses.
 */
import { verifyCluster } from '../../build/verify.ts'
import type { CommandContext, CommandResult } from '../context.ts'
import { defineCommand } from '../define-command.ts'
import type { OptionSpecs } from '../option-spec.ts'
import { openClusterSession } from '../session/cluster-session.ts'

const OPTIONS = {
  timeout: {
    type: 'duration',
    value: 'TIME',
    default: 30_000,
    min: 100,
    help: 'How long to wait for the row',
  },
} as const satisfies OptionSpecs

export default defineCommand({
  description: `Writes a row with a new token on the primary and finds it on every standby, measures the delay, and reads both ends of each connection. Exit code 3 when a standby is not proved.`,
  options: OPTIONS,
  needs: { config: true },
  exits: ['CHECK_FAILED', 'PRIMARY_MISSING'],
  examples: ['backstay verify'],
  run,
})

/** @throws PRIMARY_MISSING, what writing on the primary throws */
async function run(context: CommandContext<typeof OPTIONS>): Promise<CommandResult> {
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
