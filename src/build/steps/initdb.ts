/**
 * Makes the primary's cluster. A note in the state directory stands from before initdb until the
 * cluster is configured: while it stands and the server was never started, everything in the
 * directory is ours and empty, and is made anew.
 */
import { posix } from 'node:path'
import { SMALL_FILE_BYTES } from '../../host/read-limit.ts'
import { BackstayError } from '../../errors/backstay-error.ts'
import { initializeCluster } from '../../host/initdb.ts'
import type { PostgresInstance } from '../../host/postgres-instance.ts'
import { CONTROL_FILE_PATH, parseControlFile } from '../../postgres/control-file.ts'
import { setHbaBlock } from '../../postgres/hba-block.ts'
import { ensureManagedInclude } from '../../postgres/managed-conf.ts'
import { until } from '../../util/until.ts'
import { removeUnfinishedClone } from '../../cluster/clone-mark.ts'
import type { ClusterContext } from '../../cluster/context.ts'
import { lookDirectory } from '../../cluster/look/look-directory.ts'
import { accessLines } from '../plan/access.ts'
import { managedConfText } from '../plan/configuration.ts'
import { settingsWanted } from '../../cluster/settings.ts'
import type { ServerWanted } from '../../cluster/wanted.ts'
import { type Act, instanceOf, serverOfStep } from './act-context.ts'
import { checkConfiguration } from './check-configuration.ts'
import { managedConfPath } from '../../cluster/file-paths.ts'

const WORKER_TIMEOUT_MS = 60_000

/** initdb, the identity, our settings and access lines. */
export const makeCluster: Act<'initdb'> = async (context, step) => {
  const server = serverOfStep(context, step)
  const instance = await instanceOf(context, server)
  const { state, clock } = context
  await removeUnfinished(context, instance, server)
  const startedAt = new Date(clock.now()).toISOString()
  await state.noteInitdb(server.name, { directory: server.directory, startedAt })
  await context.crashPoint('initdb.noted')
  await runInitdb(context, instance)
  await context.crashPoint('initdb.made')
  await rememberIdentity(context, instance)
  await context.crashPoint('initdb.identified')
  await configure(context, instance, server)
  await context.crashPoint('initdb.configured')
  await state.removeInitdbNote(server.name)
}

/** Removes what an initdb left that was killed; waits for it when it was only orphaned. */
async function removeUnfinished(
  context: ClusterContext,
  { host, directory, user: owner }: PostgresInstance,
  server: ServerWanted,
): Promise<void> {
  const { clock, signal } = context
  const found = await until(
    async () => {
      const found = await lookDirectory(context, host, server)
      const isWorking = found.state === 'initdb-unfinished' && found.workerPid !== undefined
      return isWorking ? undefined : found
    },
    { clock, signal, timeoutMs: WORKER_TIMEOUT_MS, intervalMs: 100 },
  )
  if (found === undefined) {
    throw new BackstayError(
      'TIMEOUT',
      `Cannot make server "${server.name}": an initdb of an earlier run still works in "${directory}"`,
    )
  }
  if (found.state === 'clone-unfinished') {
    await removeUnfinishedClone(host, { directory, owner })
  }
  if (found.state !== 'initdb-unfinished') return
  for (const name of (await host.list(directory)) ?? []) {
    await host.remove(posix.join(directory, name))
  }
}

async function runInitdb(context: ClusterContext, instance: PostgresInstance): Promise<void> {
  const { postgres } = context.wanted
  const { superuser, encoding, locale, checksums, segmentBytes, authentication } = postgres
  const password = (await context.state.readPasswords([superuser])).get(superuser)
  if (password === undefined) {
    throw new BackstayError('BUG', `Cannot run initdb: superuser "${superuser}" has no password`)
  }
  await initializeCluster(instance, {
    superuser,
    password,
    encoding,
    locale,
    checksums,
    segmentBytes,
    authentication,
    signal: context.signal,
  })
}

async function rememberIdentity(
  context: ClusterContext,
  { host, directory }: PostgresInstance,
): Promise<void> {
  const { wanted, clock } = context
  const bytes = await host.readFile(posix.join(directory, CONTROL_FILE_PATH), SMALL_FILE_BYTES)
  const { systemIdentifier } = parseControlFile(bytes ?? Buffer.alloc(0))
  await context.state.writeIdentity({
    cluster: wanted.name,
    systemIdentifier,
    major: wanted.postgres.version,
    createdAt: new Date(clock.now()).toISOString(),
  })
}

async function configure(
  context: ClusterContext,
  instance: PostgresInstance,
  server: ServerWanted,
): Promise<void> {
  const { wanted } = context
  const { host, directory, user: owner } = instance
  const main = server.configFile ?? posix.join(directory, 'postgresql.conf')
  const hba = server.hbaFile ?? posix.join(directory, 'pg_hba.conf')
  const read = async (path: string): Promise<string> =>
    (await host.readFile(path))?.toString() ?? ''
  const settings = settingsWanted(wanted, server, { floors: {}, isSynchronous: false })
  const ownership = { mode: 0o600, owner }
  await host.writeFile(managedConfPath(main), managedConfText(wanted, settings), ownership)
  await host.writeFile(
    main,
    ensureManagedInclude(
      (await read(main)) || (await read(posix.join(directory, 'postgresql.conf'))),
    ),
    ownership,
  )
  const lines = accessLines(wanted, owner)
  await host.writeFile(hba, setHbaBlock(await read(hba), lines, wanted.postgres.version), ownership)
  await checkConfiguration(instance)
}
