/**
 * Checks of configuration: in force, without errors, as the cluster file says, and enough on
 * standbys.
 */
import { isOfRecovery } from '../../restore/left-settings.ts'
import type { ServerFound } from '../../cluster/found.ts'
import { isAnswering } from '../../cluster/replication.ts'
import { lowerSettings } from '../../cluster/takeover.ts'
import { type Check, type CheckFacts, type Finding, pairsOf, verdict } from './finding.ts'

/** Settings that wait for a restart. */
export const pendingRestart: Check = (facts) =>
  facts.found.servers.filter(isAnswering).map(({ name, sql }) => {
    const say = verdict('settings.pending-restart', name)
    const pending = [...sql.settings].flatMap(([setting, { isPendingRestart }]) =>
      // Recovery is told at a start what it is told: to a server that runs it means nothing.
      isPendingRestart && !isOfRecovery(setting) ? [setting] : [],
    )
    if (pending.length === 0) return say.ok('no setting waits for a restart')
    return say.warn({
      found: `waiting for a restart: ${pending.join(', ')}`,
      cause: 'they were changed in the files after the server started',
      remedy: 'Run backstay up for settings of the cluster file, else restart the server.',
    })
  })

/** Lines PostgreSQL cannot use in postgresql.conf and pg_hba.conf. */
export const configurationErrors: Check = (facts) =>
  facts.found.servers.filter(isAnswering).map(({ name, sql }) => {
    const say = verdict('settings.errors', name)
    const files = sql.fileErrors
      .filter((line) => sql.settings.get(line.name)?.isPendingRestart !== true)
      .map((line) => `${line.file}:${line.line}: ${line.name}: ${line.error}`)
    const hba = sql.hbaErrors.map((line) => `${line.file}:${line.line}: ${line.error}`)
    const [first] = [...files, ...hba]
    if (first === undefined) return say.ok('PostgreSQL accepts its configuration files')
    return say.fail({
      found: first,
      cause: 'the file was edited by hand or a setting does not fit this version',
      remedy: 'Correct the line: the server would not start with it.',
    })
  })

/** What differs from the cluster file, as `plan` would say it. */
export const drift: Check = (facts) =>
  facts.found.servers.filter(isKnown).map(({ name }) => driftOf(facts, name))

function isKnown(server: ServerFound): boolean {
  return server.hostError === undefined
}

function driftOf({ plan }: CheckFacts, name: string): Finding {
  const say = verdict('settings.drift', name)
  const problem = plan.problems.find(({ server }) => server === name)
  if (problem !== undefined) {
    const level = problem.severity === 'error' ? 'fail' : 'warn'
    return say[level]({ found: problem.message, cause: problem.code, remedy: problem.hint })
  }
  const steps = plan.steps.filter(({ server }) => server === name)
  const [first] = steps
  if (first === undefined) return say.ok('as the cluster file says')
  return say.warn({
    found: `${steps.length} differences from the cluster file: ${steps.map(({ title }) => title).join('; ')}`,
    cause: first.reason,
    remedy: 'See backstay plan; run backstay up.',
  })
}

/** What a standby may not have lower than the primary. */
export const standbySettings: Check = (facts) => {
  const { primary, standbys } = pairsOf(facts)
  return standbys.map((standby) => {
    const say = verdict('settings.standby', standby.name)
    const lower = lowerSettings(standby.sql, primary?.sql)
    if (lower.length === 0) return say.ok('limits are at least the primary’s')
    return say.fail({
      found: `lower than on the primary: ${lower.join(', ')}`,
      cause: 'they were raised on the primary alone',
      remedy: 'Run backstay up: replay stops at the next start otherwise.',
    })
  })
}
