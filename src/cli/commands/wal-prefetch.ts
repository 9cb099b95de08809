/**
 * `backstay wal prefetch`: started by `wal get` in the background; not for people.
 */
import { defineCommand } from '../define-command.ts'
import type { ArgumentSpec, OptionSpecs } from '../option-spec.ts'
import { WAL_PLACE_OPTIONS, WAY_OPTION } from './wal-options.ts'

export const OPTIONS = { ...WAL_PLACE_OPTIONS, ...WAY_OPTION } as const satisfies OptionSpecs

export const ARGUMENTS = [
  { name: 'directory', help: 'Folder to keep filled' },
  { name: 'segment', help: 'First segment to fetch' },
] as const satisfies readonly ArgumentSpec[]

export default defineCommand({
  summary: 'Keep the prefetch folder of a recovery filled',
  hidden: true,
  options: OPTIONS,
  arguments: ARGUMENTS,
  load: () => import('../actions/wal-prefetch.ts'),
})
