/**
 * What a clone is written into is given to PostgreSQL's OS user with all that lies there: it has to
 * be nothing. Asked right before, because the look that the plan was made from may be old, and was
 * that user's own word where the directory is his.
 */
import { BackstayError } from '../../errors/backstay-error.ts'
import type { Host } from '../../host/host.ts'
import { CLONE_MARK_NAME } from '../../cluster/names.ts'

/** A directory that is to be filled, whose it becomes, and for which server. */
export interface CloneGround {
  readonly server: string
  readonly directory: string
  readonly owner: string
}

/**
 * Passes what is missing, or his and empty but for the mark of a clone.
 * @throws DIRECTORY_FOREIGN, DIRECTORY_OWNER
 */
export async function refuseOccupied(host: Host, ground: CloneGround): Promise<void> {
  const { directory, owner } = ground
  const names = await host.list(directory)
  if (names === undefined) {
    if ((await host.inspect(directory)) === undefined) return
    throw occupied(ground, 'it is no directory')
  }
  const foreign = names.find((name) => name !== CLONE_MARK_NAME)
  if (foreign !== undefined) throw occupied(ground, `it holds "${foreign}" already`)
  const found = await host.inspect(`${directory}/.`)
  if (found === undefined || found.owner === owner) return
  throw new BackstayError(
    'DIRECTORY_OWNER',
    `Cannot clone to server "${ground.server}": directory "${directory}" belongs to "${found.owner}", not to "${owner}"`,
    {
      hint: `If it may be his: chown ${owner} ${directory}`,
      details: { server: ground.server, directory },
    },
  )
}

function occupied({ server, directory }: CloneGround, why: string): BackstayError {
  return new BackstayError(
    'DIRECTORY_FOREIGN',
    `Cannot clone to server "${server}" in "${directory}": ${why}`,
    {
      hint: 'Look what it is, and name another directory in the cluster file.',
      details: { server, directory },
    },
  )
}
