/**
 * The service of this machine as this program makes it.
 */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { OwnService } from '../../cluster/machine/own-service.ts'
import { isBackstayError } from '../../errors/backstay-error.ts'
import { callService } from '../../service/control-client.ts'
import { controlSocketOf } from '../../service/control-protocol.ts'
import { systemdUnit } from '../../service/systemd-unit.ts'
import { lastingProgram } from './self-program.ts'
import { ownPackage } from './own-package.ts'

const ANSWER_TIMEOUT_MS = 5000

/** @param configFile absolute path of the operator's cluster file */
export async function ownService(configFile: string): Promise<OwnService> {
  const content = await readFile(configFile)
  const command = lastingProgram()
  return {
    configFile,
    command,
    unitText: ({ user, repository }) => {
      const sum = createHash('sha256').update(content).digest('hex').slice(0, 16)
      const version = `${ownPackage().version}, cluster file ${sum}`
      return systemdUnit({ command, configFile, user, writablePaths: [repository], version })
    },
    isAnswering,
  }
}

/** One that does not answer as it should is one, too. */
async function isAnswering(repository: string): Promise<boolean> {
  try {
    const call = { call: 'status' } as const
    return (await callService(controlSocketOf(repository), call, ANSWER_TIMEOUT_MS)) !== 'absent'
  } catch (error) {
    if (isBackstayError(error)) return true
    throw error
  }
}
