/**
 * Asks PostgreSQL itself whether it would accept its configuration files, before anything depends
 * on it.
 */
import { BackstayError } from '../../errors/backstay-error.ts'
import type { PostgresInstance } from '../../host/postgres-instance.ts'
import { lastLines } from '../../host/run-checked.ts'
import { oneLine } from '../../util/one-line.ts'

/**
 * Reads the configuration as the server would (`postgres -C`), without touching a running one.
 * @throws CONFIG_INVALID with what PostgreSQL says.
 */
export async function checkConfiguration(instance: PostgresInstance): Promise<void> {
  const { host, binaries, directory, configFile, user, name } = instance
  const where = configFile === undefined ? [] : ['-c', `config_file=${configFile}`]
  const postgres = `${binaries.directory}/postgres`
  const command = [postgres, '-D', directory, ...where, '-C', 'data_directory']
  const result = await host.run(command, { user })
  if (result.exitCode === 0) return
  const said = oneLine(lastLines(result.stderr, 3))
  throw new BackstayError(
    'CONFIG_INVALID',
    `PostgreSQL refuses the settings of server "${name}": ${said}`,
    { hint: 'Correct postgres.parameters in the cluster file.' },
  )
}
