/**
 * The parts of a definition as commander wants them, and what commander read as our options and
 * arguments.
 */
import { type Command, Option } from 'commander'
import type { CommandDefinition } from './define-command.ts'
import { type ArgumentSpec, optionFlag, type OptionSpec } from './option-spec.ts'
import { exitStatus } from './exit-status.ts'
import { type RawOptions, readChoice, shownDefault } from './option-values.ts'

/** The option as commander wants it; values stay text. */
export function makeOption(name: string, spec: OptionSpec): Option {
  const short = spec.short === undefined ? '' : `-${spec.short}, `
  const value = spec.type === 'flag' ? '' : ` <${spec.value}>`
  const option = new Option(`${short}${optionFlag(name)}${value}`, optionHelp(spec))
  if (spec.type === 'list') {
    option.argParser((word, before: readonly string[] | undefined) => [...(before ?? []), word])
  }
  option.makeOptionMandatory(spec.type !== 'flag' && spec.required === true)
  option.hideHelp(spec.hidden === true)
  return option
}

/** What --help says of an option: its sentence, choices and default. */
export function optionHelp(spec: OptionSpec): string {
  const choices = spec.type === 'choice' ? `: ${spec.choices.join(', ')}` : ''
  const more = spec.type === 'list' ? ' (several with commas, or given several times)' : ''
  const standard = shownDefault(spec)
  return `${spec.help}${choices}${more}${standard === undefined ? '' : ` (default: ${standard})`}`
}

/**
 * The options commander read, by our names (`noColor`, where commander says that `color` is false).
 */
export function rawOptions(command: Command): RawOptions {
  const values = command.opts()
  return Object.fromEntries(
    command.options.map((option) => {
      const value: unknown = values[option.attributeName()]
      return option.negate
        ? [negatedName(option), value === false]
        : [option.attributeName(), value]
    }),
  )
}

function negatedName(option: Option): string {
  const name = option.attributeName()
  return `no${name.charAt(0).toUpperCase()}${name.slice(1)}`
}

/** The arguments commander read, by name. @throws USAGE for a word that is none of the choices */
export function argumentValues(
  definition: CommandDefinition,
  command: Command,
): Readonly<Record<string, unknown>> {
  const values: readonly unknown[] = command.processedArgs
  return Object.fromEntries(
    (definition.arguments ?? []).map(({ name, choices }, index) => {
      const value = values[index]
      return [name, typeof value === 'string' && choices ? readChoice(name, choices, value) : value]
    }),
  )
}

/** What --help says after the options. */
export function helpTail(definition: CommandDefinition): string {
  const status = exitStatus(definition).map(
    ([code, means]) => `  ${String(code).padEnd(4)} ${means}`,
  )
  const examples = (definition.examples ?? []).map((line) => `  ${line}`)
  return [
    ...(examples.length === 0 ? [] : ['', 'Examples:', ...examples]),
    '',
    'Exit status:',
    ...status,
  ].join('\n')
}

/** The argument as it stands in the usage line: `<server>`, `[dir]`, `<file...>`. */
export function argumentWord(argument: ArgumentSpec): string {
  const word = `${argument.name}${argument.rest === true ? '...' : ''}`
  return argument.optional === true ? `[${word}]` : `<${word}>`
}

/** What --help says of an argument. */
export function argumentHelp({ help, choices }: ArgumentSpec): string {
  return choices === undefined ? help : `${help}: ${choices.join(', ')}`
}
