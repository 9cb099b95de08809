/**
 * What Barman 3.17 printed (test/fixtures/barman: recorded with a live server), and comparing with it: the same lines with other
 * values, the same keys.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'

/** The recorded standard output, without the command line above it and the exit code below. */
export function recorded(name: string): string {
  const text = readFileSync(new URL(`../../fixtures/barman/${name}.txt`, import.meta.url), 'utf8')
  return text.slice(text.indexOf('\n') + 1).replace(/\[exit \d+\][^]*$/, '')
}

/** The text with its values taken out. */
function shape(text: string): string {
  return text
    .replace(/\d{8}T\d{6}/g, 'ID')
    .replace(/\b[0-9A-F]{24}(?:\.[0-9A-F]{8}\.backup)?\b/g, 'WAL')
    .replace(/\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}/g, 'CTIME')
    .replace(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?[+-]\d\d:\d\d/g, 'TIME')
    .replace(/[0-9A-F]+\/[0-9A-F]+/g, 'LSN')
    .replace(/-?[\d.]+ (?:[KMG]iB|B)\b/g, 'SIZE')
    .replace(/(?:\d+ (?:second|minute)s?(?:, )?)+|less than one second/g, 'SPAN')
    .replace(/: \/\S+|: COMMAND|: cp .*/g, ': PATH')
    .replace(/\d+(?:\.\d+)*/g, 'N')
}

/** Keys of a JSON value, with the kind of each value. */
export function keysOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.length === 0 ? [] : [keysOf(value[0])]
  if (typeof value !== 'object' || value === null) return '.'
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, keysOf(item)]))
}

/** Lines of one that the other has not, in both directions. */
export function compare(ours: string, name: string, differing: readonly RegExp[] = []): void {
  const lines = (text: string): string[] =>
    shape(text)
      .split('\n')
      .filter((line) => !differing.some((pattern) => pattern.test(line)))
  assert.deepEqual(lines(ours), lines(recorded(name)))
}
