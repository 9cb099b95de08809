/**
 * `npm run torture -- --minutes N --seed S --major M`: random work and random faults on real clusters for that long. Prints every
 * step; ends with 1 and the seed when something was wrong, and with `--keep DIRECTORY` leaves all files of that cluster there.
 */
import { parseArgs } from 'node:util'
import { SUPPORTED_MAJORS } from '../../src/postgres/version.ts'
import { tortureFor } from './torture-run.ts'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '3' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 1e9)) },
    major: { type: 'string', default: '18' },
    keep: { type: 'string' },
  },
})
const major = SUPPORTED_MAJORS.find((each) => String(each) === values.major)
const minutes = Number(values.minutes)
const seed = Number(values.seed)
if (major === undefined || !(minutes > 0) || !Number.isSafeInteger(seed)) {
  console.error('usage: npm run torture -- --minutes N --seed S --major 11…18 --keep DIRECTORY')
  process.exit(2)
}

const startedAtMs = performance.now()
const say = (line: string): void => {
  const seconds = ((performance.now() - startedAtMs) / 1000).toFixed(1)
  console.log(`${seconds.padStart(7)} s  ${line}`)
}

const stop = new AbortController()
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort())
const wish = { major, minutes, seed, say, keep: values.keep, signal: stop.signal }
const { clusters, tally, wrong } = await tortureFor(wish)
const counts = Object.entries(tally).map(([name, count]) => `${name} ${count}`)
say(`PostgreSQL ${major}, seeds from ${seed}, ${clusters} clusters: ${counts.join(', ')}`)
if (wrong !== undefined) {
  console.error(`WRONG: ${wrong}`)
  process.exitCode = 1
}
