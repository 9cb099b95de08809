/**
 * Whether a server can be started on a port, asked before the work whose last step that is.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import type { Host } from './host.ts'
import { describePortOwner, findPortOwners } from './port-owner.ts'

/** @throws {BackstayError} PORT_IN_USE with who has it. */
export async function checkPort(host: Host, port: number): Promise<void> {
  const owners = await findPortOwners(host, port)
  if (owners.length === 0) return
  throw new BackstayError(
    'PORT_IN_USE',
    `Cannot start a server on port ${port} of "${host.name}": it is used by ${owners.map(describePortOwner).join(', ')}`,
    { hint: 'Name another port.', details: { host: host.name, port, owners } },
  )
}
