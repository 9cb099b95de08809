/**
 * Runs `up` in a process of its own, to be killed. Argument: a JSON file, see DyingOrder.
 */
import { readFileSync } from 'node:fs'
import { bringUp } from '../../src/build/up.ts'
import { renderErrorText } from '../../src/errors/render.ts'
import { dyingCluster, type DyingOrder } from './dying-cluster.ts'

const order = JSON.parse(readFileSync(process.argv[2] as string, 'utf8')) as DyingOrder
try {
  await bringUp(dyingCluster(order))
} catch (error) {
  process.stderr.write(renderErrorText(error))
  process.exitCode = 1
}
