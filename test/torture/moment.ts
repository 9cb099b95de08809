/**
 * A moment that can be restored and compared: nobody writes, what every table holds is read, every page of the primary is read
 * from its disk, and a restore point marks the place in the WAL.
 */
import { type Content, comparedRelations, contentOf } from './content.ts'
import type { TortureCluster } from './cluster.ts'
import { readRelations, type RelationPages } from './relation-pages.ts'

/** What was so when nobody wrote. */
export interface Moment {
  /** Name of the restore point. */
  readonly name: string
  readonly timeline: number
  /** Of the restore point. */
  readonly lsn: bigint
  readonly content: Content
  readonly pages: readonly RelationPages[]
  readonly tablespaceOid: string
  /** Rows whose commit was acknowledged by then. */
  readonly acknowledged: readonly bigint[]
}

const POSITION = `SELECT timeline_id AS timeline, pg_create_restore_point('NAME')::text AS lsn,
  (SELECT oid::text FROM pg_tablespace WHERE spcname = 'elsewhere') AS oid FROM pg_control_checkpoint()`

/** Reads the primary; the caller has stopped everything that writes. */
export async function takeMoment(
  cluster: TortureCluster,
  name: string,
  acknowledged: readonly bigint[],
): Promise<Moment> {
  const primary = await cluster.primary()
  const content = await contentOf(cluster, primary)
  const relations = await comparedRelations(cluster, primary)
  await cluster.query(primary, 'CHECKPOINT')
  const pages = await readRelations(cluster.directory(primary), relations)
  const [row] = await cluster.query(primary, POSITION.replace('NAME', name))
  const { timeline, lsn, oid } = row as { timeline: number; lsn: string; oid: string }
  return { name, timeline, lsn: lsnOf(lsn), content, pages, acknowledged, tablespaceOid: oid }
}

/** `16/B374D848` as a number. */
export function lsnOf(text: string): bigint {
  const [high = '0', low = '0'] = text.split('/')
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`)
}
