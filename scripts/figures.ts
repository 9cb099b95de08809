/**
 * Prints figures of the house: how large its rooms are, how it is ruled, and how its words are kept. Fails where a boundary is broken, a type
 * name has two meanings, or something exported is not described; the other figures show where the house drifts.
 */
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'

const ROOT = join(import.meta.dirname, '..')
const SOURCE = join(ROOT, 'src')
const LINE_COLUMNS = 100
/** A docstring of so few words says nothing that the name does not. */
const FEW_WORDS = 3

interface SourceFile {
  /** From src/ on. */
  readonly path: string
  readonly lines: readonly string[]
}

/** Something that is exported, and what its docstring says. */
interface Exported {
  readonly place: string
  readonly name: string
  readonly words: number
}

const files = readdirSync(SOURCE, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
  .map((entry): SourceFile => {
    const path = join(entry.parentPath, entry.name)
    return { path: relative(SOURCE, path), lines: readFileSync(path, 'utf8').split('\n') }
  })

function roomSizes(): [string, number][] {
  const sizes = new Map<string, number>()
  for (const { path, lines } of files) {
    const room = path.split('/')[0] ?? ''
    sizes.set(room, (sizes.get(room) ?? 0) + lines.length)
  }
  return [...sizes].sort(([, a], [, b]) => b - a)
}

const EXPORT = /^export (?:async |abstract )?(?:function\*?|class|interface|type|const) (\w+)/

function exportsOf({ path, lines }: SourceFile): Exported[] {
  return lines.flatMap((line, index) => {
    const name = EXPORT.exec(line)?.[1]
    return name === undefined ? [] : [{ place: path, name, words: docWords(lines, index) }]
  })
}

/** Words of the docstring that ends above line `index`; 0 when there is none. */
function docWords(lines: readonly string[], index: number): number {
  let first = index - 1
  if (lines[first]?.trimEnd().endsWith('*/') !== true) return 0
  while (first > 0 && lines[first]?.trimStart().startsWith('/**') !== true) first -= 1
  const text = lines.slice(first, index).join(' ').replaceAll(/[/*]/g, ' ')
  return text.split(/\s+/).filter(Boolean).length
}

/** Type names that more than one file gives a meaning, outside of files that only hide them from each other's sight. */
function sharedTypeNames(): string[] {
  const places = new Map<string, Set<string>>()
  for (const { path, lines } of files) {
    for (const line of lines) {
      const name = /^(?:export )?(?:interface|type) (\w+)/.exec(line)?.[1]
      if (name !== undefined) places.set(name, (places.get(name) ?? new Set()).add(path))
    }
  }
  return [...places].filter(([, where]) => where.size > 1).map(([name]) => name)
}

function comments(): { readonly count: number; readonly long: number } {
  const all = files.flatMap(({ lines }) =>
    lines.filter((line) => /^\s*(\*|\/\/|\/\*\*)/.test(line)),
  )
  return { count: all.length, long: all.filter((line) => line.length > LINE_COLUMNS).length }
}

/** What check-boundaries.ts says, and whether all is well. */
function boundaries(): { readonly text: string; readonly isGood: boolean } {
  const script = join(ROOT, 'scripts/check-boundaries.ts')
  const { stdout, stderr, status } = spawnSync(process.execPath, [script], { encoding: 'utf8' })
  return { text: `${stdout}${stderr}`.trim(), isGood: status === 0 }
}

const sizes = roomSizes()
const lineCount = sizes.reduce((sum, [, lines]) => sum + lines, 0)
const [largest, largestLines] = sizes[0] ?? ['', 0]
const exported = files.flatMap(exportsOf)
const undescribed = exported.filter(({ words }) => words <= FEW_WORDS)
const shared = sharedTypeNames()
const { count, long } = comments()

const { text, isGood } = boundaries()
console.log(`Boundaries (circles, arrows up, wings, openers of a store): ${text}`)
console.log(`Lines of src: ${lineCount} in ${files.length} files`)
console.log(`Largest room: src/${largest}, ${((largestLines / lineCount) * 100).toFixed(1)} %`)
for (const [room, lines] of sizes.slice(1, 6)) console.log(`  src/${room}: ${lines}`)
console.log(
  `Exported things: ${exported.length}, with no docstring or one of ≤ ${FEW_WORDS} words: ${undescribed.length}`,
)
for (const { place, name } of undescribed) console.log(`  ${place}: ${name}`)
console.log(`Type names with more than one meaning: ${shared.length}`)
if (shared.length > 0) console.log(`  ${shared.join(' ')}`)
console.log(`Comment lines over ${LINE_COLUMNS} columns: ${long} of ${count}`)
process.exitCode = isGood && undescribed.length === 0 && shared.length === 0 ? 0 : 1
