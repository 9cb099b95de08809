/**
 * What a restore left in postgresql.auto.conf of a server that is one of the cluster again: it
 * would keep the server from following anybody, from archiving, from being cloned. Pure.
 */
import { posix } from 'node:path'
import { withoutRestoreSettings } from '../../restore/left-settings.ts'
import { type ConfigurationPlan, type Effect, effectOf, strongest } from './configuration.ts'
import { diffLines } from './diff.ts'
import type { MemberFound } from '../../cluster/leader.ts'
import { readSettings } from './overrides.ts'
import { type Step, step } from './step.ts'

/** Takes it away; a server whose recovery has not ended needs it still. */
export function restoreLeftSteps(found: MemberFound, directory: string): readonly Step[] {
  const before = found.files.autoConf
  const content = withoutRestoreLeft(found).files.autoConf
  if (before === undefined || content === undefined || content === before) return []
  const path = posix.join(directory, 'postgresql.auto.conf')
  return [
    step(
      found.name,
      { action: 'file', file: 'auto', path, content, fallback: before },
      {
        title: 'take the settings of the restore away',
        reason: 'it was restored, and is a server of the cluster again',
        diff: diffLines(before, content),
        effect: effectOfTaking(found, readSettings(before), readSettings(content)),
      },
    ),
  ]
}

/** Archiving and what the copy was not to do stay off until a restart. */
function effectOfTaking(
  { running, sql }: MemberFound,
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
): Effect {
  if (running === undefined) return 'none'
  const taken = [...before.keys()].filter((name) => !after.has(name))
  return strongest(['reload', ...taken.map((name) => effectOf(sql?.settings.get(name)))])
}

/** The server as it is once they are away. */
export function withoutRestoreLeft(found: MemberFound): MemberFound {
  const { autoConf } = found.files
  if (autoConf === undefined || found.directory.isRecovering === true) return found
  return { ...found, files: { ...found.files, autoConf: withoutRestoreSettings(autoConf) } }
}

/** A running server reads its files again for it, if not more. */
export function withEffectOf<Plan extends Pick<ConfigurationPlan, 'effect' | 'reason'>>(
  left: readonly Step[],
  configuration: Plan,
): Plan {
  const [first] = left
  if (first === undefined) return configuration
  const effect = strongest([first.effect, configuration.effect])
  return { ...configuration, effect, reason: configuration.reason || first.reason }
}
