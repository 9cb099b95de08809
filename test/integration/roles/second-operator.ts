/**
 * Another operator of a house, on another machine, and what becomes of the first one's lock while his own machine sleeps.
 */
import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import { type House, openHouse } from '../cluster/house.ts'

/** The same cluster as seen from another machine. */
export async function secondOperator(house: House): Promise<House> {
  const stateDirectory = join(house.path, 'second-state')
  await cp(house.wanted.stateDirectory, stateDirectory, { recursive: true })
  return openHouse(house.path, { ...house.wanted, stateDirectory }, async () => undefined)
}

/** What servers do after a silence of half a minute; one that does not run has nothing to let go of. */
export async function loseLocks(house: House): Promise<void> {
  for (const { name } of house.wanted.servers) {
    await house
      .query(
        name,
        `SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid()`,
      )
      .catch(() => [])
  }
}
