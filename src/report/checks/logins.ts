/**
 * Checks that every role gets in the way it is meant to.
 */
import { type Check, verdict } from './finding.ts'

/** SQL and IDENTIFY_SYSTEM as each role that needs them, over the network address others use. */
export const logins: Check = (facts) =>
  facts.logins.map(({ server, role, way, error, systemIdentifier }) => {
    const say = verdict(`login.${role}`, server)
    if (error !== undefined) {
      return say.fail({
        found: `role "${role}" cannot log in for ${way}`,
        cause: error.message,
        remedy: error.hint,
      })
    }
    const expected = facts.found.identity?.systemIdentifier
    if (systemIdentifier !== undefined && systemIdentifier !== expected) {
      return say.fail({
        found: `IDENTIFY_SYSTEM answers ${systemIdentifier}`,
        cause: `the cluster's system identifier is ${expected ?? 'not known'}`,
        remedy: 'Another server listens at this address: correct the cluster file.',
      })
    }
    return say.ok(way === 'SQL' ? 'logs in for SQL' : 'logs in and IDENTIFY_SYSTEM answers')
  })
