/**
 * The steps that give a primary its slots, and take ours away from a standby. Slots of others are
 * never touched.
 */
import type { SlotFound } from '../../cluster/found-sql.ts'
import { isOurSlotName } from '../../cluster/names.ts'
import { added } from './diff.ts'
import type { MemberFound } from '../../cluster/leader.ts'
import { warning } from '../../cluster/problem.ts'
import type { ServerPlan } from './server-plan.ts'
import type { SlotWanted } from '../../cluster/wanted-slots.ts'
import { type Step, step } from './step.ts'

/** One slot the primary has to have. */
export function planSlot(
  server: string,
  slot: SlotWanted,
  slots: readonly SlotFound[],
): ServerPlan {
  const existing = slots.find((candidate) => candidate.name === slot.name)
  if (existing === undefined) return { steps: [slotStep(server, slot, undefined)], problems: [] }
  if (!existing.isPhysical || existing.isTemporary) {
    const kind = existing.isPhysical ? 'temporary' : 'logical'
    const problem = warning(server, {
      code: 'DRIFT',
      message: `Slot "${slot.name}" of server "${server}" is ${kind}; "${slot.user}" needs a permanent physical slot of that name`,
      hint: `Drop it (SELECT pg_drop_replication_slot('${slot.name}')), then run the command again.`,
    })
    return { steps: [], problems: [problem] }
  }
  if (existing.walStatus !== 'lost') return { steps: [], problems: [] }
  return { steps: [slotStep(server, slot, existing)], problems: [] }
}

/** Creates a slot, instead of `lost` when given. */
export function slotStep(server: string, slot: SlotWanted, lost: SlotFound | undefined): Step {
  return step(
    server,
    { action: 'slot', slot: slot.name, replaces: lost !== undefined },
    {
      title: `${lost === undefined ? 'create' : 'recreate'} slot "${slot.name}"`,
      reason:
        lost === undefined
          ? `keeps WAL until "${slot.user}" has it`
          : 'the server gave its WAL up (wal_status "lost")',
      diff: [added(`physical slot ${slot.name}, reserving WAL at once`)],
    },
  )
}

/** Our slots on a standby are left over from when it was primary, and hold back WAL for nobody. */
export function leftSlotSteps(found: MemberFound): readonly Step[] {
  const slots = found.sql?.slots ?? []
  return slots
    .filter((slot) => slot.isPhysical && !slot.isActive && isOurSlotName(slot.name))
    .map(({ name }) =>
      step(
        found.name,
        { action: 'drop-slot', slot: name },
        {
          title: `drop slot "${name}"`,
          reason:
            'it is left from when this server was primary, and only keeps WAL from being removed',
          diff: [{ sign: '-', text: `physical slot ${name}` }],
        },
      ),
    )
}
