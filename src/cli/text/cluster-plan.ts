/**
 * A plan as text: for each server what would change and why, as a diff.
 */
import type { Problem } from '../../cluster/problem.ts'
import type { Step } from '../../build/plan/step.ts'
import type { Colour } from '../output/colour.ts'

/** Renders the steps below the server they belong to, then the problems. */
export function renderPlan(
  plan: { readonly steps: readonly Step[]; readonly problems: readonly Problem[] },
  colour: Colour,
): string {
  const lines = plan.steps.flatMap((step, index) => {
    const before = plan.steps[index - 1]
    const isNew = before === undefined || before.server !== step.server
    return [
      ...(isNew ? [`${index === 0 ? '' : '\n'}${step.server ?? 'here'}:`] : []),
      ...stepLines(step, colour),
    ]
  })
  const nothing = plan.steps.length === 0 && plan.problems.length === 0 ? ['nothing to do'] : []
  return [...nothing, ...lines, ...problemLines(plan.problems, colour), ''].join('\n')
}

/** Renders problems, one a line with its hint below. */
export function problemLines(problems: readonly Problem[], colour: Colour): string[] {
  return problems.flatMap(({ severity, message, hint }) => {
    const mark = severity === 'error' ? colour.bad('problem') : 'note'
    return [`${mark}: ${message}`, `  ${hint}`]
  })
}

function stepLines(step: Step, colour: Colour): string[] {
  const effect = step.effect === 'none' ? '' : `, ${step.effect}`
  const gone = step.isDestructive ? colour.bad(' (something is removed)') : ''
  return [
    `  ${step.title}${gone}  ${colour.dim(`${step.reason}${effect}`)}`,
    ...step.diff.map(({ sign, text }) => {
      const line = `    ${sign} ${text}`
      if (sign === '+') return colour.good(line)
      return sign === '-' ? colour.bad(line) : line
    }),
  ]
}

/** A plan for --json: what a step does, without what the doing needs. */
export function planJson(plan: {
  readonly steps: readonly Step[]
  readonly problems: readonly Problem[]
}): {
  readonly steps: readonly object[]
  readonly problems: readonly Problem[]
} {
  const steps = plan.steps.map(({ id, server, title, reason, diff, effect, isDestructive }) => ({
    id,
    server,
    title,
    reason,
    diff,
    effect,
    isDestructive,
  }))
  return { steps, problems: plan.problems }
}
