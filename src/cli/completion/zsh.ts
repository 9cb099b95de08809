/**
 * Completion for zsh, with what each word means.
 */
import { type CompletedOption, type CompletionPlace, stepWords, type Word } from './places.ts'

/** The script: works as a file \`_backstay\` in fpath and when sourced. */
export function zshCompletion(places: readonly CompletionPlace[]): string {
  return `#compdef backstay
# Completion of backstay for zsh, made by "backstay completion zsh".
_backstay() {
  local place= i
  local -a meanings flags
  for ((i = 2; i < CURRENT; i++)); do
    case "$place \${words[i]}" in
      (${stepWords(places)
        .map((step) => `'${step}'`)
        .join('|')}) place="\${place:+$place }\${words[i]}" ;;
    esac
  done
  case "$place:\${words[CURRENT-1]}" in
${places.flatMap((place) => place.options.flatMap((option) => followed(place, option))).join('\n')}
  esac
  case "$place" in
${places.map(listed).join('\n')}
  esac
  (( \${#meanings} )) && _describe -t commands command meanings
  _describe -o -t options option flags
}
if [[ "$funcstack[1]" == _backstay ]]; then _backstay "$@"; else compdef _backstay backstay; fi
`
}

function followed(place: CompletionPlace, { word, short, follows }: CompletedOption): string[] {
  if (follows === 'nothing') return []
  const patterns = [word, ...(short === undefined ? [] : [short])].map(
    (flag) => `'${place.path}:${flag}'`,
  )
  return [`    (${patterns.join('|')}) ${reply(follows)}; return ;;`]
}

function reply(follows: Exclude<CompletedOption['follows'], 'nothing'>): string {
  switch (follows) {
    case 'file':
      return '_files'
    case 'directory':
      return '_files -/'
    case 'text':
      return "_message 'value'"
    default:
      return `compadd -- ${follows.join(' ')}`
  }
}

function listed({ path, words, options }: CompletionPlace): string {
  return `    ('${path}') meanings=(${words.map(described).join(' ')}); flags=(${options.map(described).join(' ')}) ;;`
}

function described({ word, help }: Word): string {
  const text = help.replaceAll('\\', '\\\\').replaceAll(':', '\\:')
  return `'${`${word}:${text}`.replaceAll("'", `'\\''`)}'`
}
