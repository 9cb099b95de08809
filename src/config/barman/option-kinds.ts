/**
 * What the text of an option must look like, by its kind, and how it is kept.
 */
import { isAbsolute } from 'node:path'
import type { OptionKind } from './options.ts'
import {
  parseAmount,
  parseBoolean,
  parseInteger,
  parseInterval,
  parseList,
  parseRetention,
  parseWhole,
} from './values.ts'

/** The text to go on with, or why there is none: the end of "… in section: ". */
export interface ReadOption {
  readonly value: string
  readonly why: string | undefined
}

type PlainKind = Exclude<OptionKind, `${string} of ${string}` | `${number}..${number}`>
type TextCheck = readonly [isValid: (text: string) => boolean, not: string]

/** For each kind what a value that does not fit is not. */
const CHECKS: Readonly<Record<PlainKind, TextCheck>> = {
  text: [() => true, ''],
  boolean: [(text) => parseBoolean(text) !== undefined, 'boolean'],
  whole: [(text) => parseWhole(text) !== undefined, 'whole number'],
  integer: [(text) => parseInteger(text) !== undefined, 'integer'],
  interval: [(text) => parseInterval(text) !== undefined, 'interval such as 4 DAYS'],
  amount: [(text) => parseAmount(text) !== undefined, 'size such as 10Gi'],
  retention: [(text) => parseRetention(text) !== undefined, 'retention policy'],
  slot: [(text) => /^[0-9a-z_]+$/.test(text), 'name of a replication slot'],
  path: [isAbsolute, 'absolute path'],
  names: [(text) => parseList(text).length > 0, 'list of names'],
}

/**
 * Reads the text of an option of this kind. Words and names of slots are kept in lower case, as
 * Barman keeps them.
 */
export function readOption(kind: OptionKind, text: string): ReadOption {
  const [amount, words] = kind.split(' of ')
  if (words !== undefined)
    return readWords(text, { words: words.split(', '), isList: amount === 'some' })
  const [least, most] = kind.split('..')
  if (most !== undefined) return readBetween(text, { least: Number(least), most: Number(most) })
  const value = kind === 'slot' ? text.toLowerCase() : text
  const [isValid, not] = CHECKS[kind as PlainKind]
  return { value, why: isValid(value) ? undefined : `it is no ${not}` }
}

function readWords(
  text: string,
  { words, isList }: { readonly words: readonly string[]; readonly isList: boolean },
): ReadOption {
  const value = text.toLowerCase()
  const given = isList ? parseList(value) : [value]
  const wrong = given.find((word) => !words.includes(word))
  if (wrong !== undefined) {
    return { value, why: `"${wrong}" is none of ${words.join(', ')}` }
  }
  const both = ['concurrent_backup', 'exclusive_backup']
  if (!both.every((word) => given.includes(word))) return { value, why: undefined }
  return { value, why: `${both.join(' and ')} exclude each other` }
}

function readBetween(
  text: string,
  { least, most }: { readonly least: number; readonly most: number },
): ReadOption {
  const value = parseWhole(text)
  const isInside = value !== undefined && value >= least && value <= most
  return { value: text, why: isInside ? undefined : `it is no number from ${least} to ${most}` }
}
