/**
 * Words of the shell commands in PostgreSQL's configuration: restore_command, archive_command,
 * recovery_end_command. Source: PostgreSQL documentation, "Archive Recovery Settings".
 */

/**
 * One word as the shell reads it back unchanged, in which PostgreSQL finds no placeholder (`%f`,
 * `%p`, `%r`).
 */
export function commandWord(word: string): string {
  const escaped = word.replaceAll('%', '%%')
  const isPlain = /^[A-Za-z0-9_@%+=:,./-]+$/.test(word)
  return isPlain ? escaped : `'${escaped.replaceAll("'", String.raw`'\''`)}'`
}
