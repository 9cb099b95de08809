/**
 * The list of commands, as --help shows it.
 *
 * To add one: write `commands/<noun>.ts` with its definition as default export, and a line here;
 * its key is what is typed. Then `npm run docs`. A command's file, and the engine with it, is
 * loaded when that command is typed: lists are made from the lines here.
 */
import type { Registry } from '../catalogue.ts'

/** All commands of `backstay`. */
export const REGISTRY: Registry = {
  groups: {
    config: 'Look at the cluster file',
    copy: 'Stop and remove restored copies',
    import: 'Bring in what another program has kept',
    repository: 'Look after the repository',
    timeline: 'Tell the branches of history apart',
    wal: 'Receive, store and fetch WAL',
  },
  sections: [
    {
      title: 'Begin here',
      commands: {
        demo: {
          summary: 'Show a primary, a standby and a backup server at work on this machine',
          usage: '[options]',
          load: () => import('./demo.ts'),
        },
        init: {
          summary: 'Write a cluster file, by asking or from options',
          usage: '[options]',
          load: () => import('./init.ts'),
        },
        join: {
          summary: 'Get into a cluster that another machine built',
          usage: '[options]',
          load: () => import('./join.ts'),
        },
        adopt: {
          summary: 'Write a cluster file for servers that run already',
          usage: '[options] <primary>',
          load: () => import('./adopt.ts'),
        },
      },
    },
    {
      title: 'Cluster',
      commands: {
        plan: {
          summary: 'Show what `up` would change, and why',
          usage: '',
          load: () => import('./plan.ts'),
        },
        up: {
          summary: 'Make the cluster as the cluster file says',
          usage: '',
          load: () => import('./up.ts'),
        },
        status: {
          summary: 'Show servers, lag, slots, receiver and backups',
          usage: '[options]',
          load: () => import('./status.ts'),
        },
        verify: {
          summary: 'Prove replication with a row',
          usage: '[options]',
          load: () => import('./verify.ts'),
        },
        check: {
          summary: 'Run all checks, each with cause and remedy',
          usage: '[options]',
          load: () => import('./check.ts'),
        },
        switchover: {
          summary: 'Hand the role of the primary to a standby',
          usage: '[options]',
          load: () => import('./switchover.ts'),
        },
        failover: {
          summary: 'Promote a standby because the primary is lost',
          usage: '[options]',
          load: () => import('./failover.ts'),
        },
        rejoin: {
          summary: 'Make a former primary or a lost standby follow again',
          usage: '[options] <server>',
          load: () => import('./rejoin.ts'),
        },
        reclone: {
          summary: 'Make a standby anew from the primary',
          usage: '[options] <server>',
          load: () => import('./reclone.ts'),
        },
        restart: {
          summary: 'Restart one server, or all of them in turn',
          usage: '[options] [server]',
          load: () => import('./restart.ts'),
        },
        forget: {
          summary: 'Take away what was made of a server that is no longer in the cluster file',
          usage: '[options] <server>',
          load: () => import('./forget.ts'),
        },
        rename: {
          summary: 'Give a server the name it has in the cluster file now',
          usage: '[options] <old> <new>',
          load: () => import('./rename.ts'),
        },
        down: {
          summary: 'Stop the servers, or remove the cluster for good',
          usage: '[options]',
          load: () => import('./down.ts'),
        },
        'clone-here': {
          summary: 'Clone a standby on this machine, as standard input says',
          usage: '<directory>',
          hidden: true,
          load: () => import('./clone-here.ts'),
        },
      },
    },
    {
      title: 'Cluster file',
      commands: {
        'config check': {
          summary: 'Read the cluster file and say what it describes',
          usage: '',
          load: () => import('./config-check.ts'),
        },
        'config explain': {
          summary: 'List every value of the cluster file and where it comes from',
          usage: '',
          load: () => import('./config-explain.ts'),
        },
        'config schema': {
          summary: 'Print the JSON Schema of the cluster file, for editors',
          usage: '',
          load: () => import('./config-schema.ts'),
        },
      },
    },
    {
      title: 'Backups',
      commands: {
        backup: {
          summary: 'Take a backup: changed pages where that is possible, else a full',
          usage: '[options]',
          load: () => import('./backup.ts'),
        },
        backups: {
          summary: 'List the backups and the moments that can be restored',
          usage: '[options]',
          load: () => import('./backups.ts'),
        },
        show: {
          summary: 'Show what a backup is and from when to when it can be rolled forward',
          usage: '[options] <backup>',
          load: () => import('./show.ts'),
        },
        restore: {
          summary: 'Restore a backup and WAL up to any moment into a directory',
          usage: '[options] <backup> [directory]',
          load: () => import('./restore.ts'),
        },
        'copy stop': {
          summary: 'Stop a copy that restore --start opened',
          usage: '[options] <directory>',
          load: () => import('./copy-stop.ts'),
        },
        'copy remove': {
          summary: 'Stop a copy that restore --start opened, and remove it with its tablespaces',
          usage: '[options] <directory>',
          load: () => import('./copy-remove.ts'),
        },
        keep: {
          summary: 'Keep a backup from expiring',
          usage: '[options] <backup>',
          load: () => import('./keep.ts'),
        },
        delete: {
          summary: 'Delete a backup, and the WAL that no other backup needs',
          usage: '[options] <backup>',
          load: () => import('./delete.ts'),
        },
        expire: {
          summary: 'Remove backups and WAL that retention no longer needs',
          usage: '[options]',
          load: () => import('./expire.ts'),
        },
        'verify-backup': {
          summary: 'Read backups and check every checksum, and that their WAL is there',
          usage: '[options] [backup]',
          load: () => import('./verify-backup.ts'),
        },
        'import barman': {
          summary: "Bring Barman's backups and WAL into a repository, and verify them",
          usage: '[options] [servers...]',
          load: () => import('./import-barman.ts'),
        },
      },
    },
    {
      title: 'Backup server',
      commands: {
        serve: {
          summary: 'Run the backup server: WAL receiver, schedule, retention',
          usage: '[options]',
          load: () => import('./serve.ts'),
        },
        'backup-status': {
          summary: 'Show the state of backups and receiver from the repository on this machine',
          usage: '',
          hidden: true,
          load: () => import('./backup-status.ts'),
        },
        'wal receive': {
          summary: 'Receive WAL in the foreground, durable to the last record',
          usage: '[options]',
          load: () => import('./wal-receive.ts'),
        },
        'wal switch': {
          summary: 'Finish the present WAL segment and wait until it is stored',
          usage: '[options]',
          load: () => import('./wal-switch.ts'),
        },
        'wal push': {
          summary: 'Store a WAL file (archive_command)',
          usage: '[options] <path> [name]',
          load: () => import('./wal-push.ts'),
        },
        'wal get': {
          summary: 'Fetch a WAL file for recovery (restore_command)',
          usage: '[options] <file> <target>',
          load: () => import('./wal-get.ts'),
        },
        'wal prefetch': {
          summary: 'Keep the prefetch folder of a recovery filled',
          usage: '[options] <directory> <segment>',
          hidden: true,
          load: () => import('./wal-prefetch.ts'),
        },
        gate: {
          summary: 'Let a database server into the repository (forced command of sshd)',
          usage: '[options]',
          hidden: true,
          load: () => import('./gate.ts'),
        },
        'restore-here': {
          summary: 'Restore on this machine from the repository on another, as standard input says',
          usage: '',
          hidden: true,
          load: () => import('./restore-here.ts'),
        },
        'restore-plan': {
          summary: 'Plan a restore from the repository here, as standard input says',
          usage: '[options]',
          hidden: true,
          load: () => import('./restore-plan.ts'),
        },
        'wal list': {
          summary: 'Show which WAL is held, as ranges of each timeline',
          usage: '[options]',
          load: () => import('./wal-list.ts'),
        },
        'wal gaps': {
          summary: 'Show which WAL is missing between what is held',
          usage: '[options]',
          load: () => import('./wal-gaps.ts'),
        },
        'repository forget': {
          summary: 'Remove a cluster from a repository, with all its backups and WAL',
          usage: '[options] <cluster>',
          load: () => import('./repository-forget.ts'),
        },
        'timeline list': {
          summary: 'Show the timelines, how they branched and which one production is on',
          usage: '[options]',
          load: () => import('./timeline-list.ts'),
        },
        'timeline abandon': {
          summary: 'Declare a timeline dead: a branch that production did not take',
          usage: '[options] <timeline>',
          load: () => import('./timeline-abandon.ts'),
        },
      },
    },
    {
      title: 'Shell',
      commands: {
        completion: {
          summary: 'Print the completion script of a shell',
          usage: '<shell>',
          load: async () => ({
            default: (await import('./completion.ts')).completionCommand(REGISTRY),
          }),
        },
        'install-names': {
          summary:
            'Put barman, barman-wal-archive and barman-wal-restore into a directory of the PATH',
          usage: '[options] <directory>',
          load: () => import('./install-names.ts'),
        },
      },
    },
  ],
}
