/**
 * Prints the completion script of a shell, made from the same definitions as the parser.
 */
import { loadAll } from '../catalogue.ts'
import type { completionArguments } from '../commands/completion.ts'
import { REGISTRY } from '../commands/registry.ts'
import { bashCompletion } from '../completion/bash.ts'
import { fishCompletion } from '../completion/fish.ts'
import { completionPlaces } from '../completion/places.ts'
import { zshCompletion } from '../completion/zsh.ts'
import type { CommandContext, CommandResult } from '../context.ts'
import type { OptionSpecs } from '../option-spec.ts'

const SCRIPTS = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion } as const

/** The script. */
export async function run(
  context: CommandContext<OptionSpecs, typeof completionArguments>,
): Promise<CommandResult> {
  const { shell } = context.arguments
  const script = SCRIPTS[shell](completionPlaces(await loadAll(REGISTRY), REGISTRY))
  return { data: { shell, script }, text: () => script }
}
