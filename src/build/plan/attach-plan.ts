/**
 * The step that waits until a standby streams, and when it is needed.
 */
import type { ServerFound } from '../../cluster/found.ts'
import type { SqlFound } from '../../cluster/found-sql.ts'
import { isAhead } from '../../cluster/replication.ts'
import type { ServerWanted } from '../../cluster/wanted.ts'
import type { MemberFound } from '../../cluster/leader.ts'
import { type Step, step } from './step.ts'

/** The primary a standby is planned for; `found` is undefined while it is still to be built. */
export interface PrimaryOfPlan {
  readonly wanted: ServerWanted
  readonly found: MemberFound | undefined
}

/** For an existing standby; `isDisturbed` when the plan interrupts its stream. */
export function attachSteps(
  found: MemberFound,
  primary: PrimaryOfPlan,
  isDisturbed: boolean,
): readonly Step[] {
  if (found.running === undefined) return [attachStep(found.name, primary, 'it was stopped')]
  if (!isStreaming(primary.found?.sql, found)) {
    return [attachStep(found.name, primary, 'it does not stream')]
  }
  return isDisturbed ? [attachStep(found.name, primary, 'it has to stream again afterwards')] : []
}

/**
 * Whether both ends say that the standby streams from this primary, and it goes on from what that
 * has.
 */
export function isStreaming(primary: SqlFound | undefined, standby: ServerFound): boolean {
  const sender = primary?.senders.find((row) => row.applicationName === standby.name)
  const isAttached = sender?.state === 'streaming' && standby.sql?.receiver?.status === 'streaming'
  return isAttached && !isAhead(primary, standby)
}

/** Waits until a standby streams. */
export function attachStep(server: string, primary: PrimaryOfPlan, reason: string): Step {
  return step(
    server,
    { action: 'attach', primary: primary.wanted.name },
    { title: `wait until it streams from "${primary.wanted.name}"`, reason },
  )
}
