/**
 * Logical slots that a change of roles would leave behind. Pure.
 */
import type { SlotFound } from '../cluster/found-sql.ts'

/**
 * Slots of a primary that its successor does not have: they do not stream to a standby by
 * themselves.
 */
export function lostSlots(
  slots: readonly SlotFound[],
  successor: readonly SlotFound[],
): readonly SlotFound[] {
  const there = new Set(successor.map(({ name }) => name))
  return slots.filter((slot) => !slot.isPhysical && !slot.isTemporary && !there.has(slot.name))
}
