/**
 * What the word after an option may be, by its kind, and the value it becomes. Every number of a
 * command line is read here.
 */
import { InvalidArgumentError } from 'commander'
import { parseBackupId } from '../../repository/backup-info.ts'

/**
 * `whole`: from 0 · `positive`: from 1 · `targetTimeline`: a timeline, latest or current ·
 * `backupName`: what a backup can be called and found by · `port`.
 */
export type WordKind = 'whole' | 'positive' | 'targetTimeline' | 'backupName' | 'port'

/** Words that mean a backup by themselves, so none can be called so. */
const RESERVED: ReadonlySet<string> = new Set([
  'latest',
  'last',
  'oldest',
  'first',
  'last-failed',
  'latest-full',
  'last-full',
  'auto',
])
const HIGHEST_TIMELINE = 0xff_ff_ff_ff
const HIGHEST_PORT = 65_535

type WordReader = (word: string) => string | number | undefined

const READERS: Readonly<Record<WordKind, readonly [read: WordReader, not: string]>> = {
  whole: [(word) => between(word, 0, Number.MAX_SAFE_INTEGER), 'a whole number from 0'],
  positive: [(word) => between(word, 1, Number.MAX_SAFE_INTEGER), 'a whole number from 1'],
  port: [(word) => between(word, 1, HIGHEST_PORT), 'a port'],
  targetTimeline: [readTimeline, 'a timeline, latest or current'],
  backupName: [readName, 'a name for a backup: not empty, no id and no word that means a backup'],
}

/**
 * The value of a word of this kind.
 * @throws {InvalidArgumentError} which the parser makes a usage error of.
 */
export function readWord(kind: WordKind, word: string): string | number {
  const [read, not] = READERS[kind]
  const value = read(word)
  if (value === undefined) throw new InvalidArgumentError(`'${word}' is not ${not}`)
  return value
}

function between(word: string, least: number, most: number): number | undefined {
  if (!/^\d{1,15}$/.test(word)) return undefined
  const value = Number(word)
  return value >= least && value <= most ? value : undefined
}

function readTimeline(word: string): string | undefined {
  const isWord = word === 'latest' || word === 'current'
  return isWord || between(word, 1, HIGHEST_TIMELINE) !== undefined ? word : undefined
}

function readName(word: string): string | undefined {
  return word === '' || RESERVED.has(word) || parseBackupId(word) !== undefined ? undefined : word
}
