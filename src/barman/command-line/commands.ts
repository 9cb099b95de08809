/**
 * The list of Barman's commands. Actions are loaded when they run.
 */
import { BACKUP_COMMANDS } from './backup-commands.ts'
import { SERVER_COMMANDS } from './server-commands.ts'
import type { BarmanCommandSpec } from './spec.ts'
import { WAL_COMMANDS } from './wal-commands.ts'

/** All of them, by name. */
export const COMMANDS: readonly BarmanCommandSpec[] = [
  ...BACKUP_COMMANDS,
  ...SERVER_COMMANDS,
  ...WAL_COMMANDS,
].sort((a, b) => (a.name < b.name ? -1 : 1))
