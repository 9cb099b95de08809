/**
 * Completion for bash.
 */
import { type CompletedOption, type CompletionPlace, stepWords } from './places.ts'

/** The script; it needs bash 4 and nothing else. */
export function bashCompletion(places: readonly CompletionPlace[]): string {
  return `# Completion of backstay for bash, made by "backstay completion bash".
_backstay() {
  local word=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} place= i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$place \${COMP_WORDS[i]}" in
      ${stepWords(places)
        .map((step) => `'${step}'`)
        .join('|')}) place="\${place:+$place }\${COMP_WORDS[i]}" ;;
    esac
  done
  case "$place:$previous" in
${places.flatMap((place) => place.options.flatMap((option) => followed(place, option))).join('\n')}
  esac
  case "$place" in
${places.map((place) => `    '${place.path}') COMPREPLY=($(compgen -W '${allWords(place)}' -- "$word")) ;;`).join('\n')}
  esac
}
complete -o default -F _backstay backstay
`
}

function followed(place: CompletionPlace, { word, short, follows }: CompletedOption): string[] {
  if (follows === 'nothing') return []
  const patterns = [word, ...(short === undefined ? [] : [short])].map(
    (flag) => `'${place.path}:${flag}'`,
  )
  return [`    ${patterns.join('|')}) ${reply(follows)}; return ;;`]
}

function reply(follows: Exclude<CompletedOption['follows'], 'nothing'>): string {
  switch (follows) {
    case 'file':
      return 'COMPREPLY=($(compgen -f -- "$word"))'
    case 'directory':
      return 'COMPREPLY=($(compgen -d -- "$word"))'
    case 'text':
      return 'COMPREPLY=()'
    default:
      return `COMPREPLY=($(compgen -W '${follows.join(' ')}' -- "$word"))`
  }
}

function allWords({ words, options }: CompletionPlace): string {
  return [...words, ...options].map(({ word }) => word).join(' ')
}
