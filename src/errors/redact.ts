/**
 * Takes secrets out of text before anybody sees it. Applied once, where text leaves the program.
 * Where it is not sure where a secret ends it takes too much rather than too little.
 */

/** A name that stands before a secret: `password`, `PGPASSWORD`, `sslpassword`, `ldapbindpasswd`, `radiussecrets`, … */
const KEY = String.raw`\b\w*(?:pass(?:word|wd|phrase)?|secrets?)`

/** A backslash, or several of nested quoting, with what it escapes. */
const ESCAPED = String.raw`\\+[^]`

/** What may follow a closing quote and still belong to the value. */
const REST = String.raw`(?:"[^"\n]*"|'[^'\n]*'|\S)*`

/** Values after `=`, by how they are quoted: inside a quoted setting the quotes are doubled or escaped. */
const VALUE = [
  String.raw`''(?:(?!'')(?:\\+''|${ESCAPED}|[^]))*''${REST}`,
  // Either nothing, or the beginning of a doubled quote whose end was cut off.
  String.raw`''[^\n]*`,
  String.raw`\\+'(?:(?!\\')(?:${ESCAPED}|[^]))*(?:\\+'|$)${REST}`,
  String.raw`'(?:''|${ESCAPED}|[^'\\])*(?:'|$)${REST}`,
  String.raw`"(?:""|${ESCAPED}|[^"\\])*(?:"|$)${REST}`,
  String.raw`(?:${ESCAPED}|[^\s\\])+`,
].join('|')

const PATTERNS: readonly [RegExp, string][] = [
  // postgres://user:secret@host
  [/(\b[a-z][a-z0-9+.-]*:\/\/[^\s:@/"]*):[^\s"]*@/gi, '$1:***@'],
  // password=secret, password = 'it''s', PGPASSWORD=secret
  [new RegExp(String.raw`(${KEY})(\s*=\s*)(?:${VALUE})`, 'gi'), '$1$2***'],
  // "password": "secret"
  [
    new RegExp(
      String.raw`(${KEY}\\*["']?\s*:\s*)(\\*["'])(?:(?!\2)(?:${ESCAPED}|[^]))*(?:\2|$)`,
      'gi',
    ),
    '$1$2***$2',
  ],
  // PASSWORD 'secret', PASSWORD $$secret$$ in SQL
  [
    new RegExp(String.raw`\b(password\s+)(?:E|U&)?'(?:''|${ESCAPED}|[^'\\])*(?:'|$)`, 'gi'),
    "$1'***'",
  ],
  [/\b(password\s+)(\$\w*\$)[^]*?(?:\2|$)/gi, "$1'***'"],
  // verifiers
  [/SCRAM-SHA-256\$[^\s'"]+/g, 'SCRAM-SHA-256$***'],
  [/\bmd5[0-9a-f]{32}\b/g, 'md5***'],
]

const SECRET_NAME = new RegExp(`${KEY}$`, 'i')

/** Whether a field of this name holds a secret, whatever its value looks like. */
export function isSecretName(name: string): boolean {
  return SECRET_NAME.test(name)
}

/** Returns `text` with passwords in URLs, conninfo strings, settings, JSON and SQL replaced by `***`. */
export function redact(text: string): string {
  return PATTERNS.reduce(
    (result, [pattern, replacement]) => result.replace(pattern, replacement),
    text,
  )
}
