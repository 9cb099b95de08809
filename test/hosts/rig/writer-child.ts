/**
 * The program behind HostWriter. Argument: JSON with addresses, state directory and number; a line on standard input is a
 * question, a line of JSON on standard output its answer.
 */
import { createInterface } from 'node:readline'
import { Writer } from '../../integration/roles/writer.ts'

const WRITE_EVERY_MS = 10
/** A host without power says nothing at all. */
const STATEMENT_TIMEOUT_MS = 3000

const order = JSON.parse(process.argv[2] ?? '{}') as {
  servers: string[]
  stateDirectory: string
  number: number
}
const servers = order.servers.map((address) => ({ address, port: 5432 }))
const wanted = {
  servers,
  postgres: { superuser: 'postgres' },
  stateDirectory: order.stateDirectory,
}
const place = { wanted, statementTimeoutMs: STATEMENT_TIMEOUT_MS }
const writer = new Writer(place, order.number, WRITE_EVERY_MS)
for await (const question of createInterface({ input: process.stdin })) {
  if (question === 'rows') {
    await writer.stop()
    console.log(JSON.stringify(writer.acknowledged.map(String)))
    continue
  }
  const { acknowledged, longestSilenceMs } = writer
  console.log(JSON.stringify({ count: acknowledged.length, longestSilenceMs }))
  if (question === 'measure') writer.longestSilenceMs = 0
}
process.exit(0)
