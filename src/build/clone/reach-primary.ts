/**
 * Whether the machine of a standby reaches the primary at all: asked before gigabytes are copied
 * that could not follow it.
 */
import { BackstayError } from '../../errors/backstay-error.ts'
import type { Host } from '../../host/host.ts'
import type { ClusterContext } from '../../cluster/context.ts'
import type { ServerWanted } from '../../cluster/wanted.ts'

const WAIT_SECONDS = 5
/** pg_isready: the server did not answer. */
const NO_ANSWER = 2

/**
 * Asks from there, with pg_isready where that is installed. On this machine the clone's own
 * connection is the proof.
 * @throws POSTGRES_UNREACHABLE naming both machines.
 */
export async function checkReachesPrimary(
  context: ClusterContext,
  { server, primary }: { readonly server: ServerWanted; readonly primary: ServerWanted },
): Promise<void> {
  if (server.host.local) return
  const { host, osUser: user } = await context.machineOf(server)
  const { tools } = await context.binariesOf(server)
  if (tools.pgIsready === undefined) return
  const place = ['-h', primary.address, '-p', String(primary.port), '-t', String(WAIT_SECONDS)]
  const { exitCode } = await host.run([tools.pgIsready, '-q', ...place], { user })
  if (exitCode === NO_ANSWER) throw noAnswer(host, { server, primary })
}

/** The error for a primary that is up and does not answer the machine of a standby. */
export function noAnswer(
  host: Host,
  { server, primary }: { readonly server: ServerWanted; readonly primary: ServerWanted },
  cause?: unknown,
): BackstayError {
  return new BackstayError(
    'POSTGRES_UNREACHABLE',
    `Cannot clone to server "${server.name}": its machine "${host.name}" gets no answer from the primary "${primary.name}" at ${primary.address}:${primary.port}, which runs`,
    {
      hint: `Open port ${primary.port} of "${primary.name}" for ${server.address} in the firewall between them, or correct servers.${primary.name}.address.`,
      details: { server: server.name, host: host.name, primary: primary.name },
      cause,
    },
  )
}
