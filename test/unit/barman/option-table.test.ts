/**
 * The table of option values says of each option what the definitions of the commands make of it.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Option } from 'commander'
import { COMMANDS } from '../../../src/barman/command-line/commands.ts'
import { OPTION_TYPES, type OptionType } from '../../../src/barman/command-line/option-table.ts'
import type { BarmanOptionSpec } from '../../../src/barman/command-line/spec.ts'

const NUMBERS: readonly (string | undefined)[] = ['whole', 'positive', 'port']

function typeOf({ flags, kind, isList }: BarmanOptionSpec): OptionType {
  if (isList === true) return 'list'
  if (!/[<[]/.test(flags)) return 'flag'
  return NUMBERS.includes(kind) ? 'number' : 'text'
}

test('every option of the table is some command’s, and of the same type in each', () => {
  const specs = COMMANDS.flatMap(({ options = [] }) => options)
  const found = Object.keys(OPTION_TYPES).map((key) => {
    const own = specs.filter(({ flags, help }) => new Option(flags, help).attributeName() === key)
    return [key, [...new Set(own.map(typeOf))]]
  })
  const wanted = Object.entries(OPTION_TYPES).map(([key, type]) => [key, [type]])
  assert.deepEqual(found, wanted)
})
