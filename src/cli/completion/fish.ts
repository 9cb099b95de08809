/**
 * Completion for fish, with what each word means.
 */
import { type CompletedOption, type CompletionPlace, stepWords } from './places.ts'

/** The whole script. It holds every word itself: while one types, Backstay is not started. */
export function fishCompletion(places: readonly CompletionPlace[]): string {
  return `# Completion of backstay for fish, made by "backstay completion fish".
function __backstay_at
    set -l place ''
    for word in (commandline -opc)[2..-1]
        switch "$place $word"
            case ${stepWords(places).map(quote).join(' ')}
                set place (string trim "$place $word")
        end
    end
    test "$place" = "$argv[1]"
end
complete -c backstay -f
${places.flatMap(lines).join('\n')}
`
}

function lines({ path, words, options }: CompletionPlace): string[] {
  const start = `complete -c backstay -n ${quote(`__backstay_at "${path}"`)}`
  return [
    ...words.map(({ word, help }) => `${start} -a ${word} -d ${quote(help)}`),
    ...options.map((option) => `${start} ${optionWords(option)} -d ${quote(option.help)}`),
  ]
}

function optionWords({ word, short, follows }: CompletedOption): string {
  const flags = [`-l ${word.slice(2)}`, ...(short === undefined ? [] : [`-s ${short.slice(1)}`])]
  return [...flags, ...valueWords(follows)].join(' ')
}

function valueWords(follows: CompletedOption['follows']): string[] {
  switch (follows) {
    case 'nothing':
      return []
    case 'file':
      return ['-r', '-F']
    case 'directory':
      return ['-r', '-a', quote('(__fish_complete_directories)')]
    case 'text':
      return ['-x']
    default:
      return ['-x', '-a', quote(follows.join(' '))]
  }
}

function quote(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
}
