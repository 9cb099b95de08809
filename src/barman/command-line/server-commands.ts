/**
 * Commands about servers.
 */
import type { BarmanCommandSpec } from './spec.ts'

const ONE = '<server_name>'
const SEVERAL = '<server_name...>'

/** The commands about servers, what runs for them, and their configuration. */
export const SERVER_COMMANDS: readonly BarmanCommandSpec[] = [
  {
    name: 'check',
    help: 'Check that servers can be backed up, and that their backups can be used',
    arguments: [SEVERAL],
    options: [
      { flags: '--nagios', help: 'print one line, as a Nagios plugin' },
      { flags: '--check-timeout <SECONDS>', help: 'give up after so many seconds', kind: 'whole' },
    ],
    load: () => import('../actions/check.ts'),
  },
  {
    name: 'cron',
    stopsInOrder: true,
    help: 'Start receivers, store incoming WAL, remove what has expired: to be run every minute',
    options: [{ flags: '--keep-descriptors', help: 'let started processes use our streams' }],
    load: () => import('../actions/cron.ts'),
  },
  {
    name: 'list-servers',
    aliases: ['list-server'],
    help: 'List the servers of the configuration',
    options: [{ flags: '--minimal', help: 'print names only' }],
    load: () => import('../actions/list-servers.ts'),
  },
  {
    name: 'receive-wal',
    stopsInOrder: true,
    help: 'Receive WAL from a server until stopped; or look after its slot',
    arguments: [ONE],
    options: [
      { flags: '--stop', help: 'stop the receiver' },
      { flags: '--reset', help: 'accepted: the receiver finds its place by itself' },
      { flags: '--create-slot', help: 'create the replication slot' },
      { flags: '--if-not-exists', help: 'a slot that is there is fine' },
      { flags: '--drop-slot', help: 'drop the replication slot' },
    ],
    load: () => import('../actions/receive-wal.ts'),
  },
  {
    name: 'status',
    help: 'Show live facts about servers',
    arguments: [SEVERAL],
    load: () => import('../actions/status.ts'),
  },
  {
    name: 'switch-wal',
    stopsInOrder: true,
    aliases: ['switch-xlog'],
    help: 'Have servers finish their WAL segment',
    arguments: [SEVERAL],
    options: [
      { flags: '--force', help: 'write a checkpoint first, so that there is something to finish' },
      { flags: '--archive', help: 'wait until the segment is stored here' },
      {
        flags: '--archive-timeout <SECONDS>',
        help: 'how long to wait (default 30)',
        kind: 'whole',
      },
    ],
    load: () => import('../actions/switch-wal.ts'),
  },
  {
    name: 'check-wal-archive',
    help: 'Check that the archive is empty, as a new server needs it',
    arguments: [ONE],
    options: [
      { flags: '--timeline <TIMELINE>', help: 'earlier timelines do not count', kind: 'positive' },
    ],
    load: () => import('../actions/check-wal-archive.ts'),
  },
  {
    name: 'config-switch',
    stopsInOrder: true,
    help: 'Make a model active for a server, or none',
    arguments: [ONE, '[model_name]'],
    options: [{ flags: '--reset', help: 'let no model be active' }],
    load: () => import('../actions/config-switch.ts'),
  },
  {
    name: 'config-update',
    stopsInOrder: true,
    help: 'Set options of servers and models for good, given as JSON',
    arguments: ['<json_changes>'],
    load: () => import('../actions/config-update.ts'),
  },
  {
    name: 'diagnose',
    help: 'Print all that is known as JSON',
    options: [{ flags: '--show-config-source', help: 'accepted, has no effect' }],
    load: () => import('../actions/diagnose.ts'),
  },
  {
    name: 'list-processes',
    aliases: ['list-process'],
    help: 'List what works for a server',
    arguments: [ONE],
    load: () => import('../actions/list-processes.ts'),
  },
  {
    name: 'lock-directory-cleanup',
    help: 'Nothing to do here: says why',
    load: async () => (await import('../actions/nothing-to-do.ts')).lockDirectoryCleanup,
  },
  {
    name: 'replication-status',
    help: 'Show the streaming clients of servers',
    arguments: [SEVERAL],
    options: [
      { flags: '--minimal', help: 'one line for each' },
      {
        flags: '--target <TARGET>',
        help: 'which clients',
        choices: ['all', 'hot-standby', 'wal-streamer'],
      },
      {
        flags: '--source <SOURCE>',
        help: 'which server to ask',
        choices: ['backup-host', 'wal-host'],
      },
    ],
    load: () => import('../actions/replication-status.ts'),
  },
  {
    name: 'show-servers',
    aliases: ['show-server'],
    help: 'Show what is configured and known of servers',
    arguments: [SEVERAL],
    load: () => import('../actions/show-servers.ts'),
  },
  {
    name: 'terminate-process',
    help: 'Stop what works for a server',
    arguments: [ONE, '<task>'],
    load: () => import('../actions/terminate-process.ts'),
  },
]
