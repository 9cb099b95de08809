/**
 * `backstay completion`: scripts for the shell.
 */
import { defineCommand } from '../define-command.ts'
import type { ArgumentSpec } from '../option-spec.ts'

export const completionArguments = [
  { name: 'shell', help: 'The shell', choices: ['bash', 'zsh', 'fish'] },
] as const satisfies readonly ArgumentSpec[]

export default defineCommand({
  summary: 'Print the completion script of a shell',
  arguments: completionArguments,
  examples: [
    'source <(backstay completion bash)',
    'backstay completion zsh > "${fpath[1]}/_backstay"',
    'backstay completion fish > ~/.config/fish/completions/backstay.fish',
  ],
  load: () => import('../actions/completion.ts'),
})
