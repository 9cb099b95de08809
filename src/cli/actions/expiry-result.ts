/**
 * What expiring and deleting say.
 */
import type { ExpiryResult } from '../../backup/expire.ts'
import type { ExpiryPlan } from '../../backup/retention.ts'
import { formatSize } from '../../util/size.ts'
import type { CommandResult } from '../context.ts'

/** A plan that was not carried out. */
export function planResult(plan: ExpiryPlan): CommandResult {
  return {
    data: { ...planJson(plan), done: false },
    text: () => `${describePlan(plan, 'would go')}${stayLines(plan)}`,
  }
}

/** What was done. */
export function doneResult({ plan, garbage }: ExpiryResult): CommandResult {
  return {
    data: {
      ...planJson(plan),
      done: true,
      packsRemoved: garbage.packs.length,
      bytesFreed: garbage.bytes,
    },
    text: () => `${describePlan(plan, 'went')}${formatSize(garbage.bytes)} were freed.\n`,
  }
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
