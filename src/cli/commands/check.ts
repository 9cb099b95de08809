/**
 * `backstay check`: everything that could be wrong.
 */
import { check } from '../../work/check.ts'
import type { Finding } from '../../report/checks/finding.ts'
import { nagiosLine, worstStatus } from '../../report/checks/nagios.ts'
import type { CommandContext, CommandResult } from '../context.ts'
import { defineCommand } from '../define-command.ts'
import type { OptionSpecs } from '../option-spec.ts'
import type { Colour } from '../output/colour.ts'
import { openClusterSession } from '../session/cluster-session.ts'

const OPTIONS = {
  nagios: { type: 'flag', help: 'One line with performance data, for monitoring' },
  all: { type: 'flag', help: 'Show the checks that are ok as well' },
} as const satisfies OptionSpecs

export default defineCommand({
  description: `Exit code 0 when all are ok, 3 otherwise; with --nagios one line and the exit codes of a monitoring plugin (0, 1, 2).`,
  options: OPTIONS,
  needs: { config: true },
  exits: ['CHECK_FAILED'],
  examples: ['backstay check'],
  run,
})

/** @throws CONFIG_MISSING, CONFIG_INVALID */
async function run(context: CommandContext<typeof OPTIONS>): Promise<CommandResult> {
  await using session = await openClusterSession(context)
  const { wanted, cluster } = session
  const findings = await check(cluster)
  const status = worstStatus(findings)
  const data = { cluster: wanted.name, status, findings }
  if (context.options.nagios) {
    const { line, exitCode } = nagiosLine(findings)
    return { data, text: () => line, exitCode }
  }
  const { all } = context.options
  return {
    data,
    text: () => renderFindings(findings, all, context.output.colour),
    exitCode: status === 'ok' ? 0 : 3,
  }
}

function renderFindings(findings: readonly Finding[], all: boolean, colour: Colour): string {
  const shown = findings.filter(({ status }) => all || status !== 'ok')
  const good = findings.filter(({ status }) => status === 'ok').length
  const summary = `${good} of ${findings.length} checks are ok`
  return [...shown.flatMap((finding) => lines(finding, colour)), summary].join('\n')
}

function lines({ check, server, status, found, cause, remedy }: Finding, colour: Colour): string[] {
  const paint = { ok: colour.good, warn: colour.warn, fail: colour.bad }[status]
  return [
    `${paint(status.padEnd(4))}  ${server ?? 'cluster'}  ${check}: ${found}`,
    ...(cause === undefined ? [] : [`      cause: ${cause}`]),
    ...(remedy === undefined ? [] : [`      remedy: ${remedy}`]),
  ]
}
