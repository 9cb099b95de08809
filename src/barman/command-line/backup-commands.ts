/**
 * Commands about backups.
 */
import { COPY_OPTIONS, RESTORE_OPTIONS } from './restore-options.ts'
import type { BarmanCommandSpec } from './spec.ts'

const ONE = '<server_name>'
const SEVERAL = '<server_name...>'
const BACKUP = '<backup_id>'

/**
 * The commands about backups, with all of Barman's options: those that mean nothing here are
 * accepted.
 */
export const BACKUP_COMMANDS: readonly BarmanCommandSpec[] = [
  {
    name: 'backup',
    stopsInOrder: true,
    help: 'Take backups of servers',
    arguments: [SEVERAL],
    options: [
      { flags: '--immediate-checkpoint', help: 'begin with a fast checkpoint' },
      { flags: '--no-immediate-checkpoint', help: 'begin with a spread checkpoint' },
      { flags: '--incremental <BACKUP_ID>', help: 'accepted: only changes are stored anyway' },
      {
        flags: '--reuse-backup [WAY]',
        help: 'accepted: only changes are stored anyway',
        choices: ['copy', 'link', 'off'],
      },
      ...COPY_OPTIONS,
      { flags: '-w, --wait', help: 'accepted: a backup is listed when its WAL is stored' },
      { flags: '--wait-timeout <SECONDS>', help: 'how long to wait for WAL', kind: 'whole' },
      { flags: '--keepalive-interval <SECONDS>', help: 'accepted, has no effect', kind: 'whole' },
      { flags: '--name <NAME>', help: 'a name for the backup', kind: 'backupName' },
      { flags: '--manifest', help: 'accepted: there is always a manifest' },
      { flags: '--no-manifest', help: 'accepted: there is always a manifest' },
      { flags: '--check-timeout <SECONDS>', help: 'accepted, has no effect', kind: 'whole' },
    ],
    load: () => import('../actions/backup.ts'),
  },
  {
    name: 'check-backup',
    help: 'Check that the WAL a backup needs is stored',
    arguments: [ONE, BACKUP],
    load: () => import('../actions/check-backup.ts'),
  },
  {
    name: 'delete',
    stopsInOrder: true,
    help: 'Delete a backup and the WAL nothing else needs',
    arguments: [ONE, BACKUP],
    load: () => import('../actions/delete.ts'),
  },
  {
    name: 'keep',
    help: 'Keep a backup from being deleted',
    arguments: [ONE, BACKUP],
    options: [
      { flags: '-r, --release', help: 'end the keeping' },
      { flags: '-s, --status', help: 'say whether it is kept' },
      {
        flags: '--target <TARGET>',
        help: 'full: with all WAL after it; standalone: with its own only',
        choices: ['full', 'standalone'],
      },
    ],
    load: () => import('../actions/keep.ts'),
  },
  {
    name: 'list-backups',
    aliases: ['list-backup'],
    help: 'List the backups of servers',
    arguments: [SEVERAL],
    options: [{ flags: '--minimal', help: 'print ids only' }],
    load: () => import('../actions/list-backups.ts'),
  },
  {
    name: 'restore',
    stopsInOrder: true,
    aliases: ['recover'],
    help: 'Restore a backup into a directory, to the end of WAL or to a moment',
    arguments: [ONE, BACKUP, '<destination_directory>'],
    options: RESTORE_OPTIONS,
    load: () => import('../actions/restore.ts'),
  },
  {
    name: 'generate-manifest',
    help: 'Nothing to do here: every backup has a manifest',
    arguments: [ONE, BACKUP],
    load: async () => (await import('../actions/nothing-to-do.ts')).generateManifest,
  },
  {
    name: 'list-files',
    help: 'List the objects a backup is made of',
    arguments: [ONE, BACKUP],
    options: [
      {
        flags: '--target <TARGET>',
        help: 'which of them',
        choices: ['standalone', 'data', 'wal', 'full'],
      },
      { flags: '--list-empty-directories', help: 'accepted, has no effect' },
    ],
    load: () => import('../actions/list-files.ts'),
  },
  {
    name: 'show-backup',
    aliases: ['show-backups'],
    help: 'Show one backup',
    arguments: [ONE, BACKUP],
    load: () => import('../actions/show-backup.ts'),
  },
  {
    name: 'verify-backup',
    stopsInOrder: true,
    aliases: ['verify'],
    help: 'Read a backup and compare every checksum',
    arguments: [ONE, BACKUP],
    load: () => import('../actions/verify-backup.ts'),
  },
  {
    name: 'sync-backup',
    stopsInOrder: true,
    help: 'Copy a backup of a passive server from its primary',
    arguments: [ONE, BACKUP],
    load: () => import('../actions/sync-backup.ts'),
  },
]
