/**
 * Who called us over ssh, for messages.
 */

/** ` (SSH host: 10.0.0.1)`, or nothing when nobody did. */
export function sshSuffix(environment: Readonly<Record<string, string | undefined>>): string {
  const host = environment['SSH_CONNECTION']?.split(' ')[0]
  return host === undefined || host === '' ? '' : ` (SSH host: ${host})`
}
