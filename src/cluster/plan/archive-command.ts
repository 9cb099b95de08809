/**
 * The archive_command for a local directory. A segment appears whole and synced or not at all, and nothing is replaced:
 * the same content again is fine, other content is an error. `cp` alone promises none of this.
 */

/**
 * One line of POSIX sh for `archive_command`. Exit code 0 only when the segment is durable in `directory`.
 * The temporary name belongs to the server, so a try that died is overwritten by the next, never left behind.
 */
export function archiveCommandFor(directory: string, server: string): string {
  const folder = shellQuote(escapePercent(directory))
  const temporary = `${folder}/.%f.${shellQuote(escapePercent(server))}`
  const copy = [
    `cp "$p" ${temporary}`,
    `sync ${temporary}`,
    // A hard link fails when the name is taken, where mv would replace.
    `ln ${temporary} "$d"`,
    `rm -f ${temporary}`,
    `sync ${folder}`,
  ].join(' && ')
  return [
    `p="%p" d=${folder}/%f`,
    `if [ ! -e "$d" ]; then { ${copy}; } || { rm -f ${temporary}; exit 1; }`,
    `elif cmp -s "$p" "$d"; then sync "$d" ${folder}`,
    `else echo "archive already holds %f with other content" >&2; exit 1`,
    'fi',
  ].join('; ')
}

function shellQuote(text: string): string {
  return /^[A-Za-z0-9_./-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`
}

function escapePercent(text: string): string {
  return text.replaceAll('%', '%%')
}
