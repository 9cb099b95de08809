/**
 * The copy of identity and passwords that lies where the cluster is: on each machine of a server,
 * root's alone, so that a second operator and one who has lost his state directory can get in over
 * the ssh way they have. Not on the backup server's: root there is not to become the superuser of
 * the database (ADR 0078). Texts only; pure.
 */
import { z } from 'zod'
import { BackstayError } from '../../errors/backstay-error.ts'
import type { Identity } from '../found.ts'
import { rolesWanted } from '../wanted-roles.ts'
import type { ClusterWanted } from '../wanted.ts'

/** Nobody but root may know what is in it. */
export const KEPT_STATE_MODE = 0o600
/** More is not read of such a copy. */
export const KEPT_STATE_BYTES = 64 * 1024

const Kept = z.strictObject({
  format: z.literal(1),
  identity: z.strictObject({
    cluster: z.string(),
    systemIdentifier: z.string().regex(/^\d{1,20}$/),
    major: z.int(),
    createdAt: z.string(),
  }),
  passwords: z.record(z.string(), z.string().min(1)),
})

/** The identity of a cluster, and passwords by the names of their roles, in the clear. */
export type KeptState = Omit<z.output<typeof Kept>, 'format'>

/** Where it lies on a machine. */
export function keptStatePathOf(cluster: string): string {
  return `/etc/backstay/${cluster}.state`
}

/** The roles whose passwords are kept. */
export function keptRoles(wanted: ClusterWanted): readonly string[] {
  return [...new Set([wanted.postgres.superuser, ...rolesWanted(wanted).map(({ name }) => name)])]
}

/** The file's text; undefined while something of it is not known yet. */
export function keptStateText(
  wanted: ClusterWanted,
  identity: Identity | undefined,
  passwords: ReadonlyMap<string, string>,
): string | undefined {
  const roles = keptRoles(wanted)
  if (identity === undefined || roles.some((role) => !passwords.has(role))) return undefined
  const { cluster, systemIdentifier, major, createdAt } = identity
  const kept = {
    format: 1,
    identity: { cluster, systemIdentifier, major, createdAt },
    passwords: Object.fromEntries(roles.map((role) => [role, passwords.get(role)])),
  }
  return `${JSON.stringify(kept, undefined, 2)}\n`
}

/** Reads it. @throws FAILED for anything else, without quoting it */
export function parseKeptState(text: string, place: string): KeptState {
  try {
    const { identity, passwords } = Kept.parse(JSON.parse(text))
    return { identity, passwords }
  } catch {
    // Its content is secret: neither the text nor what a parser says of it is told.
    throw new BackstayError(
      'FAILED',
      `Cannot read ${place}: it is not what Backstay writes there`,
      {
        hint: 'backstay up on a machine that knows the cluster writes it anew.',
      },
    )
  }
}
