/**
 * docs/errors.md and docs/exit-codes.md from the catalogue of errors.
 */
import { EXIT_MEANINGS } from '../../src/errors/exit-meanings.ts'
import { ERROR_KINDS, type ErrorKind } from '../../src/errors/codes.ts'
import { GENERATED, renderMarkdownTable } from './markdown.ts'

const KINDS: readonly [code: string, kind: ErrorKind][] = Object.entries(ERROR_KINDS)

/** docs/errors.md */
export function errorsPage(): string {
  const rows = KINDS.map(([code, kind]) => [
    `\`${code}\``,
    kind.says,
    kind.remedy,
    String(kind.exitCode),
    kind.retryable === true ? 'yes' : '',
  ])
  return [
    '# Errors',
    '',
    GENERATED,
    '',
    'Every failure has a code that stays the same, whatever its text. With `--json` it is `error.code` in the object on',
    'stderr. “Again” says whether the same command can succeed later without anybody acting.',
    '',
    renderMarkdownTable(['Code', 'What happened', 'What to do', 'Exit code', 'Again'], rows),
  ].join('\n')
}

/** docs/exit-codes.md */
export function exitCodesPage(): string {
  const rows = Object.entries(EXIT_MEANINGS).map(([number, means]) => [
    number,
    means,
    KINDS.filter(([, kind]) => kind.exitCode === Number(number))
      .map(([code]) => `\`${code}\``)
      .join(', '),
  ])
  return [
    '# Exit codes',
    '',
    GENERATED,
    '',
    'Scripts can rely on them. The codes of errors are explained in [errors.md](errors.md).',
    '',
    renderMarkdownTable(['Exit code', 'Meaning', 'Errors'], rows),
  ].join('\n')
}
