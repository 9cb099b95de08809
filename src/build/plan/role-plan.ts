/**
 * The steps that make roles as they have to be.
 */
import type { RoleFound } from '../../cluster/found-sql.ts'
import type { ClusterWanted } from '../../cluster/wanted.ts'
import { added } from './diff.ts'
import { roleChanges, rolesWanted } from '../../cluster/wanted-roles.ts'
import { type Step, step } from './step.ts'

/** One step for each role that is missing or not as wanted. */
export function roleSteps(
  wanted: ClusterWanted,
  server: string,
  found: readonly RoleFound[],
): readonly Step[] {
  return rolesWanted(wanted).flatMap((role) => {
    const existing = found.find((candidate) => candidate.name === role.name)
    const changes = roleChanges(role, existing, wanted.postgres.authentication)
    if (changes.length === 0) return []
    const title = existing === undefined ? 'create' : 'correct'
    return [
      step(
        server,
        { action: 'role', role },
        {
          title: `${title} role "${role.name}"`,
          reason: existing === undefined ? role.purpose : 'it is not as it should be',
          diff: changes.map(added),
        },
      ),
    ]
  })
}
