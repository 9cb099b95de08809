/**
 * Gives this machine what another one knows of the cluster: identity and passwords, from the copies
 * on the servers' machines.
 */
import { quotedNames } from '../../util/quoted-names.ts'
import { BackstayError } from '../../errors/backstay-error.ts'
import { type ClusterContext, factOf } from '../context.ts'
import { lockCluster } from '../lock.ts'
import { fetchKept } from '../look/look-kept.ts'
import { type KeptState, keptStatePathOf } from './kept-state.ts'

/** Asked before anything is fetched into the state directory. */
export interface JoinWish {
  readonly confirm: (question: string) => Promise<boolean>
}

/** What was fetched, and from where. */
interface JoinResult {
  readonly systemIdentifier: string
  /** Servers whose machines hold the copy. */
  readonly from: readonly string[]
  /** Roles whose password was not known here; empty when nothing was to be fetched. */
  readonly roles: readonly string[]
  /** Machines that could not be asked, and why. */
  readonly notes: readonly string[]
}

interface Copy {
  readonly server: string
  readonly kept: KeptState
}

/**
 * Joins.
 * @throws NOT_READY when no copy is found or they differ, POSTGRES_IDENTITY, NEEDS_CONFIRMATION,
 * DIRECTORY_OWNER
 */
export async function joinCluster(
  context: ClusterContext,
  { confirm }: JoinWish,
): Promise<JoinResult> {
  const { state, wanted } = context
  const { copies, notes } = await fetchCopies(context)
  const [first] = copies
  if (first === undefined) throw nowhere(context, notes)
  refuseDifferent(context, copies)
  const { identity, passwords } = first.kept
  const from = copies.map(({ server }) => server)
  const names = quotedNames(from)
  const question = `Fetch identity and passwords of cluster "${wanted.name}" (system identifier ${identity.systemIdentifier}) from ${names} into ${state.path}?`
  if (!(await confirm(question))) {
    throw new BackstayError('NEEDS_CONFIRMATION', `Will not join unasked: ${question}`)
  }
  await using lock = await lockCluster(context, 'join')
  void lock
  await refuseOther(context, identity.systemIdentifier)
  await state.writeIdentity(identity)
  const known = await state.readPasswords(Object.keys(passwords))
  const roles = Object.keys(passwords).filter((role) => !known.has(role))
  if (roles.length > 0) {
    await state.addPasswords(new Map(roles.map((role) => [role, passwords[role] ?? ''])))
  }
  return { systemIdentifier: identity.systemIdentifier, from, roles, notes }
}

/**
 * A machine that does not answer is no reason not to ask the others; a copy that others may have
 * changed is.
 */
async function fetchCopies(
  context: ClusterContext,
): Promise<{ readonly copies: readonly Copy[]; readonly notes: readonly string[] }> {
  const copies: Copy[] = []
  const notes: string[] = []
  for (const server of context.wanted.servers) {
    try {
      const kept = await fetchKept(context, server)
      if (kept !== undefined) copies.push({ server: server.name, kept })
    } catch (error) {
      const fact = factOf(error)
      if (fact.code === 'DIRECTORY_OWNER') throw fact
      notes.push(`"${server.name}": ${fact.message}`)
    }
  }
  return { copies, notes }
}

function nowhere({ wanted }: ClusterContext, notes: readonly string[]): BackstayError {
  const path = keptStatePathOf(wanted.name)
  const also = notes.length === 0 ? '' : ` (${notes.join('; ')})`
  return new BackstayError(
    'NOT_READY',
    `Cannot join cluster "${wanted.name}": no machine of its servers holds ${path}${also}`,
    {
      hint: 'backstay up on a machine that knows the cluster writes it there, where the login is root. A cluster that Backstay did not build is taken over with backstay adopt.',
    },
  )
}

function refuseDifferent({ wanted }: ClusterContext, copies: readonly Copy[]): void {
  const [first, ...others] = copies
  const other = others.find(({ kept }) => JSON.stringify(kept) !== JSON.stringify(first?.kept))
  if (first === undefined) return
  if (first.kept.identity.cluster !== wanted.name) {
    throw new BackstayError(
      'POSTGRES_IDENTITY',
      `"${first.server}" holds the state of cluster "${first.kept.identity.cluster}", not of "${wanted.name}"`,
    )
  }
  if (other === undefined) return
  throw new BackstayError(
    'NOT_READY',
    `Cannot join: "${first.server}" and "${other.server}" hold different states of the cluster`,
    { hint: 'Run backstay up on the machine that knows the cluster: it brings both to the same.' },
  )
}

async function refuseOther({ state }: ClusterContext, systemIdentifier: string): Promise<void> {
  const known = await state.readIdentity()
  if (known === undefined || known.systemIdentifier === systemIdentifier) return
  throw new BackstayError(
    'POSTGRES_IDENTITY',
    `"${state.path}" is the state of another cluster: system identifier ${known.systemIdentifier}, not ${systemIdentifier}`,
    { hint: 'Use another directory, or another stateDirectory in the cluster file.' },
  )
}
