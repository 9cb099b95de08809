/**
 * What expiring and deleting say.
 */
import type { ExpiryResult } from '../../backup/expire.ts'
import type { ExpiryPlan } from '../../backup/retention.ts'
import type { CollectedGarbage } from '../../repository/garbage.ts'
import { spellIsoTime } from '../../util/local-time.ts'
import { formatSize } from '../../util/size.ts'
import type { CommandResult } from '../context.ts'

/** A plan that was not carried out. */
export function planResult(plan: ExpiryPlan): CommandResult {
  return {
    data: { ...planJson(plan), done: false },
    text: () => `${describePlan(plan, 'would go')}${stayLines(plan)}`,
  }
}

/** A plan that was carried out: what went, what was freed, what of interrupted backups stays. */
export function doneResult({ plan, garbage }: ExpiryResult): CommandResult {
  return {
    data: {
      ...planJson(plan),
      done: true,
      packsRemoved: garbage.packs.length,
      bytesFreed: garbage.bytes,
      interrupted: garbage.resumable.map(({ id, storedBytes, until }) => ({
        id,
        storedBytes,
        until,
      })),
    },
    text: () =>
      `${describePlan(plan, 'went')}${formatSize(garbage.bytes)} were freed.\n${resumableLines(garbage)}`,
  }
}

function resumableLines({ resumable }: CollectedGarbage): string {
  return resumable
    .map(
      ({ id, storedBytes, until }) =>
        `What interrupted full backup ${id} has stored, ${formatSize(storedBytes)}, stays until ${spellIsoTime(until)}: the next full goes on with it.\n`,
    )
    .join('')
}

function planJson(plan: ExpiryPlan): object {
  return { expire: plan.expire, stay: plan.stay, walSegments: plan.segments.length }
}

function describePlan(plan: ExpiryPlan, verb: string): string {
  const { expire, segments } = plan
  if (expire.length === 0 && segments.length === 0) return 'Nothing has expired.\n'
  const lines = expire.map(({ id, because }) => `Backup ${id} ${verb}: ${because}\n`)
  return `${lines.join('')}${segments.length} WAL segments ${verb}.\n`
}

function stayLines(plan: ExpiryPlan): string {
  return plan.stay.map(({ id, because }) => `Backup ${id} stays: ${because}\n`).join('')
}
