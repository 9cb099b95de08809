/**
 * Runs `up` over ssh in a process of its own, to be killed. Argument: a JSON file with an OperatorOrder. Prints `cloning` when the
 * clone has received its first bytes.
 */
import { readFileSync } from 'node:fs'
import type { ClusterEvent } from '../../src/cluster/context.ts'
import { bringUp } from '../../src/build/up.ts'
import { openOperator, type OperatorOrder } from '../integration/cluster/remote-house.ts'

let isCloning = false
let isTold = false

function see(event: ClusterEvent): void {
  if (event.kind === 'step-started') isCloning = event.id.endsWith('.clone')
  if (isTold || !isCloning || event.kind !== 'clone-progress') return
  isTold = true
  process.stdout.write('cloning\n')
}

const order = JSON.parse(readFileSync(process.argv[2] as string, 'utf8')) as OperatorOrder
await using operator = await openOperator(order, see)
await bringUp(operator.context())
