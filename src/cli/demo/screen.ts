/**
 * What the demo says at its end: how to look around, where everything is, what to type next.
 */
import type { ClusterWanted } from '../../cluster/wanted.ts'
import { formatDuration } from '../../util/duration.ts'
import type { DemoPlace } from './settle.ts'

/** What the ending tells of. */
export interface Ending {
  readonly place: DemoPlace
  readonly wanted: ClusterWanted
  /** File with the passwords, in .pgpass format. */
  readonly passfile: string
  readonly elapsedMs: number
}

/** The ending for people, without colours. It names the file with the passwords, no password. */
export function renderEnding({ place, wanted, passfile, elapsedMs }: Ending): string {
  const { superuser } = wanted.postgres
  const file = place.loaded.path
  return [
    '',
    `Proved in ${formatDuration(elapsedMs)}. Look around:`,
    ...wanted.servers.map(
      ({ name, role, port }) =>
        `  psql "host=127.0.0.1 port=${port} user=${superuser} dbname=postgres passfile=${passfile}"   # ${name}, ${role}`,
    ),
    '',
    'Files:',
    `  ${file}   the cluster file`,
    ...wanted.servers.map(({ name, directory }) => `  ${directory}   data of ${name}`),
    `  ${wanted.backup?.repository ?? ''}   backups and WAL`,
    `  ${place.directory}/serve.log   log of the backup server`,
    '',
    'Next, in another terminal:',
    `  backstay status -c ${file}`,
    `  backstay check --all -c ${file}`,
    `  backstay backup -c ${file}`,
    `  backstay restore latest ${place.directory}/copy --plan -c ${file}`,
    '',
    'In a checkout, "npm run backstay --" stands for "backstay". Ctrl-C stops everything; "npm start" goes on with it.',
    '',
  ].join('\n')
}
