/**
 * What Backstay has to know of a cluster it did not build: which it is, and the superuser's
 * password.
 */
import { BackstayError } from '../../errors/backstay-error.ts'
import type { Clock } from '../../util/clock.ts'
import type { StateDirectory } from '../../cluster/state/state-directory.ts'
import type { AdoptedCluster } from '../../cluster/adopted.ts'

/** Remembers. @throws POSTGRES_IDENTITY when the state directory is of another cluster. */
export async function rememberAdopted(
  state: StateDirectory,
  adopted: { readonly cluster: string; readonly found: AdoptedCluster; readonly clock: Clock },
  password: string | undefined,
): Promise<void> {
  const { cluster, found, clock } = adopted
  const { systemIdentifier, major, superuser } = found
  const known = await state.readIdentity()
  if (known !== undefined && known.systemIdentifier !== systemIdentifier) {
    throw new BackstayError(
      'POSTGRES_IDENTITY',
      `"${state.path}" is the state of another cluster: system identifier ${known.systemIdentifier}, not ${systemIdentifier}`,
      { hint: 'Choose another name with --cluster.' },
    )
  }
  const createdAt = known?.createdAt ?? new Date(clock.now()).toISOString()
  await state.writeIdentity({ cluster, systemIdentifier, major, createdAt })
  const passwords = await state.readPasswords([superuser])
  if (password !== undefined && !passwords.has(superuser)) {
    await state.addPasswords(new Map([[superuser, password]]))
  }
}
