/**
 * `backstay adopt`: takes over a cluster that somebody else built.
 */
import { defineCommand } from '../define-command.ts'
import type { ArgumentSpec, OptionSpecs } from '../option-spec.ts'

export const ARGUMENTS = [
  { name: 'primary', help: 'HOST or HOST:PORT of the running primary' },
] as const satisfies readonly ArgumentSpec[]

export const OPTIONS = {
  standby: {
    type: 'list',
    value: 'HOST[:PORT]',
    help: 'A standby on another port than the primary; the others are found',
  },
  user: { type: 'string', value: 'ROLE', default: 'postgres', help: 'A superuser' },
  passfile: {
    type: 'string',
    value: 'FILE',
    help: 'Where its password is, in .pgpass format (default: ~/.pgpass)',
  },
  dataDirectory: {
    type: 'list',
    value: 'DIR',
    help: 'A data directory outside /var/lib/postgresql and /var/lib/pgsql to believe a server',
  },
  cluster: { type: 'string', value: 'NAME', default: 'main', help: 'Name of the cluster' },
  backupHost: { type: 'string', value: 'HOST', help: 'Machine of a backup server to add' },
  repository: { type: 'string', value: 'DIR', help: 'Directory of its repository' },
  output: {
    type: 'string',
    value: 'FILE',
    default: 'backstay.yaml',
    help: 'The file to write; an existing one is not overwritten',
  },
} as const satisfies OptionSpecs

export default defineCommand({
  summary: 'Write a cluster file for servers that run already',
  description: `Reads the primary and the standbys it streams to, and writes a cluster file that says what is there. Changes nothing on the servers: backstay plan shows then what is missing.`,
  options: OPTIONS,
  arguments: ARGUMENTS,
  exits: [
    'NOT_READY',
    'POSTGRES_UNREACHABLE',
    'POSTGRES_AUTH',
    'POSTGRES_IDENTITY',
    'DIRECTORY_FOREIGN',
    'CONFIG_INVALID',
    'PARTIAL',
  ],
  examples: [
    'backstay adopt 192.168.100.10',
    'backstay adopt 127.0.0.1:5433 --standby 127.0.0.1:5434',
  ],
  load: () => import('../actions/adopt.ts'),
})
