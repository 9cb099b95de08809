/**
 * Addresses that cannot work once more than one machine is in the cluster. Pure.
 */
import type { ClusterWanted } from '../../cluster/wanted.ts'
import { blocker, type Problem } from '../../cluster/problem.ts'
import { isLoopback } from '../../cluster/settings.ts'

/**
 * Other machines connect to a server's address: it must not be a name that every machine has for
 * itself.
 */
export function addressProblems(wanted: ClusterWanted): readonly Problem[] {
  const { servers, backup } = wanted
  const inhabitants = [...servers, ...(backup === undefined ? [] : [backup])]
  if (inhabitants.every(({ host }) => host.local)) return []
  return servers
    .filter(({ address }) => isLoopback(address))
    .map(({ name, address }) =>
      blocker(name, {
        code: 'CONFIG_INVALID',
        message: `Cannot build a cluster of several machines around server "${name}": its address "${address}" is every machine's own`,
        hint: `Set servers.${name}.address in the cluster file to one that the other machines can connect to.`,
      }),
    )
}
