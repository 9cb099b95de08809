/**
 * The list of commands, as --help shows it.
 *
 * To add one: write `commands/<noun>.ts` with its definition as default export (data only: see config-check.ts), write
 * `actions/<noun>.ts` with `run(context)`, and add a line here; its key is what is typed. Then `npm run docs`.
 * Definitions are loaded when they are needed, actions only when they run: import the engine in the action.
 */
import type { CommandDefinition } from '../define-command.ts'

/** Loads the module of a definition. */
export type CommandLoader = () => Promise<{ readonly default: CommandDefinition }>

/** Commands under one heading of --help: path as typed → loader. */
export interface CommandSection {
  readonly title: string
  readonly commands: Readonly<Record<string, CommandLoader>>
}

/** All commands and the words that stand before several of them. */
export interface Registry {
  readonly sections: readonly CommandSection[]
  /** First word of two-word commands → its line in --help. */
  readonly groups: Readonly<Record<string, string>>
}

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
        demo: () => import('./demo.ts'),
        init: () => import('./init.ts'),
        join: () => import('./join.ts'),
        adopt: () => import('./adopt.ts'),
      },
    },
    {
      title: 'Cluster',
      commands: {
        plan: () => import('./plan.ts'),
        up: () => import('./up.ts'),
        status: () => import('./status.ts'),
        verify: () => import('./verify.ts'),
        check: () => import('./check.ts'),
        switchover: () => import('./switchover.ts'),
        failover: () => import('./failover.ts'),
        rejoin: () => import('./rejoin.ts'),
        reclone: () => import('./reclone.ts'),
        restart: () => import('./restart.ts'),
        forget: () => import('./forget.ts'),
        rename: () => import('./rename.ts'),
        down: () => import('./down.ts'),
        'clone-here': () => import('./clone-here.ts'),
      },
    },
    {
      title: 'Cluster file',
      commands: {
        'config check': () => import('./config-check.ts'),
        'config explain': () => import('./config-explain.ts'),
        'config schema': () => import('./config-schema.ts'),
      },
    },
    {
      title: 'Backups',
      commands: {
        backup: () => import('./backup.ts'),
        backups: () => import('./backups.ts'),
        show: () => import('./show.ts'),
        restore: () => import('./restore.ts'),
        'copy stop': () => import('./copy-stop.ts'),
        'copy remove': () => import('./copy-remove.ts'),
        keep: () => import('./keep.ts'),
        delete: () => import('./delete.ts'),
        expire: () => import('./expire.ts'),
        'verify-backup': () => import('./verify-backup.ts'),
        'import barman': () => import('./import-barman.ts'),
      },
    },
    {
      title: 'Backup server',
      commands: {
        serve: () => import('./serve.ts'),
        'backup-status': () => import('./backup-status.ts'),
        'wal receive': () => import('./wal-receive.ts'),
        'wal switch': () => import('./wal-switch.ts'),
        'wal push': () => import('./wal-push.ts'),
        'wal get': () => import('./wal-get.ts'),
        'wal prefetch': () => import('./wal-prefetch.ts'),
        gate: () => import('./gate.ts'),
        'restore-here': () => import('./restore-here.ts'),
        'wal list': () => import('./wal-list.ts'),
        'wal gaps': () => import('./wal-gaps.ts'),
        'repository forget': () => import('./repository-forget.ts'),
        'timeline list': () => import('./timeline-list.ts'),
        'timeline abandon': () => import('./timeline-abandon.ts'),
      },
    },
    {
      title: 'Shell',
      commands: {
        completion: () => import('./completion.ts'),
        'install-names': () => import('./install-names.ts'),
      },
    },
  ],
}
