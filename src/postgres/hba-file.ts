/**
 * pg_hba.conf as a list of lines that mean something: rules, includes and lines PostgreSQL would
 * refuse. Our own lines in it are hba-block.ts.
 */
import { type HbaRule, type HbaRuleProblem, isHbaRuleProblem, parseHbaRule } from './hba-rule.ts'
import { type HbaLine, scanHba } from './hba-scanner.ts'

/** A line that is neither blank nor a comment. `line` is counted from 1. */
export type HbaEntry =
  | { readonly kind: 'rule'; readonly line: number; readonly text: string; readonly rule: HbaRule }
  | { readonly kind: 'include'; readonly line: number; readonly text: string }
  | ({ readonly kind: 'problem'; readonly line: number; readonly text: string } & HbaRuleProblem)

/** A problem with one of several lines. */
export interface HbaLineProblem extends HbaRuleProblem {
  /** Index of the line among those given, from 0. */
  readonly index: number
}

const INCLUDES = ['include', 'include_if_exists', 'include_dir']
const INCLUDE_SINCE = 16

/** The file as a server of `major` reads it. */
export function parseHba(text: string, major: number): readonly HbaEntry[] {
  return scanHba(text, major).flatMap((line) => parseLine(line, major))
}

/**
 * What is wrong with lines an operator wrote, each given without line end; blank lines and comments
 * are fine.
 */
export function findHbaProblems(
  lines: readonly string[],
  major: number,
): readonly HbaLineProblem[] {
  return lines.flatMap((line, index): HbaLineProblem[] => {
    if (/[\r\n]|\\$/.test(line)) {
      return [{ index, field: 'type', problem: 'a rule must be one line' }]
    }
    return parseHba(line, major).flatMap((entry) =>
      entry.kind === 'problem' ? [{ index, field: entry.field, problem: entry.problem }] : [],
    )
  })
}

function parseLine(line: HbaLine, major: number): HbaEntry[] {
  const { number, fields } = line
  const text = line.text.trim()
  if (fields.length === 0) return []
  const first = fields[0]?.[0]?.text ?? ''
  if (major >= INCLUDE_SINCE && fields.length === 2 && INCLUDES.includes(first)) {
    return [{ kind: 'include', line: number, text }]
  }
  const rule = parseHbaRule(fields, major)
  return [
    isHbaRuleProblem(rule)
      ? { kind: 'problem', line: number, text, ...rule }
      : { kind: 'rule', line: number, text, rule },
  ]
}
