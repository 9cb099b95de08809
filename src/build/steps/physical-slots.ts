/**
 * Creates and drops physical slots. Only slots whose names the plan was given are touched.
 */
import { openAdminSql } from '../../cluster/look/connect.ts'
import { type Act, serverOfStep } from './act-context.ts'

/**
 * Creates the slot, reserving WAL at once; one the server gave up is dropped first, in the same
 * transaction.
 */
export const createSlot: Act<'slot'> = async (context, step) => {
  await using sql = await openAdminSql(context, serverOfStep(context, step))
  if (step.replaces) {
    await sql.query(
      `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots
        WHERE slot_name = $1 AND slot_type = 'physical' AND wal_status = 'lost'`,
      [step.slot],
    )
  }
  await sql.query(
    `SELECT pg_create_physical_replication_slot($1::name, true)
      WHERE NOT EXISTS (SELECT 1 FROM pg_replication_slots WHERE slot_name = $1::name)`,
    [step.slot],
  )
}

/** Drops a slot that nobody uses. */
export const dropSlot: Act<'drop-slot'> = async (context, step) => {
  await using sql = await openAdminSql(context, serverOfStep(context, step))
  await sql.query(
    `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots
      WHERE slot_name = $1 AND slot_type = 'physical' AND NOT active`,
    [step.slot],
  )
}
