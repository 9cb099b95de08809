/**
 * The options of restore.
 */
import { TARGET_ACTIONS } from '../../restore/wish.ts'
import type { BarmanOptionSpec } from './spec.ts'

/** Taken by backup and restore alike. */
export const COPY_OPTIONS: readonly BarmanOptionSpec[] = [
  { flags: '-j, --jobs <NJOBS>', help: 'so many threads', kind: 'positive' },
  {
    flags: '--jobs-start-batch-period <SECONDS>',
    help: 'accepted, has no effect',
    kind: 'positive',
  },
  { flags: '--jobs-start-batch-size <NJOBS>', help: 'accepted, has no effect', kind: 'positive' },
  { flags: '--bwlimit <KBPS>', help: 'most kilobytes a second, for backups', kind: 'whole' },
  { flags: '--retry-times <TIMES>', help: 'accepted, has no effect', kind: 'whole' },
  { flags: '--retry-sleep <SECONDS>', help: 'accepted, has no effect', kind: 'whole' },
  { flags: '--no-retry', help: 'accepted, has no effect' },
]

/** All options of `barman restore`; those that mean nothing here are accepted. */
export const RESTORE_OPTIONS: readonly BarmanOptionSpec[] = [
  {
    flags: '--target-tli <TLI>',
    help: 'timeline: a number, latest or current (default: latest)',
    kind: 'targetTimeline',
  },
  { flags: '--target-time <TIME>', help: 'to this time' },
  { flags: '--target-xid <XID>', help: 'to this transaction' },
  { flags: '--target-lsn <LSN>', help: 'to this position of the WAL' },
  { flags: '--target-name <NAME>', help: 'to this restore point' },
  { flags: '--target-immediate', help: 'only to where the backup is consistent' },
  { flags: '--exclusive', help: 'leave the target itself out' },
  { flags: '--target-action <ACTION>', help: 'what to do at the target', choices: TARGET_ACTIONS },
  { flags: '--tablespace <NAME:LOCATION>', help: 'put a tablespace elsewhere', isList: true },
  { flags: '--remote-ssh-command <COMMAND>', help: 'restore on another host: "ssh postgres@db2"' },
  { flags: '--staging-wal-directory <DIR>', help: 'where WAL waits for recovery' },
  ...COPY_OPTIONS,
  { flags: '--get-wal', help: 'have recovery fetch WAL with barman get-wal' },
  { flags: '--no-get-wal', help: 'copy the WAL that is needed' },
  { flags: '--network-compression', help: 'accepted, has no effect' },
  { flags: '--no-network-compression', help: 'accepted, has no effect' },
  { flags: '--standby-mode', help: 'the restored server stays a standby' },
  { flags: '--recovery-staging-path <DIR>', help: 'accepted: nothing is staged' },
  { flags: '--local-staging-path <DIR>', help: 'accepted: nothing is staged' },
  { flags: '--staging-path <DIR>', help: 'accepted: nothing is staged' },
  {
    flags: '--staging-location <PLACE>',
    help: 'accepted: nothing is staged',
    choices: ['local', 'remote'],
  },
  {
    flags: '--combine-mode <MODE>',
    help: 'accepted: nothing is combined',
    choices: ['copy', 'link', 'clone', 'copy-file-range'],
  },
  { flags: '--recovery-conf-filename <FILE>', help: 'only postgresql.auto.conf' },
  { flags: '--recovery-option-port <PORT>', help: 'ssh port for barman-wal-restore', kind: 'port' },
  { flags: '--delta-restore', help: 'keep what is right in the directory' },
  { flags: '--no-delta-restore', help: 'into an empty directory only' },
  { flags: '--snapshot-recovery-instance <NAME>', help: 'not supported' },
  { flags: '--snapshot-recovery-zone <ZONE>', help: 'not supported' },
  { flags: '--gcp-zone <ZONE>', help: 'not supported' },
  { flags: '--azure-resource-group <GROUP>', help: 'not supported' },
  { flags: '--aws-region <REGION>', help: 'not supported' },
]
