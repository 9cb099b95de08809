/**
 * Whether our block in pg_hba.conf is reached: the first rule that matches a connection decides it.
 * What cannot be told from the text (files, regular expressions, groups) counts as a match.
 */
import { readHbaBlock, removeHbaBlock, setHbaBlock } from './hba-block.ts'
import { type HbaEntry, parseHba } from './hba-file.ts'
import type { HbaRule } from './hba-rule.ts'
import type { HbaToken } from './hba-scanner.ts'

const BEGIN = /^# BEGIN backstay\b/m

/** The file with our block, and what made it move. */
export interface HbaPlaced {
  readonly content: string
  /** The line above the block that could decide one of our connections otherwise. */
  readonly obstacle: HbaEntry | undefined
}

/**
 * The file with our block holding exactly `rules`, before every line that could decide one of our
 * connections otherwise. A block with only other lines above it stays where the operator put it.
 * @throws {BackstayError} POSTGRES_FILE_INVALID when a mark is missing or doubled.
 */
export function placeHbaBlock(text: string, rules: readonly string[], major: number): HbaPlaced {
  const obstacle = findObstacle(text, rules, major)
  const from = obstacle === undefined ? text : removeHbaBlock(text, major)
  return { content: setHbaBlock(from, rules, major), obstacle }
}

function findObstacle(text: string, rules: readonly string[], major: number): HbaEntry | undefined {
  if (readHbaBlock(text, major) === undefined) return undefined
  const above = parseHba(text.slice(0, text.search(BEGIN)), major)
  const ours = parseHba(rules.join('\n'), major).flatMap((entry) =>
    entry.kind === 'rule' ? [entry.rule] : [],
  )
  return above.find((entry) => isInTheWay(entry, ours))
}

function isInTheWay(entry: HbaEntry, ours: readonly HbaRule[]): boolean {
  if (entry.kind === 'problem') return false
  if (entry.kind === 'include') return true
  return ours.some((rule) => !admitsAsWell(entry.rule, rule) && meets(entry.rule, rule))
}

/**
 * Whether our sessions come in by the one as they would by the other; md5 takes every kind of
 * password.
 */
function admitsAsWell(theirs: HbaRule, our: HbaRule): boolean {
  const hasMap = 'map' in theirs.options
  return theirs.method === 'trust' || theirs.method === 'md5'
    ? our.method !== 'peer' || theirs.method === 'trust'
    : theirs.method === our.method && !hasMap
}

/**
 * Whether one connection can match both. Addresses are not compared: a rule for another network
 * moves down as well.
 */
function meets(theirs: HbaRule, our: HbaRule): boolean {
  return (
    (theirs.type === 'local') === (our.type === 'local') &&
    theirs.databases.some((token) => our.databases.some((mine) => mayShare(token, mine))) &&
    theirs.users.some((token) => our.users.some((mine) => mayBeUser(token, mine)))
  )
}

function mayShare(token: HbaToken, mine: HbaToken): boolean {
  const isReplication = (one: HbaToken): boolean => !one.isQuoted && one.text === 'replication'
  if (isReplication(token) || isReplication(mine))
    return isReplication(token) === isReplication(mine)
  return isOpen(token) || isOpen(mine) || token.text === mine.text
}

function mayBeUser(token: HbaToken, mine: HbaToken): boolean {
  return isOpen(token) || token.text === mine.text
}

/** A word that stands for more than itself. */
function isOpen({ text, isQuoted }: HbaToken): boolean {
  const words = ['all', 'sameuser', 'samerole', 'samegroup']
  return text.startsWith('/') || (!isQuoted && (words.includes(text) || /^[@+]/.test(text)))
}
