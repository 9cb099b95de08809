/**
 * The plan of a restore as one machine tells it to another: as data, so that whoever asked renders
 * it in his own words and his own time zone.
 */
import { strangeKey } from '../repository/backup-shape.ts'
import type { RestorePlan } from '../restore/plan.ts'
import { decodeValue, encodeValue } from '../store/pipe-values.ts'

/** Text without line breaks, short for a backup of any size: its packs and pages stay here. */
export function encodePlan(plan: RestorePlan): string {
  const { tornPages: _pages, ...backup } = plan.backup
  const badPages = { ...backup.badPages, list: backup.badPages.list.slice(0, 1) }
  return encodeValue({ ...plan, backup: { ...backup, packs: [], badPages } }).toString()
}

/**
 * The plan, without the packs of its backup, that the same version of this program told; undefined
 * for what is none. What its backup says becomes paths and text here, and whoever answers may have
 * been broken into.
 */
export function decodePlan(text: string): RestorePlan | undefined {
  try {
    const plan = Object(decodeValue(Buffer.from(text))) as RestorePlan
    const backup = Object(plan.backup) as Record<string, unknown>
    return strangeKey(backup) === undefined && Array.isArray(plan.path) ? plan : undefined
  } catch {
    return undefined
  }
}
