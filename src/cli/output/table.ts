/**
 * Tables without borders: aligned columns, capital headings, cut to the width of the terminal.
 */
import { displayWidth } from './display-width.ts'
import { greatest } from '../../util/greatest.ts'

/** A column of a table of `Row`. */
export interface Column<Row> {
  readonly title: string
  value(row: Row): string
  /** Default left; numbers read better on the right. */
  readonly align?: 'right'
  /**
   * Whether the column gives way when the terminal is too narrow; the last column does where none
   * says so.
   */
  readonly shrinks?: true
}

const GAP = '  '
const LEAST_WIDTH = 8

/**
 * Renders rows below their headings, with a newline at the end. Without `width` (a pipe) nothing is
 * cut.
 */
export function renderTable<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  width?: number,
): string {
  const lines = [
    columns.map((column) => column.title.toUpperCase()),
    ...rows.map((row) => columns.map((column) => column.value(row))),
  ]
  const widths = columns.map((_, index) =>
    greatest(
      lines.map((cells) => displayWidth(cells[index] ?? '')),
      0,
    ),
  )
  const fitted = width === undefined ? widths : fit(columns, widths, width)
  return lines.map((cells) => `${renderLine(cells, fitted, columns)}\n`).join('')
}

function renderLine(
  cells: readonly string[],
  widths: readonly number[],
  columns: readonly Column<never>[],
): string {
  return cells
    .map((cell, index) => pad(cell, widths[index] ?? 0, columns[index]?.align))
    .join(GAP)
    .trimEnd()
}

function pad(cell: string, width: number, align: 'right' | undefined): string {
  const text = truncate(cell, width)
  const space = ' '.repeat(Math.max(0, width - displayWidth(text)))
  return align === 'right' ? space + text : text + space
}

/** Takes what is too wide from the widest of the columns that give way, again and again. */
function fit<Row>(
  columns: readonly Column<Row>[],
  widths: readonly number[],
  width: number,
): readonly number[] {
  const marked = columns.flatMap((column, index) => (column.shrinks === true ? [index] : []))
  const giving = marked.length > 0 ? marked : [columns.length - 1]
  const result = [...widths]
  let excess =
    result.reduce((sum, each) => sum + each, 0) + GAP.length * (columns.length - 1) - width
  while (excess > 0) {
    const widest = giving.reduce((a, b) => ((result[b] ?? 0) > (result[a] ?? 0) ? b : a))
    const now = result[widest] ?? 0
    if (now <= LEAST_WIDTH) break
    result[widest] = now - 1
    excess -= 1
  }
  return result
}

/** Cuts text to `width` columns of the terminal, with an ellipsis where something was cut. */
export function truncate(text: string, width: number): string {
  if (displayWidth(text) <= width) return text
  let kept = ''
  for (const { segment } of new Intl.Segmenter().segment(text)) {
    if (displayWidth(kept + segment) > width - 1) break
    kept += segment
  }
  return `${kept}…`
}
