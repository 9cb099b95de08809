/**
 * `backstay plan`: what up would do.
 */
import { defineCommand } from '../define-command.ts'
import type { OptionSpecs } from '../option-spec.ts'

export const OPTIONS = {} as const satisfies OptionSpecs

export default defineCommand({
  summary: 'Show what `up` would change, and why',
  description: `Looks at every server and changes nothing. Steps stand below the server they belong to, with a diff; problems that would stop \`up\` are listed with what to do.`,
  options: OPTIONS,
  needs: { config: true },
  exits: ['CHECK_FAILED'],
  examples: ['backstay plan'],
  load: () => import('../actions/plan.ts'),
})
