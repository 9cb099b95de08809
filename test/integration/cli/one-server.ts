/**
 * A cluster file for one test server and a backup server beside it, without `up`: what commands look at is there as `up` leaves it.
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestServer } from '../../harness/postgres.ts'
import { unprivilegedUser } from '../../harness/unprivileged-user.ts'
import { knowCluster } from './known-cluster.ts'

/** Writes backstay.yaml of cluster `test` and its state below `directory`. Returns the repository, which holds nothing yet. */
export async function placeOneServer(pg: TestServer, directory: string): Promise<string> {
  const repository = join(directory, 'repository')
  await pg.query(`create role backstay_backup login replication superuser password 'secret'`)
  await mkdir(repository, { mode: 0o700 })
  await writeFile(join(repository, '.pgpass'), '*:*:*:*:secret\n', { mode: 0o600 })
  await writeFile(
    join(directory, 'backstay.yaml'),
    [
      'cluster: test',
      `postgres: { version: ${pg.major}, binaries: ${pg.binaries.directory}, osUser: ${unprivilegedUser.name} }`,
      `servers: { db1: { role: primary, host: 127.0.0.1, port: ${pg.port}, directory: ${pg.directory} } }`,
      `backup: { server: vault, host: 127.0.0.1, repository: ${repository} }`,
      '',
    ].join('\n'),
    { mode: 0o600 },
  )
  await knowCluster(pg, { stateDirectory: join(directory, '.backstay/test'), cluster: 'test' })
  return repository
}
