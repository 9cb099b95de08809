/**
 * What `backstay restore` takes.
 */
import type { ArgumentSpec, OptionSpecs } from '../option-spec.ts'
import { WAL_PLACE_OPTIONS } from './wal-options.ts'

/** Which backup, and where to. */
export const ARGUMENTS = [
  {
    name: 'backup',
    help: 'Id, beginning of an id, label, latest, oldest, or auto: the newest that reaches the target',
  },
  {
    name: 'directory',
    help: 'Data directory to make; with --server on its machine',
    optional: true,
  },
] as const satisfies readonly ArgumentSpec[]

/** The target in PostgreSQL's words, what the restored server is, and how it is started. */
export const OPTIONS = {
  ...WAL_PLACE_OPTIONS,
  server: {
    type: 'string',
    value: 'NAME',
    help: 'Restore onto the machine of this server: into DIRECTORY there, else its own',
  },
  targetTime: { type: 'string', value: 'TIME', help: 'Stop at a time: "2026-11-22 10:00:00+00"' },
  targetLsn: { type: 'string', value: 'LSN', help: 'Stop at a WAL position: 16/B374D848' },
  targetXid: { type: 'string', value: 'XID', help: 'Stop at a transaction' },
  targetName: { type: 'string', value: 'NAME', help: 'Stop at a restore point' },
  targetImmediate: { type: 'flag', help: 'Stop as soon as the backup is consistent' },
  exclusive: { type: 'flag', help: 'Stop before the target instead of after it' },
  targetTli: {
    type: 'string',
    value: 'TIMELINE',
    default: 'latest',
    help: 'Timeline to follow: a number, latest, or current: that of the backup',
  },
  targetAction: {
    type: 'choice',
    value: 'ACTION',
    choices: ['pause', 'promote', 'shutdown'],
    default: 'pause',
    help: 'What the server does at the target',
  },
  tablespace: {
    type: 'list',
    value: 'OID:DIR',
    help: 'Put a tablespace (its oid, its old directory, or * for all) elsewhere',
  },
  tablespaceRoot: {
    type: 'list',
    value: 'DIR',
    help: 'Put tablespaces where they were, if that is DIR or below it',
  },
  walDirectory: {
    type: 'string',
    value: 'DIR',
    help: 'Put the WAL there, with a link in its place; DIR is empty or not there',
  },
  standbyMode: { type: 'flag', help: 'Make a standby that follows the archive' },
  delta: { type: 'flag', help: 'Keep what is right already in a directory of this cluster' },
  allowDataLoss: {
    type: 'flag',
    help: 'With --delta: give up WAL in the directory that is nowhere else',
  },
  plan: { type: 'flag', help: 'Show the plan and stop' },
  start: {
    type: 'int',
    value: 'PORT',
    min: 1,
    max: 65_535,
    help: 'Open it on this port and wait for the end of recovery',
  },
  startTimeout: {
    type: 'duration',
    value: 'TIME',
    default: 3_600_000,
    min: 1000,
    help: 'Longest wait of --start',
  },
  holdFor: {
    type: 'duration',
    value: 'TIME',
    default: 86_400_000,
    min: 1000,
    help: 'Longest time for which nothing of the backup and its WAL expires under the recovery',
  },
  copyWal: {
    type: 'flag',
    help: 'Copy the WAL into the directory, so that recovery does not read the repository',
  },
  keepArchiving: { type: 'flag', help: 'Leave archive_command as the origin had it' },
  osUser: {
    type: 'string',
    value: 'USER',
    help: 'OS user who is to own the files, when started as root',
  },
  jobs: { type: 'int', value: 'N', min: 1, max: 64, help: 'Writing threads' },
} as const satisfies OptionSpecs
