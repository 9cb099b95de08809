/**
 * Hook scripts: the operator's own commands before and after backup, delete, recovery, and each WAL
 * file's coming and going. Order: pre, pre_retry, the work, post_retry, post. A plain script that
 * fails changes nothing; a retry script is run again until it ends with 0, 62 or 63, and 63 before
 * the work stops the work.
 */
import { spawn } from 'node:child_process'
import type { BarmanServer } from '../config/barman/model.ts'
import { BackstayError } from '../errors/backstay-error.ts'
import type { BarmanContext } from './context.ts'
import { BARMAN_VERSION } from './version.ts'

/** Work that hooks stand around. */
export type HookName = 'backup' | 'delete' | 'recovery' | 'archive' | 'wal_delete'

/** Variables of a script besides those of every hook; `result` is there after the work. */
export type HookVariables<T> = (result: T | undefined) => Readonly<Record<string, string>>

const ABORT_CONTINUE = 62
const ABORT_STOP = 63
const PAUSE_MS = 3000
const LONG_PAUSE_MS = 60_000
/** After each so many tries the pause is long. */
const TRIES_BETWEEN_LONG_PAUSES = 5
/** Barman tries for ever; a day of long pauses is enough to repair a script. */
const MOST_TRIES = 5000

type Phase = 'pre' | 'post'

/** What a hook runs for. */
export interface HookPlace<T> {
  readonly context: BarmanContext
  readonly server: BarmanServer
  readonly name: HookName
  readonly variables: HookVariables<T>
}

/**
 * Does `work` between its hooks.
 * @throws {BackstayError} FAILED when a retry script ends with 63 before the work; what `work`
 * throws; the signal's reason.
 */
export async function withHooks<T>(place: HookPlace<T>, work: () => Promise<T>): Promise<T> {
  await runPlain(place, 'pre', { result: undefined, error: '' })
  if ((await runRetry(place, 'pre', { result: undefined, error: '' })) === ABORT_STOP) {
    throw new BackstayError('FAILED', `The pre_${place.name}_retry_script asked to stop`)
  }
  let outcome: Outcome<T> = { result: undefined, error: '' }
  try {
    const result = await work()
    outcome = { result, error: '' }
    return result
  } catch (error) {
    outcome = { result: undefined, error: error instanceof Error ? error.message : String(error) }
    throw error
  } finally {
    await runRetry(place, 'post', outcome)
    await runPlain(place, 'post', outcome)
  }
}

interface Outcome<T> {
  readonly result: T | undefined
  readonly error: string
}

async function runPlain<T>(place: HookPlace<T>, phase: Phase, outcome: Outcome<T>): Promise<void> {
  const script = place.server.options.get(`${phase}_${place.name}_script`)
  if (script === undefined) return
  const exitCode = await runScript(script, variablesOf(place, phase, { ...outcome, retry: '0' }))
  if (exitCode !== 0) {
    place.context.output.warning(
      `${phase}_${place.name}_script ended with ${exitCode}, which changes nothing`,
    )
  }
}

/** The exit code that ended the trying; undefined without a script. */
async function runRetry<T>(
  place: HookPlace<T>,
  phase: Phase,
  outcome: Outcome<T>,
): Promise<number | undefined> {
  const { context, server, name } = place
  const script = server.options.get(`${phase}_${name}_retry_script`)
  if (script === undefined) return undefined
  for (let attempt = 1; attempt <= MOST_TRIES; attempt += 1) {
    const exitCode = await runScript(script, variablesOf(place, phase, { ...outcome, retry: '1' }))
    if ([0, ABORT_CONTINUE, ABORT_STOP].includes(exitCode)) return exitCode
    context.output.warning(`${phase}_${name}_retry_script ended with ${exitCode}: trying again`)
    const isLong = attempt % TRIES_BETWEEN_LONG_PAUSES === 0
    await context.clock.sleep(isLong ? LONG_PAUSE_MS : PAUSE_MS, context.signal)
  }
  throw new BackstayError('FAILED', `The ${phase}_${name}_retry_script never succeeded`)
}

function variablesOf<T>(
  { context, server, name, variables }: HookPlace<T>,
  phase: Phase,
  outcome: Outcome<T> & { readonly retry: string },
): Record<string, string | undefined> {
  return {
    ...context.environment,
    BARMAN_VERSION,
    BARMAN_SERVER: server.name,
    BARMAN_CONFIGURATION: context.config.file,
    BARMAN_HOOK: `${name}_${outcome.retry === '1' ? 'retry_' : ''}script`,
    BARMAN_RETRY: outcome.retry,
    BARMAN_PHASE: phase,
    BARMAN_ERROR: outcome.error,
    ...variables(outcome.result),
  }
}

/**
 * Its output goes to the log's place of the shell: standard error, so that results stay readable.
 */
async function runScript(
  script: string,
  environment: Record<string, string | undefined>,
): Promise<number> {
  const child = spawn('/bin/sh', ['-c', script], {
    env: environment,
    stdio: ['ignore', 2, 2],
  })
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  child.on('error', reject)
  child.on('close', (code) => resolve(code ?? -1))
  return await promise
}
