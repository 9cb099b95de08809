/**
 * `backstay wal prefetch`: started by `wal get` in the background; not for people.
 */
import { defineCommand } from '../define-command.ts'
import type { ArgumentSpec } from '../option-spec.ts'
import { WAL_PLACE_OPTIONS } from './wal-options.ts'

export const ARGUMENTS = [
  { name: 'directory', help: 'Folder to keep filled' },
  { name: 'segment', help: 'First segment to fetch' },
] as const satisfies readonly ArgumentSpec[]

export default defineCommand({
  summary: 'Keep the prefetch folder of a recovery filled',
  hidden: true,
  options: WAL_PLACE_OPTIONS,
  arguments: ARGUMENTS,
  load: () => import('../actions/wal-prefetch.ts'),
})
