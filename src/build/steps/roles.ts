/**
 * Makes a role as it has to be, in one transaction. Passwords travel as verifiers, and not into the
 * server's log.
 */
import { BackstayError } from '../../errors/backstay-error.ts'
import type { RoleFound } from '../../cluster/found-sql.ts'
import { openAdminSql } from '../../cluster/look/connect.ts'
import { lookRoles } from '../../cluster/look/look-sql.ts'
import type { RoleWanted } from '../../cluster/wanted-roles.ts'
import { makeVerifier, type PasswordMethod } from '../../cluster/state/verifier.ts'
import { type Act, serverOfStep } from './act-context.ts'

/** Even a verifier is nothing for a log. */
const QUIET = [
  "SET LOCAL log_statement = 'none'",
  'SET LOCAL log_min_duration_statement = -1',
  "SET LOCAL log_min_error_statement = 'panic'",
]

/** Creates or corrects the role. */
export const setRole: Act<'role'> = async (context, step) => {
  const { role } = step
  const password = (await context.state.readPasswords([role.name])).get(role.name)
  if (password === undefined) {
    throw new BackstayError('BUG', `Cannot make role "${role.name}": it has no password`)
  }
  await using sql = await openAdminSql(context, serverOfStep(context, step))
  const [found] = await lookRoles(sql, {
    roles: new Map([[role.name, password]]),
    functions: role.execute,
  })
  const method = context.wanted.postgres.authentication
  const statements = roleStatements(role, found, { password, method })
  await sql.query(['BEGIN', ...QUIET, ...statements, 'COMMIT'].join(';\n'))
}

/** The statements that turn what is found into what is wanted. */
export function roleStatements(
  role: RoleWanted,
  found: RoleFound | undefined,
  secret: { readonly password: string; readonly method: PasswordMethod },
): readonly string[] {
  const name = quoteIdentifier(role.name)
  const keepsPassword = found?.password === 'ours' && found.method === secret.method
  const verifier = makeVerifier({ role: role.name, password: secret.password }, secret.method)
  const attributes = [
    'LOGIN REPLICATION',
    `CONNECTION LIMIT ${role.connectionLimit}`,
    ...(found?.isExpired === true ? ["VALID UNTIL 'infinity'"] : []),
    ...(keepsPassword ? [] : [`PASSWORD '${verifier}'`]),
  ].join(' ')
  const verb = found === undefined ? 'CREATE' : 'ALTER'
  return [
    `${verb} ROLE ${name} ${attributes}`,
    ...role.memberOf
      .filter((group) => found?.memberOf.includes(group) !== true)
      .map((group) => `GRANT ${quoteIdentifier(group)} TO ${name}`),
    ...role.execute
      .filter((signature) => found?.mayExecute.includes(signature) !== true)
      .map((signature) => `GRANT EXECUTE ON FUNCTION pg_catalog.${signature} TO ${name}`),
  ]
}

function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}
