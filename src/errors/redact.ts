/**
 * Takes secrets out of text before anybody sees it. Applied once, where text leaves the program.
 * Where it is not sure where a secret ends it takes too much rather than too little.
 */

const KEYS = String.raw`(?:secret|api|access|private|account|shared|encryption|master|signing|storage)[_-]?key`

/**
 * What a secret is called, in words that are put together with others: `PGPASSWORD`,
 * `ldapbindpasswd`, `aws_secret_access_key`, `AccountKey`.
 */
const SECRET = [
  'pass(?:word|wd|phrase)?s?',
  'pwd',
  'secrets?',
  String.raw`secret_?id`,
  KEYS,
  'tokens?',
  'credentials?',
  'signature',
  'passphrase_command',
].join('|')

/**
 * A name that stands before a secret, or before a command that prints one
 * (`ssl_passphrase_command`); extensions call theirs `pg_tde.key`.
 */
const KEY = String.raw`\b(?:\w*(?:${SECRET})|\w+\.(?:\w*_)?key|sig|pw)`

/** A backslash, or several of nested quoting, with what it escapes. */
const ESCAPED = String.raw`\\+[^]`

/** What may follow a closing quote and still belong to the value. */
const REST = String.raw`(?:"[^"\n]*"|'[^'\n]*'|\S)*`

/**
 * Values after `=`, by how they are quoted: inside a quoted setting the quotes are doubled or
 * escaped.
 */
const VALUE = [
  // A run of backslashes is read in one way, or ends it: with more ways to try, a text without an
  // end would take for ever.
  String.raw`''(?:\\+(?:''|(?!'')[^\\])|(?!'')[^\\])*\\*''${REST}`,
  // Either nothing, or the beginning of a doubled quote whose end was cut off.
  String.raw`''[^\n]*`,
  String.raw`\\+'(?:(?!\\')(?:${ESCAPED}|[^]))*(?:\\+'|$)${REST}`,
  String.raw`'(?:''|${ESCAPED}|[^'\\])*(?:'|$)${REST}`,
  String.raw`"(?:""|${ESCAPED}|[^"\\])*(?:"|$)${REST}`,
  String.raw`(?:${ESCAPED}|[^\s\\])+`,
].join('|')

/** One word of a command line, however it is quoted. */
const WORD = String.raw`(?:"(?:\\[^]|[^"\\])*(?:"|$)|'[^']*(?:'|$)|\\[^]|[^\s'"\\])+`

/** What follows a name in a sentence about it, and is no secret. */
const SENTENCE = String.raw`(?!(?:is|was|are|or|and|in|of|on|for|from|to|must|may|can|cannot|has|have|holds|names|not|as|at|by|with|that|which|where|when|does|stands|needs|set)(?:[,.;]?\s|[,.;]?$))`

