/**
 * Lets commands know a cluster that nobody built with `up`: what that, or `adopt`, would remember of it.
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestServer } from '../../harness/postgres.ts'

/** Writes its identity into its state directory (`.backstay/CLUSTER` unless the cluster file names another one). */
export async function knowCluster(
  pg: TestServer,
  where: { readonly stateDirectory: string; readonly cluster: string },
): Promise<void> {
  const { stateDirectory, cluster } = where
  const [row] = await pg.query('select system_identifier::text as id from pg_control_system()')
  const createdAt = new Date().toISOString()
  const identity = { cluster, systemIdentifier: row?.['id'], major: pg.major, createdAt }
  await mkdir(stateDirectory, { recursive: true, mode: 0o700 })
  await writeFile(join(stateDirectory, 'identity.json'), JSON.stringify(identity), { mode: 0o600 })
}
