/**
 * Instances (src/host) for tests: this host, an embedded PostgreSQL, the unprivileged user.
 */
import { appendFile } from 'node:fs/promises'
import { findBinaries } from '../../src/host/binaries.ts'
import { initializeCluster } from '../../src/host/initdb.ts'
import { LocalHost } from '../../src/host/local-host.ts'
import type { PostgresInstance } from '../../src/host/postgres-instance.ts'
import type { PostgresMajor } from '../../src/postgres/version.ts'
import { embeddedBinaries } from './binaries.ts'
import { copyTemplate, initdbArgumentsOf } from './template.ts'
import { unprivilegedUser } from './unprivileged-user.ts'

/** An instance whose data directory is `directory`, not made yet. */
export async function testInstance(
  major: PostgresMajor,
  directory: string,
): Promise<PostgresInstance> {
  const host = new LocalHost('here')
  const user = unprivilegedUser.name
  const places = { major, user, directory: embeddedBinaries(major).directory }
  return { name: 'db1', host, binaries: await findBinaries(host, places), directory, user }
}

/** Where a cluster listens, and its superuser's password. */
export interface ClusterPlace {
  readonly port: number
  readonly socketDirectory: string
  /** Left out: the cluster is a copy of the harness's template, with its password. */
  readonly password: string | undefined
}

/** Makes a cluster for `instance` that listens on 127.0.0.1:`port` and on a socket in `socketDirectory`. */
export async function makeCluster(instance: PostgresInstance, place: ClusterPlace): Promise<void> {
  const { directory, host, user, binaries } = instance
  if (place.password === undefined) {
    await copyTemplate(directory, binaries, initdbArgumentsOf(binaries.major, []))
  } else {
    await runInitdb(instance, place.password)
  }
  await host.makeDirectory(place.socketDirectory, { owner: user, mode: 0o755 })
  const lines = [
    "listen_addresses = '127.0.0.1'",
    `port = ${place.port}`,
    `unix_socket_directories = '${place.socketDirectory}'`,
    'fsync = off',
    'dynamic_shared_memory_type = mmap',
  ]
  await appendFile(`${directory}/postgresql.conf`, `${lines.join('\n')}\n`)
}

async function runInitdb(instance: PostgresInstance, password: string): Promise<void> {
  await initializeCluster(instance, {
    superuser: 'postgres',
    password,
    encoding: 'UTF8',
    locale: 'C',
    checksums: true,
    segmentBytes: 16 * 1024 * 1024,
    authentication: 'scram-sha-256',
  })
}
