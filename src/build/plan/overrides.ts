/**
 * Settings of ours that something stronger than our file decides: not ours to change, but to tell.
 */
import { settingsOf } from '../../postgres/conf-file.ts'
import { findAutoConfOverrides } from '../../postgres/managed-conf.ts'
import { sameSettingValue } from '../../postgres/setting-value.ts'
import type { MemberFound } from '../../cluster/leader.ts'
import { type Problem, warning } from '../../cluster/problem.ts'
import type { Settings } from '../../cluster/settings.ts'

/** One problem for each of them. */
export function overrideProblems(server: MemberFound, settings: Settings): readonly Problem[] {
  return [...overriddenNames(server, settings)].map(([name, by]) =>
    warning(server.name, {
      code: 'DRIFT',
      message: `Setting "${name}" of server "${server.name}" is "${by.value}" by ${by.where}, which wins over "${settings[name] ?? ''}" of the cluster file`,
      hint:
        by.where === AUTO_CONF
          ? `Run: ALTER SYSTEM RESET ${name}; then backstay up. Or write that value into the cluster file.`
          : 'Start the server without that option, or write that value into the cluster file.',
    }),
  )
}

const AUTO_CONF = 'ALTER SYSTEM'

/** Name → what overrides it. */
export function overriddenNames(
  server: MemberFound,
  settings: Settings,
): ReadonlyMap<string, { readonly value: string; readonly where: string }> {
  const { sql, files } = server
  const result = new Map<string, { value: string; where: string }>()
  for (const { name, managed, effective } of findAutoConfOverrides(
    settings,
    readSettings(files.autoConf),
  )) {
    const type = sql?.settings.get(name)
    const isSame = type !== undefined && sameSettingValue(managed, effective, type)
    if (!isSame) result.set(name, { value: effective, where: AUTO_CONF })
  }
  for (const [name, value] of Object.entries(settings)) {
    const running = sql?.settings.get(name)
    if (running?.source === 'command line' && !sameSettingValue(running.value, value, running)) {
      result.set(name, { value: running.value, where: 'the command line it was started with' })
    }
  }
  return result
}

/** What a file sets; a file PostgreSQL would refuse sets nothing. */
export function readSettings(text: string | undefined): ReadonlyMap<string, string> {
  try {
    return settingsOf(text ?? '')
  } catch {
    return new Map()
  }
}
