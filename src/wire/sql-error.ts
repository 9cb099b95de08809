/**
 * What the `pg` library throws as our errors.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import { MAX_TEXT_LENGTH } from './backend-messages.ts'
import { networkError } from './network-error.ts'
import { serverError } from './server-error.ts'

/**
 * The error for anything that came out of `pg`; `action` is the start of the sentence: `Cannot
 * query db1:5432`.
 */
export function sqlError(action: string, error: unknown): BackstayError {
  if (error instanceof BackstayError) return error
  if (!(error instanceof Error)) return networkError(action, error)
  if ('severity' in error && 'code' in error && typeof error.code === 'string') {
    const { severity, detail, hint } = error as {
      severity?: string
      detail?: string
      hint?: string
    }
    const { code: sqlstate } = error
    const texts = { message: kept(error.message), detail: kept(detail), hint: kept(hint) }
    return serverError(action, { severity: severity ?? 'ERROR', sqlstate, ...texts }, error)
  }
  return textError(action, error)
}

function kept<Text extends string | undefined>(text: Text): Text {
  return text?.slice(0, MAX_TEXT_LENGTH) as Text
}

/** pg's own errors have a text and no code. */
function textError(action: string, error: Error): BackstayError {
  const { message } = error
  if (message.includes('does not support SSL')) {
    return new BackstayError('POSTGRES_TLS', `${action}: the server does not offer TLS`, {
      hint: 'Turn ssl on at the server, or choose another sslmode.',
      cause: error,
    })
  }
  if (message === 'Query read timeout') {
    return new BackstayError('TIMEOUT', `${action}: the server fell silent`, { cause: error })
  }
  if (/^Connection terminated|not queryable|Client was closed/.test(message)) {
    const text = `${action}: the server ended the connection`
    return new BackstayError('POSTGRES_CONNECTION_LOST', text, { cause: error })
  }
  return networkError(action, error)
}