/** Begin of an address with a password. Schemes are short. */
const URL_PASSWORD = /(\b[a-z][a-z0-9+.-]{0,30}:\/\/[^\s:@/"]*):[^\s"]*@/gi

/** Each shape a secret comes in, and what is left of it. */
const PATTERNS: readonly [RegExp, string][] = [
  // a key in PEM
  [/(-----BEGIN [A-Z ]*PRIVATE KEY-----)[^]*?(-----END [A-Z ]*PRIVATE KEY-----|$)/g, '$1***$2'],
  // Authorization: Bearer secret; what belongs to it may have commas and blanks in it
  [
    /\b((?:proxy-)?authorization\\*["']?\s*[:=]\s*\\*["']?)(?:(bearer|basic|digest|token|negotiate)\s+)?[^"'\s][^"'\n]*/gi,
    '$1***',
  ],
  [/\b((?:set-)?cookie:\s*)[^"'\n]+/gi, '$1***'],
  // X-Api-Key: secret, PRIVATE-TOKEN: secret, secret_key: secret
  [
    new RegExp(
      String.raw`(?<![\w-])((?:[\w-]*\w[_-](?:${SECRET})|${KEYS})\s*:\s+)${SENTENCE}(?![\\"'*])[^\s"',}]+`,
      'gi',
    ),
    '$1***',
  ],
  // password=secret, password = 'it''s', PGPASSWORD=secret, X-Amz-Signature=secret, pw => secret
  [new RegExp(String.raw`(${KEY})(\s*=>?\s*)(?:${VALUE})`, 'gi'), '$1$2***'],
  // WALG_LIBSODIUM_KEY=secret: a variable for a program that archives, whatever the key is for
  [new RegExp(String.raw`\b((?:[A-Z][A-Z0-9]*_)+KEY=)(?:${VALUE})`, 'g'), '$1***'],
  // openssl enc -pass pass:secret, -passin pass:secret, -k secret
  [new RegExp(String.raw`((?:^|\s)-pass(?:in|out)?[ \t]+)(?=["']?pass:)${WORD}`, 'g'), '$1***'],
  [new RegExp(String.raw`(\bopenssl\b[^|;&\n]{0,300}?\s-[kK][ \t]+)${WORD}`, 'g'), '$1***'],
  // password: secret, PGPASSWORD: secret
  [
    new RegExp(
      String.raw`\b(\w*(?:password|passwd|passphrase|pwd)\s*:\s+)${SENTENCE}(?![\\"'*])[^\s"',}]+`,
      'gi',
    ),
    '$1***',
  ],
  // "password": "secret"
  [
    new RegExp(
      String.raw`(${KEY}\\*["']?\s*:\s*)(\\*["'])(?:(?!\2)(?:${ESCAPED}|[^]))*(?:\2|$)`,
      'gi',
    ),
    '$1$2***$2',
  ],
  // --password secret, --secret-key=secret on a command line
  [new RegExp(String.raw`(--(?:\w+-)*(?:${SECRET})[ =]\s*)${WORD}`, 'gi'), '$1***'],
  // PGPASSWORD secret, ssl_passphrase_command 'secret': names of settings and variables, without a
  // sign between
  [
    new RegExp(
      String.raw`\b((?:pgpassword|\w*passphrase_command|\w+_(?:${SECRET}))[ \t]+)${SENTENCE}(?![=:])${WORD}`,
      'gi',
    ),
    '$1***',
  ],
  // curl -u user:secret
  [
    new RegExp(
      String.raw`((?:^|\s)(?:-u|-U|--user|--proxy-user)(?:[ \t=]+|(?=\S))["']?[^\s:"'/-][^\s:"'/]*:)[^\s"']+`,
      'g',
    ),
    '$1***',
  ],
  [
    new RegExp(
      String.raw`((?:^|\s)(?:-u|-U|--user|--proxy-user)[ \t=]*(["'])[^\s:"']*:)(?:(?!\2)[^])*(?:\2|$)`,
      'g',
    ),
    '$1***$2',
  ],
  // sshpass -p secret
  [new RegExp(String.raw`(\bsshpass(?:[ \t]+-[^p\s]\S*)*[ \t]+-p[ \t]*)${WORD}`, 'g'), '$1***'],
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

/** The value of a setting without secrets: one judged by its name goes whole. */
export function redactSetting(name: string, value: string): string {
  return isSecretName(name) ? '***' : redact(value)
}

/**
 * Returns `text` with passwords in URLs, conninfo strings, settings, JSON and SQL replaced by
 * `***`.
 */
export function redact(text: string): string {
  return PATTERNS.reduce(
    (result, [pattern, replacement]) => result.replace(pattern, replacement),
    text.replace(/[^\s"]+/g, withoutUrlPassword),
  )
}

/**
 * postgres://user:secret@host, as one word. The pattern sees the word up to its last `@` only, so
 * that it finds one from each place it begins at.
 */
function withoutUrlPassword(word: string): string {
  const end = word.lastIndexOf('@') + 1
  if (end === 0) return word
  return word.slice(0, end).replace(URL_PASSWORD, '$1:***@') + word.slice(end)
}
