/**
 * A cluster on this machine whose servers archive into the repository with Backstay's own program.
 */
import { LAUNCHER } from '../cli/programs.ts'
import { type House, makeHouse, openHouse } from './house.ts'

export async function archivingHouse(standbys: number): Promise<House> {
  const made = await makeHouse({ major: 18, standbys })
  const backup = made.wanted.backup && {
    ...made.wanted.backup,
    program: [process.execPath, LAUNCHER],
  }
  const replication = { ...made.wanted.replication, archivesToRepository: true }
  const wanted = { ...made.wanted, backup, replication }
  return openHouse(made.path, wanted, async () => made[Symbol.asyncDispose]())
}
