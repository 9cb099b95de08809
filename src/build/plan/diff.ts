/**
 * Two texts as the lines that differ: enough for settings and hba blocks, whose order matters
 * little or not at all.
 */
import type { DiffLine } from './step.ts'

/**
 * Lines of `before` that `after` lacks, then lines that only `after` has; comments and blank lines
 * are left out. A line that only moved is not shown.
 */
export function diffLines(before: string | undefined, after: string): readonly DiffLine[] {
  const old = meaningfulLines(before ?? '')
  const fresh = meaningfulLines(after)
  return [
    ...old.filter((text) => !fresh.includes(text)).map((text) => ({ sign: '-' as const, text })),
    ...fresh.filter((text) => !old.includes(text)).map((text) => ({ sign: '+' as const, text })),
  ]
}

function meaningfulLines(text: string): readonly string[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
}

/** A line that is new. */
export function added(text: string): DiffLine {
  return { sign: '+', text }
}
