/**
 * What of backup_compression_* cannot go together. It has no effect here, but a configuration that
 * pg_basebackup would not take is refused as Barman refuses it, so that it goes on working when
 * Barman's own programs are started again. Source: PostgreSQL 18 documentation, pg_basebackup,
 * --compress and --format.
 */
import type { ResolvedOption } from './server-options.ts'
import { parseInteger } from './values.ts'

/** Least and most level of each program. */
const LEVELS: Readonly<Record<string, readonly [least: number, most: number]>> = {
  gzip: [1, 9],
  lz4: [1, 12],
  zstd: [-7, 22],
  none: [0, 0],
}

/** One line for each contradiction. */
export function compressionProblems(options: ReadonlyMap<string, ResolvedOption>): string[] {
  const text = (key: string): string | undefined => options.get(`backup_compression${key}`)?.text
  const program = text('')
  if (program === undefined || options.get('backup_method')?.text !== 'postgres') return []
  const problems: string[] = []
  const level = parseInteger(text('_level') ?? '')
  const [least, most] = LEVELS[program] ?? [0, 0]
  if (level !== undefined && (level < least || level > most)) {
    problems.push(
      `backup_compression_level ${level} unsupported by ${program}: it takes ${least} to ${most}`,
    )
  }
  if (text('_workers') !== undefined && program !== 'zstd') {
    problems.push(
      `backup_compression_workers is not supported with backup_compression = ${program}`,
    )
  }
  if (text('_format') === 'plain' && text('_location') !== 'server') {
    problems.push('backup_compression_format = plain requires backup_compression_location = server')
  }
  return problems
}
