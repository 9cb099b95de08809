/**
 * docs/reference/commands.md from the definitions of the commands.
 */
import { type CatalogueEntry, loadAll } from '../../src/cli/catalogue.ts'
import { argumentHelp, argumentWord, optionHelp } from '../../src/cli/commander-parts.ts'
import { REGISTRY } from '../../src/cli/commands/registry.ts'
import { optionFlag, type OptionSpec, type OptionSpecs } from '../../src/cli/option-spec.ts'
import { exitStatus } from '../../src/cli/exit-status.ts'
import { GLOBAL_OPTIONS } from '../../src/cli/global-options.ts'
import { GENERATED, renderMarkdownTable } from './markdown.ts'

/** The page. */
export async function commandsPage(): Promise<string> {
  const entries = (await loadAll(REGISTRY)).filter(({ line }) => line.hidden !== true)
  return [
    '# Commands',
    '',
    GENERATED,
    '',
    'Every command knows these options; they may stand before or after it. Exit codes: [exit-codes.md](../exit-codes.md).',
    '',
    optionTable(GLOBAL_OPTIONS),
    ...REGISTRY.sections.flatMap(({ title }) => [
      `## ${title}`,
      '',
      ...entries.filter(({ section }) => section === title).map(commandText),
    ]),
  ].join('\n')
}

function commandText({ path, line, definition }: CatalogueEntry): string {
  const words = (definition.arguments ?? []).map(argumentWord)
  const usage = ['backstay', path, ...words, ...(definition.options ? ['[options]'] : [])]
  return [
    `### backstay ${path}`,
    '',
    '```',
    usage.join(' '),
    '```',
    '',
    definition.description ?? `${line.summary}.`,
    '',
    ...(definition.arguments?.length
      ? [
          renderMarkdownTable(
            ['Argument', 'Meaning'],
            definition.arguments.map((argument) => [
              `\`${argumentWord(argument)}\``,
              argumentHelp(argument),
            ]),
          ),
        ]
      : []),
    ...(definition.options ? [optionTable(definition.options)] : []),
    ...(definition.examples ? ['```', ...definition.examples, '```', ''] : []),
    `Exit status: ${exitStatus(definition)
      .map(([code, means]) => `${code} ${means}`)
      .join(' · ')}`,
    '',
  ].join('\n')
}

function optionTable(specs: OptionSpecs): string {
  const rows = Object.entries(specs)
    .filter(([, spec]) => spec.hidden !== true)
    .map(([name, spec]) => [`\`${optionWords(name, spec)}\``, optionHelp(spec)])
  return renderMarkdownTable(['Option', 'Meaning'], rows)
}

function optionWords(name: string, spec: OptionSpec): string {
  const short = spec.short === undefined ? '' : `-${spec.short}, `
  return `${short}${optionFlag(name)}${spec.type === 'flag' ? '' : ` ${spec.value}`}`
}
