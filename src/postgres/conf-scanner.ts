/**
 * The lines of postgresql.conf and of the files that share its syntax, as PostgreSQL's own scanner
 * sees them. Splits and names; it follows no includes and knows no settings. Joining the lines'
 * `text` gives the file back. Bytes that are not UTF-8 survive when the file is decoded and encoded
 * as latin1. Source: PostgreSQL src/backend/utils/misc/guc-file.l (rules, ParseConfigFp,
 * DeescapeQuotedString).
 */

/** A line of the file, whatever it holds; its `text` stays as written. */
export type ConfLine = ConfBlankLine | ConfDirectiveLine | ConfProblemLine

interface ConfLineBase {
  /** Counted from 1. */
  readonly number: number
  /** With its line end, if it has one. */
  readonly text: string
}

/** An empty line or a comment. */
export interface ConfBlankLine extends ConfLineBase {
  readonly kind: 'blank'
}

/** `name = value` or `name value`; an include is one too, see `includeKindOf`. */
export interface ConfDirectiveLine extends ConfLineBase {
  readonly kind: 'directive'
  /** As written. PostgreSQL compares names without case. */
  readonly name: string
  /** Without quotes and escapes. */
  readonly value: string
  /** Where the value stands in `text`, quotes included. */
  readonly valueStart: number
  readonly valueEnd: number
}

/** A line that PostgreSQL would call a syntax error. */
export interface ConfProblemLine extends ConfLineBase {
  readonly kind: 'problem'
  /** Counted from 1. */
  readonly column: number
}

const LETTER = String.raw`[A-Za-z_\u0080-\uffff]`
const LETTER_OR_DIGIT = String.raw`[A-Za-z_0-9\u0080-\uffff]`
const ID = `${LETTER}${LETTER_OR_DIGIT}*`

/** The scanner's rules in its order: the longest match wins, of equal ones the first. */
const RULES = [
  ['blank', /[ \t\r]+/y],
  ['blank', /#[^\n]*/y],
  ['id', new RegExp(ID, 'y')],
  ['qualified', new RegExp(String.raw`${ID}\.${ID}`, 'y')],
  ['string', /'(?:[^'\\\n]|\\[^\n]|'')*'/y],
  ['unquoted', new RegExp(`${LETTER}(?:${LETTER_OR_DIGIT}|[-._:/])*`, 'y')],
  ['integer', /[-+]?(?:0x[0-9a-fA-F]+|[0-9]+)[a-zA-Z]*/y],
  ['real', /[-+]?[0-9]*\.[0-9]*(?:[Ee][-+]?[0-9]+)?/y],
  ['equals', /=/y],
] as const

type TokenKind = (typeof RULES)[number][0] | 'other'

interface Token {
  readonly kind: TokenKind
  readonly start: number
  readonly text: string
}

const NAME_KINDS: readonly TokenKind[] = ['id', 'qualified']
const VALUE_KINDS: readonly TokenKind[] = ['id', 'string', 'integer', 'real', 'unquoted']

/** Name, equals sign, value, and what should not follow. */
const TOKENS_MAX = 4

/** All lines of a file, in order. */
export function scanConf(text: string): readonly ConfLine[] {
  const lines = text.match(/[^\n]*\n|[^\n]+$/g) ?? []
  return lines.map((line, index) => scanLine(line, index + 1))
}

/**
 * A value as it stands in the file: bare where the scanner reads it back as one token, else quoted
 * and escaped.
 */
export function formatConfValue(value: string): string {
  const isBare = VALUE_KINDS.includes(tokenAt(value, 0).kind) && tokenAt(value, 0).text === value
  if (isBare && !value.startsWith("'")) return value
  const escaped = value
    .replace(/[\\']/g, (character) => (character === "'" ? "''" : String.raw`\\`))
    .replace(/[\b\f\n\r\t]/g, (character) => ESCAPES[character] ?? character)
  return `'${escaped}'`
}

const ESCAPES: Readonly<Record<string, string>> = {
  '\b': String.raw`\b`,
  '\f': String.raw`\f`,
  '\n': String.raw`\n`,
  '\r': String.raw`\r`,
  '\t': String.raw`\t`,
}

const UNESCAPES: Readonly<Record<string, string>> = {
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
}

function scanLine(text: string, number: number): ConfLine {
  const tokens = firstTokens(text.replace(/\n$/, ''))
  const [name] = tokens
  if (name === undefined) return { kind: 'blank', number, text }
  const valueIndex = tokens[1]?.kind === 'equals' ? 2 : 1
  const value = tokens[valueIndex]
  const isValue = value !== undefined && VALUE_KINDS.includes(value.kind)
  const wrong = !NAME_KINDS.includes(name.kind) ? name : isValue ? tokens[valueIndex + 1] : value
  if (wrong !== undefined || value === undefined) {
    return { kind: 'problem', number, text, column: (wrong?.start ?? text.trimEnd().length) + 1 }
  }
  return {
    kind: 'directive',
    number,
    text,
    name: name.text,
    value: value.kind === 'string' ? unquote(value.text) : value.text,
    valueStart: value.start,
    valueEnd: value.start + value.text.length,
  }
}

/**
 * What stands on the line, blanks and comments aside, as far as it matters: a line of quotes would
 * be read to its end from each of them.
 */
function firstTokens(line: string): Token[] {
  const tokens: Token[] = []
  for (let at = 0; at < line.length && tokens.length < TOKENS_MAX;) {
    const token = tokenAt(line, at)
    if (token.kind !== 'blank') tokens.push(token)
    at += token.text.length
  }
  return tokens
}

function tokenAt(line: string, start: number): Token {
  let best: Token = { kind: 'other', start, text: '' }
  for (const [kind, rule] of RULES) {
    rule.lastIndex = start
    const text = rule.exec(line)?.[0] ?? ''
    if (text.length > best.text.length) best = { kind, start, text }
  }
  return best.text === '' ? { kind: 'other', start, text: line.charAt(start) } : best
}

function unquote(text: string): string {
  return text
    .slice(1, -1)
    .replace(/''|\\([0-7]{1,3})|\\(.)/gs, (_all, octal?: string, escaped?: string) => {
      if (octal !== undefined) return String.fromCharCode(Number.parseInt(octal, 8) & 0xff)
      return escaped === undefined ? "'" : (UNESCAPES[escaped] ?? escaped)
    })
}
