/**
 * Our lines in the operator's pg_hba.conf: one block between two marks. Every other byte of the
 * file stays as it is.
 *
 * The first rule that matches a connection decides it, so the block stands before the first rule of
 * the file: otherwise a broad rule of the operator's (`host all all all reject`) could lock our
 * roles out. A block that the operator moved elsewhere is replaced where it is; whether it can stay
 * there, hba-order.ts says.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import { type HbaLine, scanHba } from './hba-scanner.ts'

const BEGIN = /^# BEGIN backstay\b/
const END = /^# END backstay\b/
const BEGIN_LINE = '# BEGIN backstay (managed: lines up to END are overwritten)'
const END_LINE = '# END backstay'

interface Block {
  /** Indexes of the marks among the file's lines. */
  readonly begin: number
  readonly end: number
}

/**
 * The rules in our block, without line ends and comments; undefined when there is no block.
 * @throws {BackstayError} POSTGRES_FILE_INVALID when a mark is missing or doubled.
 */
export function readHbaBlock(text: string, major: number): readonly string[] | undefined {
  const lines = scanHba(text, major)
  const block = findBlock(lines)
  return block === undefined
    ? undefined
    : lines
        .slice(block.begin + 1, block.end)
        .filter((line) => line.fields.length > 0)
        .map((line) => line.text.trimEnd())
}

/**
 * The file with our block holding exactly `rules`: replaced in place, or put before the first rule
 * of the file and the comment that belongs to it. The same rules again give the same text.
 * @throws {BackstayError} POSTGRES_FILE_INVALID when a mark is missing or doubled.
 */
export function setHbaBlock(text: string, rules: readonly string[], major: number): string {
  const end = /\r\n/.test(text) ? '\r\n' : '\n'
  const lines = scanHba(text, major)
  const block = findBlock(lines)
  const place = block?.begin ?? placeForBlock(lines)
  const before = joined(lines.slice(0, place))
  const after = joined(lines.slice(block === undefined ? place : block.end + 1))
  const separator = before === '' || before.endsWith('\n') ? '' : end
  return `${before}${separator}${[BEGIN_LINE, ...rules, END_LINE].join(end)}${end}${after}`
}

/**
 * The file without our block.
 * @throws {BackstayError} POSTGRES_FILE_INVALID when a mark is missing or doubled.
 */
export function removeHbaBlock(text: string, major: number): string {
  const lines = scanHba(text, major)
  const block = findBlock(lines)
  if (block === undefined) return text
  return joined(lines.slice(0, block.begin)) + joined(lines.slice(block.end + 1))
}

function findBlock(lines: readonly HbaLine[]): Block | undefined {
  const marks = lines.flatMap((line, index) => {
    if (BEGIN.test(line.text)) return [{ isBegin: true, index, line }]
    return END.test(line.text) ? [{ isBegin: false, index, line }] : []
  })
  const [begin, end, extra] = marks
  if (begin === undefined) return undefined
  if (!begin.isBegin) throw damaged('END without BEGIN', begin.line)
  if (end === undefined || end.isBegin) throw damaged('BEGIN without END', begin.line)
  if (extra !== undefined) throw damaged('a second block', extra.line)
  return { begin: begin.index, end: end.index }
}

function placeForBlock(lines: readonly HbaLine[]): number {
  const firstRule = lines.findIndex((line) => line.fields.length > 0)
  if (firstRule < 0) return lines.length
  const isComment = (index: number): boolean =>
    lines[index]?.text.trimStart().startsWith('#') === true
  let place = firstRule
  while (place > 0 && isComment(place - 1)) place -= 1
  return place
}

function joined(lines: readonly HbaLine[]): string {
  return lines.map((line) => line.text).join('')
}

function damaged(what: string, line: HbaLine): BackstayError {
  return new BackstayError(
    'POSTGRES_FILE_INVALID',
    `Cannot edit pg_hba.conf: the marks of Backstay's lines are damaged: ${what} in line ${line.number}`,
    {
      hint: 'Remove the marks "# BEGIN backstay" and "# END backstay" with the lines between them, then run the command again.',
      details: { line: line.number },
    },
  )
}
