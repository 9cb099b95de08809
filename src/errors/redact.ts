/**
 * Takes secrets out of text before anybody sees it. Applied once, where text leaves the program.
 */
const PATTERNS: readonly [RegExp, string][] = [
  // postgres://user:secret@host
  [/(\b[a-z][a-z0-9+.-]*:\/\/[^\s:@/]*):[^\s@/]+@/gi, '$1:***@'],
  // password=secret, password = 'it''s', PGPASSWORD=secret
  [
    /\b((?:pg)?pass(?:word|wd|phrase)?)(\s*=\s*)('(?:[^'\\]|\\.|'')*'|"[^"]*"|[^\s,;]+)/gi,
    '$1$2***',
  ],
  // PASSWORD 'secret' in SQL
  [/\b(password\s+)'(?:[^'\\]|\\.|'')*'/gi, "$1'***'"],
  // verifiers
  [/SCRAM-SHA-256\$[^\s'"]+/g, 'SCRAM-SHA-256$***'],
  [/\bmd5[0-9a-f]{32}\b/g, 'md5***'],
]

/** Returns `text` with passwords in URLs, conninfo strings and SQL replaced by `***`. */
export function redact(text: string): string {
  return PATTERNS.reduce(
    (result, [pattern, replacement]) => result.replace(pattern, replacement),
    text,
  )
}
