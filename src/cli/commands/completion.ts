/**
 * `backstay completion`: scripts for the shell, made from the same definitions as the parser.
 */
import { loadAll, type Registry } from '../catalogue.ts'
import { bashCompletion } from '../completion/bash.ts'
import { fishCompletion } from '../completion/fish.ts'
import { completionPlaces } from '../completion/places.ts'
import { zshCompletion } from '../completion/zsh.ts'
import type { CommandResult } from '../context.ts'
import { type CommandDefinition, defineCommand } from '../define-command.ts'
import type { ArgumentSpec } from '../option-spec.ts'

const ARGUMENTS = [
  { name: 'shell', help: 'The shell', choices: ['bash', 'zsh', 'fish'] },
] as const satisfies readonly ArgumentSpec[]

const SCRIPTS = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion } as const

/** The command that completes those of `registry`, which it stands in itself. */
export function completionCommand(registry: Registry): CommandDefinition {
  return defineCommand({
    arguments: ARGUMENTS,
    examples: [
      'source <(backstay completion bash)',
      'backstay completion zsh > "${fpath[1]}/_backstay"',
      'backstay completion fish > ~/.config/fish/completions/backstay.fish',
    ],
    run: async (context) => await printScript(context.arguments.shell, registry),
  })
}

async function printScript(
  shell: keyof typeof SCRIPTS,
  registry: Registry,
): Promise<CommandResult> {
  const script = SCRIPTS[shell](completionPlaces(await loadAll(registry), registry))
  return { data: { shell, script }, text: () => script }
}
